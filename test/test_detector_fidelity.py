"""Unsliced, the bundled detector gives the boxes that transformers gives with the same weights.

A phrase of one word is scored by one token, and there transformers' way of scoring (a box's best
token of all) and ours (the mean over a phrase's own tokens) are the same.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor, pipeline

from gsam_ros import checkpoints
from gsam_ros.boxes import box_iou
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.world.stills import draw_still

WORDS = ("mug", "ring", "ball", "star")
KNOWN = (("red", "mug"), ("blue", "ring"), ("purple", "ball"), ("orange", "star"))
SIZES = [(240, 320), (480, 640), (192, 256), (300, 200)]


@pytest.fixture(scope="module")
def detector() -> GroundingDetector:
    return GroundingDetector("demo-detector", torch.device("cpu"))


@pytest.fixture(scope="module")
def folder() -> str:
    return checkpoints.locate("demo-detector")


def pictures() -> list[np.ndarray]:
    return [
        draw_still(np.random.default_rng(seed), *size, KNOWN, max_objects=8).image
        for seed, size in enumerate(SIZES)
    ]


@torch.inference_mode()
def test_boxes_are_those_of_processor_model_and_post_processing(detector, folder):
    processor = AutoProcessor.from_pretrained(folder)
    stock = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    compared = 0
    for image in pictures():
        text = ". ".join(WORDS) + "."
        inputs = processor(images=image, text=text, return_tensors="pt")
        [expected] = processor.post_process_grounded_object_detection(
            stock(**inputs), inputs["input_ids"], 0.3, 0.3, [image.shape[:2]]
        )
        [found] = detector.detect([image], detector.encode(WORDS), 0.3, 1.0)
        height, width = image.shape[:2]  # transformers lets boxes stick out
        inside = np.clip(expected["boxes"].numpy(), 0, (width, height, width, height))
        overlap = box_iou(found.boxes, inside)
        assert overlap.shape == (len(expected["scores"]),) * 2
        partner = overlap.argmax(1)
        assert sorted(partner) == list(range(len(partner)))
        assert overlap.max(1).min() >= 0.99
        np.testing.assert_allclose(found.scores, expected["scores"][partner], atol=1e-3)
        labels = [expected["text_labels"][row] for row in partner]
        assert [WORDS[i] for i in found.phrase_index] == labels
        compared += len(found)
    assert compared >= 10


def test_boxes_are_those_of_the_zero_shot_pipeline(detector, folder):
    """It takes one phrase at a time, rounds its boxes down to pixels, and lets them stick out."""
    run = pipeline("zero-shot-object-detection", model=folder, device="cpu")
    compared = 0
    for image in pictures():
        far = np.tile(image.shape[1::-1], 2)
        for word in WORDS:
            answers = run(Image.fromarray(image), candidate_labels=[f"{word}."], threshold=0.3)
            [found] = detector.detect([image], detector.encode((word,)), 0.3, 1.0)
            assert len(found) == len(answers)
            for box, score, answer in zip(found.boxes, found.scores, answers, strict=True):
                corners = [answer["box"][side] for side in ("xmin", "ymin", "xmax", "ymax")]
                assert np.abs(box - 0.5 - np.clip(corners, 0, far)).max() < 0.51
                assert answer["score"] == pytest.approx(float(score), abs=1e-3)
                compared += 1
    assert compared >= 10


@pytest.mark.parametrize("size", [(256, 160), (300, 200)])
def test_boxes_are_where_they_are_whatever_shares_the_batch(detector, size):
    """Images of other sizes are not padded to one: no camera's boxes depend on the others."""
    still = draw_still(np.random.default_rng(5), 192, 256, max_objects=1)
    other = np.full((*size, 3), 120, np.uint8)
    text = detector.encode([f"{still.colour[0]} {still.shape[0]}"])
    [alone] = detector.detect([still.image], text)
    together, _ = detector.detect([still.image, other], text)
    assert len(alone) == len(together) == 1
    np.testing.assert_allclose(together.boxes, alone.boxes, atol=0.01)
    np.testing.assert_allclose(together.scores, alone.scores, atol=1e-4)
    np.testing.assert_allclose(together.boxes, still.boxes, atol=6)
