"""The segmenter that ships with the package holds what its card says, on worlds it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Sam2VideoModel, Sam2VideoProcessor

import gsam_ros
from gsam_ros.training.segmenter.evaluate import still_figures
from gsam_ros.training.segmenter.evaluate_clips import clip_figures
from gsam_ros.training.segmenter.follow import overlap
from gsam_ros.training.segmenter.model import load
from gsam_ros.world.clips import draw_clip

FOLDER = Path(gsam_ros.__file__).parent / "models" / "demo-segmenter"
SEED = 20_261_123


@pytest.fixture(scope="module")
def model() -> Sam2VideoModel:
    return load(FOLDER)


def test_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 10_000_000


def test_outlines_what_a_box_holds(model: Sam2VideoModel) -> None:
    figures = still_figures(model, count=24, seed=SEED)
    assert figures["box_iou_seen"] > 0.80
    assert figures["box_iou_held_out"] > 0.75
    assert figures["box_iou_seen"] > figures["box_as_mask"] + 0.15


def test_follows_an_object_by_memory(model: Sam2VideoModel) -> None:
    figures = clip_figures(model, count=8, frames=8, seed=SEED)
    assert figures["memory_iou"] > 0.65
    assert figures["false_absence"] < 0.2


def test_works_with_the_session_and_processor_of_transformers() -> None:
    """Nothing of this project is needed to use the folder."""
    clip = draw_clip(np.random.default_rng(SEED), 4, objects=1, events=0.0)
    rows, columns = clip.masks[0, 0].any(1).nonzero()[0], clip.masks[0, 0].any(0).nonzero()[0]
    box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
    model = Sam2VideoModel.from_pretrained(FOLDER).eval()
    processor = Sam2VideoProcessor.from_pretrained(FOLDER)
    session = processor.init_video_session(inference_device="cpu", dtype=torch.float32)
    for t, image in enumerate(clip.images):
        inputs = processor(images=image, return_tensors="pt")
        if t == 0:
            processor.add_inputs_to_inference_session(
                session,
                frame_idx=0,
                obj_ids=1,
                input_boxes=[[box]],
                original_size=inputs["original_sizes"][0],
            )
        out = model(inference_session=session, frame=inputs["pixel_values"][0])
        (mask,) = processor.post_process_masks([out.pred_masks], inputs["original_sizes"])
        assert overlap(mask[0, 0].numpy(), clip.masks[t, 0]) > 0.6, t
