"""Which detection is which track: pure functions over boxes and masks."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [N, 4] and [M, 4] (xyxy): [N, M] in [0, 1]."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    opposite = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(opposite - corner, 0, None).prod(-1)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1) for b in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def mask_overlap(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overlap of masks [N, h, w] and [M, h, w] (bool).

    Returns:
        [N, M] intersection over union, and [N, M] intersection over the smaller of the two.
    """
    flat = [masks.reshape(len(masks), -1).astype(np.float32) for masks in (first, second)]
    shared = flat[0] @ flat[1].T
    areas = [f.sum(1) for f in flat]
    union = areas[0][:, None] + areas[1][None] - shared
    smaller = np.minimum(areas[0][:, None], areas[1][None])
    zeros = np.zeros_like(shared)
    return (
        np.divide(shared, union, out=zeros.copy(), where=union > 0),
        np.divide(shared, smaller, out=zeros, where=smaller > 0),
    )


def assign(likeness: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pair rows with columns so that the sum of likeness is greatest (Hungarian method).

    Pairs below `least` are no pairs, and don't push others out of theirs.

    >>> assign(np.array([[0.9, 0.8], [0.7, 0.1]]), least=0.3)
    [(0, 1), (1, 0)]
    """
    if not likeness.size:
        return []
    rows, columns = linear_sum_assignment(np.where(likeness >= least, likeness, 0), maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if likeness[row, column] >= least
    ]


def match(
    track_boxes: np.ndarray,
    track_phrases: np.ndarray,
    renamable: np.ndarray,
    boxes: np.ndarray,
    phrases: np.ndarray,
    least_iou: float,
    renamed_iou: float,
) -> list[tuple[int, int]]:
    """Pair tracks with detections by box overlap: first within a phrase, then across phrases.

    The second pass lets a track whose phrase the detector changes its mind about stay one track;
    it asks for more overlap, as another phrase mostly means another object that stands close by.

    Args:
        track_boxes: [N, 4] xyxy.
        track_phrases: [N] phrase index.
        renamable: [N] bool, tracks that may still turn out to be something else.
        boxes: [M, 4] xyxy of the detections.
        phrases: [M] phrase index.
        least_iou: overlap below which two boxes of one phrase are not the same object.
        renamed_iou: likewise for two boxes of different phrases.

    Returns:
        (track, detection) pairs; each index at most once.
    """
    overlap = box_iou(track_boxes, boxes)
    same = track_phrases[:, None] == phrases[None]
    pairs = assign(np.where(same, overlap, -1), least_iou)
    taken = ([row for row, _ in pairs], [column for _, column in pairs])
    rest = np.where(renamable[:, None], overlap, -1)
    rest[taken[0], :] = -1
    rest[:, taken[1]] = -1
    return pairs + assign(rest, renamed_iou)
