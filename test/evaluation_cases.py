"""Small frames for the tests of the evaluation: every object is a rectangle, box and mask alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame, PromptChange, pair_up
from gsam_ros.evaluation.rle import Rle
from gsam_ros.instances import TrackState

HEIGHT, WIDTH = 48, 64
PLACES = {"left": (2, 4, 18, 20), "middle": (24, 4, 40, 20), "right": (46, 4, 62, 20)}
"""Boxes that don't touch, xyxy in pixels."""


def rectangle(box: Sequence[int]) -> Rle:
    """A filled box as a COCO mask."""
    left, top, right, bottom = box
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    pixels[top:bottom, left:right] = 1
    encoded = coco_mask.encode(pixels)
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode("ascii")}


def frame(
    t: int, *objects: tuple[int, str, str] | tuple[int, str, str, float], camera: str = "front"
) -> FrameObjects:
    """A frame at `t` nanoseconds with objects (id, phrase, place[, score or visible share])."""
    full = [(*o, 1.0)[:4] for o in objects]
    boxes = [PLACES[place] for _, _, place, _ in full]
    return FrameObjects(
        camera,
        t,
        np.array([i for i, *_ in full], np.int64),
        tuple(phrase for _, phrase, *_ in full),
        np.array([score for *_, score in full], np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
        tuple(rectangle(box) for box in boxes),
        np.full(len(full), TrackState.CONFIRMED, np.uint8),
    )


def paired(
    truth: Sequence[FrameObjects],
    answers: Sequence[FrameObjects],
    prompt: str = "red mug. green ball.",
) -> list[PairedFrame]:
    """Truth and answers under one prompt from the beginning."""
    return pair_up(truth, answers, [PromptChange.of(0, prompt)])
