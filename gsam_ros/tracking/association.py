"""Which detection is which track: pure functions over boxes and masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from gsam_ros.boxes import box_iou, box_overlap, shares


def mask_overlap(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overlap of masks [N, h, w] and [M, h, w] (bool).

    Returns:
        [N, M] intersection over union, and [N, M] intersection over the smaller of the two.
    """
    cells = int(np.prod(first.shape[1:]))
    flat = [masks.reshape(len(masks), cells).astype(np.float32) for masks in (first, second)]
    shared = flat[0] @ flat[1].T
    areas = [f.sum(1) for f in flat]
    return shares(shared, areas[0], areas[1])


@dataclass(frozen=True)
class Outlines:
    """Where N objects of one image are.

    Attributes:
        masks: [N, h, w] bool, on the whole image.
        boxes: [N, 4] xyxy.
        close: [N] bool, objects that are so small on the whole image that it takes a close-up to
            see them: of these, boxes say more than masks of a cell or two.
    """

    masks: np.ndarray
    boxes: np.ndarray
    close: np.ndarray

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: np.ndarray | list[int]) -> Outlines:
        """Those chosen by an index or boolean array."""
        return Outlines(self.masks[index], self.boxes[index], self.close[index])


def overlap(first: Outlines, second: Outlines) -> tuple[np.ndarray, np.ndarray]:
    """Overlap of N and M objects; returns as `mask_overlap`."""
    iou, covered = mask_overlap(first.masks, second.masks)
    close = first.close[:, None] | second.close[None]
    if not close.any():
        return iou, covered
    by_boxes, inside = box_overlap(first.boxes, second.boxes)
    return np.where(close, by_boxes, iou), np.where(close, inside, covered)


def assign(affinity: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pair rows with columns so that the sum of affinities is greatest (Hungarian method).

    Pairs below `least` are no pairs, and don't push others out of theirs.

    >>> assign(np.array([[0.9, 0.8], [0.7, 0.1]]), least=0.3)
    [(0, 1), (1, 0)]
    """
    if not affinity.size:
        return []
    rows, columns = linear_sum_assignment(np.where(affinity >= least, affinity, 0), maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if affinity[row, column] >= least
    ]


def affinities(
    expected: np.ndarray,
    before: np.ndarray,
    shown: Outlines,
    visible: np.ndarray,
    found: Outlines,
) -> np.ndarray:
    """The affinity of each track and each detection, by place: [N, M] in [0, 1].

    Half of it is where the track was going, half what its mask shows now, by box and by mask; a
    track out of sight has only the first. A mask that slid onto a look-alike is so outvoted by
    the way that its object went before.

    Args:
        expected: [N, 4] xyxy, boxes where the tracks should be by their motion.
        before: [N, 4] xyxy, boxes of the last detections that agreed: things stop and turn back.
        shown: the tracks' N masks, and boxes around them.
        visible: [N] bool, whether a track has a mask at all.
        found: the M boxes of the detections, and the masks that they hold.
    """
    going = np.maximum(box_iou(expected, found.boxes), box_iou(before, found.boxes))
    showing = (box_iou(shown.boxes, found.boxes) + overlap(shown, found)[0]) / 2
    return np.where(visible[:, None], (going + showing) / 2, going)


def match(
    affinity: np.ndarray,
    visible: np.ndarray,
    track_phrases: np.ndarray,
    tentative: np.ndarray,
    phrases: np.ndarray,
    least: float,
    least_renamed: float,
) -> list[tuple[int, int]]:
    """Pair tracks with detections by affinity: first within a phrase, then across phrases.

    Within a phrase those in sight come first, and of them those that are known for longer than a
    look or two (as in ByteTrack, arXiv 2110.06864), so that of two tracks which were made for one
    object one keeps it. The pass across phrases lets a new track, about whose phrase the detector
    changes its mind, stay one track; it asks for more, as another phrase mostly means another
    object that stands close by.

    Args:
        affinity: [N, M] of tracks and detections.
        visible: [N] bool, tracks in sight; the others get what these leave.
        track_phrases: [N] phrase index.
        tentative: [N] bool, new tracks, which may still turn out to be something else.
        phrases: [M] phrase index of the detections.
        least: affinity below which two of one phrase are not the same object.
        least_renamed: likewise for two of different phrases.

    Returns:
        (track, detection) pairs; each index at most once.
    """
    same = track_phrases[:, None] == phrases[None]
    pairs: list[tuple[int, int]] = []
    for allowed, limit in (
        (same & (visible & ~tentative)[:, None], least),
        (same & visible[:, None], least),
        (same & ~visible[:, None], least),
        (np.broadcast_to(tentative[:, None], same.shape), least_renamed),
    ):
        rest = np.where(allowed, affinity, -1)
        rest[[row for row, _ in pairs], :] = -1
        rest[:, [column for _, column in pairs]] = -1
        pairs += assign(rest, limit)
    return pairs
