"""How much boxes have in common."""

from __future__ import annotations

import numpy as np


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """[N], of boxes [N, 4] (xyxy); 0 where a side is not positive."""
    return np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1)


def box_intersection(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[N, M] area that boxes [N, 4] share with boxes [M, 4] (xyxy)."""
    x0, y0, x1, y1 = (first[:, None, side] for side in range(4))
    u0, v0, u1, v1 = (second[None, :, side] for side in range(4))
    width = np.minimum(x1, u1) - np.maximum(x0, u0)
    height = np.minimum(y1, v1) - np.maximum(y0, v0)
    return width.clip(min=0) * height.clip(min=0)


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [N, 4] and [M, 4] (xyxy): [N, M] in [0, 1]."""
    return box_overlap(first, second)[0]


def box_overlap(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overlap of boxes [N, 4] and [M, 4] (xyxy); returns as `shares`."""
    return shares(box_intersection(first, second), box_areas(first), box_areas(second))


def shares(
    shared: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What things of areas [N] and [M] share, [N, M], as a part of them; 0 where they have none.

    Returns:
        [N, M] intersection over union, and [N, M] intersection over the smaller of the two.
    """
    union = first[:, None] + second[None] - shared
    smaller = np.minimum(first[:, None], second[None])
    zeros = np.zeros_like(shared)
    return (
        np.divide(shared, union, out=zeros.copy(), where=union > 0),
        np.divide(shared, smaller, out=zeros, where=smaller > 0),
    )
