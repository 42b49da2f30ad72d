"""Boxes and points for the demo segmenter, as detectors and people give them."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gsam_ros.training.segmenter.forward import Prompts
from gsam_ros.training.segmenter.model import IMAGE_SIZE


def box_in(rng: np.random.Generator, boxes: NDArray[np.float32]) -> Prompts:
    """Prompts out of true boxes [N, 4], moved as a detector moves them."""
    return Prompts.of_boxes(torch.from_numpy(jitter(rng, boxes)))


def jitter(rng: np.random.Generator, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move the sides of boxes [N, 4] as a detector does, inside the 256 x 256 image.

    A third of the boxes hardly moves, the rest by some per cent of its size.
    """
    side = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    spread = np.where(rng.random((len(boxes), 1)) < 0.35, 0.01, 0.06)
    moved = boxes + np.clip(rng.normal(0, spread, boxes.shape), -0.15, 0.15) * side
    return np.clip(moved, 0, IMAGE_SIZE).astype(np.float32)


def click(rng: np.random.Generator, masks: NDArray[np.uint8]) -> Prompts:
    """Points on the objects of masks [B, 256, 256], as people click them: 1 to 3 each.

    The first lies well inside; the others, if any, on the object or beside it.
    """
    count = int(rng.choice((1, 2, 3), p=(0.6, 0.25, 0.15)))
    points = np.zeros((len(masks), count, 2), np.float32)
    labels = np.ones((len(masks), count), np.int32)
    for row, mask in enumerate(masks):
        inside = (mask > 127).astype(np.uint8)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
        near = cv2.dilate(inside, np.ones((25, 25), np.uint8)) - cv2.dilate(
            inside, np.ones((5, 5), np.uint8)
        )
        points[row, 0] = _draw_pixel(rng, depth >= 0.4 * depth.max())
        for column in range(1, count):
            on = rng.random() < 0.5 or not near.any()
            labels[row, column] = int(on)
            points[row, column] = _draw_pixel(rng, inside if on else near)
    return Prompts(torch.from_numpy(points), torch.from_numpy(labels))


def _draw_pixel(rng: np.random.Generator, mask: NDArray) -> tuple[float, float]:
    """One (x, y) where `mask` is not 0."""
    rows, columns = np.nonzero(mask)
    chosen = rng.integers(len(rows))
    return float(columns[chosen]), float(rows[chosen])
