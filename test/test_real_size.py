"""Real-size architectures with random weights: saved, loaded by folder, run as users run them.

What they see means nothing; that they load and stream through the same code as the bundled models
does. The sizes are those of IDEA-Research/grounding-dino-tiny and facebook/sam2.1-hiera-tiny.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_checkpoints import save_detector, save_segmenter
from transformers import (
    AutoModelForZeroShotObjectDetection,
    AutoProcessor,
    BertConfig,
    GroundingDinoConfig,
    Sam2VideoConfig,
    SwinConfig,
)

from gsam_ros.detection.forward import find
from gsam_ros.detection.pixels import prepare
from gsam_ros.detection.settings import DetectorSettings
from gsam_ros.instances import Frame
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.tracking.settings import SegmenterSettings, TrackerSettings


def grounding_dino_tiny() -> GroundingDinoConfig:
    backbone = SwinConfig(
        image_size=224,
        embed_dim=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        out_features=["stage2", "stage3", "stage4"],
    )
    return GroundingDinoConfig(backbone_config=backbone, text_config=BertConfig())


@pytest.fixture(scope="module")
def tracker(tmp_path_factory) -> GroundedTracker:
    detector = save_detector(tmp_path_factory.mktemp("dino"), grounding_dino_tiny(), 224, 384)
    segmenter = save_segmenter(tmp_path_factory.mktemp("sam2"), Sam2VideoConfig())
    return GroundedTracker(
        Settings(
            device="cpu",
            detector=DetectorSettings(model=str(detector), box_threshold=0.0, rate=5.0),
            segmenter=SegmenterSettings(model=str(segmenter)),
            tracker=TrackerSettings(max_objects=2),
        )
    )


@pytest.mark.slow
def test_the_published_sizes_load_and_stream(tracker):
    sizes = {
        name: sum(p.numel() for p in model.parameters()) / 1e6
        for name, model in [
            ("detector", tracker._detector.model),
            ("segmenter", tracker._segmenter.model),
        ]
    }
    assert sizes["detector"] == pytest.approx(172, abs=2), "millions, as published"
    assert sizes["segmenter"] == pytest.approx(38.9, abs=0.5), "millions, as published"

    tracker.set_prompt("red mug. person.")
    generator = np.random.default_rng(0)
    for time in range(3):
        image = generator.integers(0, 255, (240, 320, 3)).astype(np.uint8)
        [result] = tracker.step([Frame(image, stamp=time * 100_000_000)])
        assert result.keyframe == (time != 1)
        assert result.instances.masks.logits.shape[1:] in {(256, 256), (1, 1)}
        assert (result.instances.boxes <= [320, 240, 320, 240]).all()


@pytest.mark.slow
@torch.inference_mode()
def test_scores_are_transformers_logits_reduced_by_phrase(tracker):
    """Random weights propose hundreds of boxes that are equally likely, and rounding picks some."""
    detector = tracker._detector
    stock = AutoModelForZeroShotObjectDetection.from_pretrained(detector.model.name_or_path).eval()
    processor = AutoProcessor.from_pretrained(detector.model.name_or_path)
    image = np.random.default_rng(1).integers(0, 255, (240, 320, 3)).astype(np.uint8)
    inputs = processor(images=[image], text=["red mug. ball. dog."], return_tensors="pt")
    outputs = stock(**inputs)
    # [CLS] red mug . ball . dog . [SEP]
    spans = ([1, 2], [4], [6])
    best = torch.stack([outputs.logits.sigmoid()[0][:, s].mean(1) for s in spans], 1).max(1)
    centre, size = outputs.pred_boxes[0].split(2, 1)
    expected = torch.cat([centre - size / 2, centre + size / 2, best.values[:, None]], 1)
    expected = torch.cat([expected, best.indices[:, None]], 1)

    batch = prepare([image], detector.processor, detector.device, torch.float32)
    groups = detector.encode(("red mug", "ball", "dog")).groups
    scores, phrases, boxes = find(detector.model, batch.pixels, batch.mask, groups)
    found = torch.cat([boxes[0], scores[0, :, None], phrases[0, :, None]], 1)
    assert len(found) == 900
    distance = torch.cdist(found, expected, p=float("inf"))
    for nearest in (distance.min(0).values, distance.min(1).values):
        assert (nearest < 1e-3).float().mean() > 0.98
        assert nearest.median() < 1e-4
