"""The shipped demo detector finds what a prompt names, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from gsam_ros.checkpoints import locate
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.training.detector.evaluate import evaluate
from gsam_ros.world.stills import Still, draw_still

FOLDER = Path(locate("demo-detector"))
BOX_THRESHOLD, TEXT_THRESHOLD = 0.35, 0.25
SIZE_LIMIT = 10_000_000


@pytest.fixture(scope="module")
def detect():
    """The way a user calls any Grounding DINO: labels and boxes of an image for a prompt."""
    processor = AutoProcessor.from_pretrained(FOLDER)
    model = AutoModelForZeroShotObjectDetection.from_pretrained(FOLDER).eval()

    @torch.no_grad()
    def run(still: Still, prompt: str) -> list[tuple[str, list[float]]]:
        inputs = processor(images=still.image, text=prompt, return_tensors="pt")
        [result] = processor.post_process_grounded_object_detection(
            model(**inputs),
            threshold=BOX_THRESHOLD,
            text_threshold=TEXT_THRESHOLD,
            target_sizes=[still.image.shape[:2]],
        )
        # Without a box there is still one empty label.
        return list(zip(result["text_labels"], result["boxes"].tolist(), strict=False))

    return run


def stills(pair: tuple[str, str], count: int) -> list[Still]:
    """Pictures of a single object, at a camera's size."""
    drawn = [
        draw_still(np.random.default_rng([77, i]), 480, 640, pairs=[pair], max_objects=1)
        for i in range(count)
    ]
    return [still for still in drawn if len(still.boxes) == 1 and still.visible[0] > 0.8]


def test_weights_are_small():
    assert (FOLDER / "model.safetensors").stat().st_size < SIZE_LIMIT


def test_a_red_mug_is_found_where_it_is(detect):
    pictures = stills(("red", "mug"), 8)
    found = 0
    for still in pictures:
        hits = [box for label, box in detect(still, "red mug. blue ball.") if label == "red mug"]
        found += any(np.abs(np.subtract(box, still.boxes[0])).max() < 40 for box in hits)
    assert found >= len(pictures) - 1


def test_what_is_not_there_is_hardly_ever_found(detect):
    wrong = [detect(still, "blue ball. yellow star.") for still in stills(("red", "mug"), 8)]
    assert sum(bool(found) for found in wrong) <= 1


def test_words_that_it_does_not_know_find_nothing(detect):
    assert sum(len(detect(still, "dog. chair.")) for still in stills(("red", "mug"), 8)) == 0


def test_figures_on_a_few_fresh_scenes():
    """A guard against shipping a broken model; the model card has the figures on 1,000 scenes."""
    figures = evaluate(GroundingDetector(str(FOLDER), torch.device("cpu")), 40)
    assert figures["seen"]["above 0.35"]["precision"] > 0.7
    assert figures["seen"]["above 0.35"]["recall"] > 0.6
