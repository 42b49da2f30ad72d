"""Boxes of overlapping tiles become one box per object (SAHI, arXiv 2202.06934).

The rules are those of the `sahi` package's post-processing, and a test holds the results against
it. sahi itself merges lists of Python objects, and it installs opencv-python over the
opencv-python-headless that is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.ops import nms

from gsam_ros.boxes import box_areas, box_intersection
from gsam_ros.detection.settings import SliceSettings
from gsam_ros.detection.slicing import Size, cut_off
from gsam_ros.instances import Detections

_MOST = 3000
"""Boxes of an image that are merged, the strongest: a threshold near 0 lets many thousands by."""

_ROWS = 256
"""Rows of the table of overlaps that are computed at once; bounds the memory for thousands."""


@dataclass(frozen=True)
class Merged:
    """N boxes made of M.

    Attributes:
        detections: the N, best first.
        members: for each of the N, indices of those of the M that it was made of, itself first.
    """

    detections: Detections
    members: list[list[int]]


def combine(
    found: Sequence[Detections],
    views: np.ndarray,
    size: Size,
    settings: SliceSettings,
    nms_iou: float,
) -> Detections:
    """The detections of one image out of those of its parts.

    Args:
        found: for each of the V parts, boxes in pixels of the part.
        views: [V, 4] (x0, y0, x1, y1), where the parts lie in the image.
        size: of the image.
        settings: how to merge.
        nms_iou: of two boxes that overlap by more, whatever their phrases, the weaker one goes.
    """
    if len(found) == 1 and tuple(views[0]) == (0, 0, size[1], size[0]):
        return found[0]
    origins = [np.tile(view[:2], 2).astype(np.float32) for view in views]
    boxes = [part.boxes + origin for part, origin in zip(found, origins, strict=True)]
    pieces = np.concatenate(
        [cut_off(part, view, size) for part, view in zip(boxes, views, strict=True)]
    )
    every = Detections(
        np.concatenate(boxes),
        np.concatenate([part.scores for part in found]),
        np.concatenate([part.phrase_index for part in found]),
    )
    if len(every) > _MOST:
        strongest = np.sort(np.argsort(-every.scores, kind="stable")[:_MOST])
        every, pieces = every[strongest], pieces[strongest]
    merged = merge(every, settings)
    result = merged.detections
    if settings.drop_cut:
        cut = np.array([pieces[cluster].all() for cluster in merged.members], bool)
        result = result[~_held_by_another(result, cut, settings)]
    keep = nms(torch.from_numpy(result.boxes), torch.from_numpy(result.scores), nms_iou)
    return result[keep.numpy()]


def merge(found: Detections, settings: SliceSettings) -> Merged:
    """Make one of the boxes that overlap, M in all, of one phrase or, if so set, of any.

    NMS keeps the best box of those that overlap it. GREEDYNMM makes it the hull of them all, and
    NMM of those that overlap them in turn as well; the score and the phrase are the best box's.
    LSNMS is NMS; what sets it apart is how fast it is on hundreds of thousands of boxes.
    """
    if settings.across_phrases:
        parts = [np.arange(len(found))]
    else:
        parts = [np.flatnonzero(found.phrase_index == p) for p in np.unique(found.phrase_index)]
    clusters: list[list[int]] = []
    for part in parts:
        grouped = _clusters(found.boxes[part], found.scores[part], settings)
        clusters.extend(part[cluster].tolist() for cluster in grouped)
    clusters.sort(key=lambda cluster: -found.scores[cluster[0]])

    boxes, members = found.boxes[[cluster[0] for cluster in clusters]], []
    for box, cluster in zip(boxes, clusters, strict=True):
        members.append(_join(box, cluster, found.boxes, settings))
    best = [cluster[0] for cluster in clusters]
    return Merged(Detections(boxes, found.scores[best], found.phrase_index[best]), members)


def overlaps(first: np.ndarray, second: np.ndarray, metric: str) -> np.ndarray:
    """[N, M] overlap of boxes [N, 4] with boxes [M, 4], xyxy, all with an area.

    Args:
        first: [N, 4].
        second: [M, 4].
        metric: IOU (intersection over union) or IOS (over the smaller of both).
    """
    common = box_intersection(first, second)
    area, other = box_areas(first)[:, None], box_areas(second)
    return common / (np.minimum(area, other) if metric == "IOS" else area + other - common)


def _held_by_another(found: Detections, cut: np.ndarray, settings: SliceSettings) -> np.ndarray:
    """[N] bool, true for pieces of objects that another box has whole, or more of.

    Args:
        found: N merged boxes.
        cut: [N] bool, which of them only tiles saw at whose border they end.
        settings: overlap and phrases as in merging.
    """
    rows = np.flatnonzero(cut)
    inside = overlaps(found.boxes[rows], found.boxes, "IOS") >= settings.threshold
    if not settings.across_phrases:
        inside &= found.phrase_index[rows, None] == found.phrase_index
    area = box_areas(found.boxes)
    held = np.zeros(len(found), bool)
    held[rows] = (inside & (area[rows, None] < area)).any(1)
    return held


def _clusters(boxes: np.ndarray, scores: np.ndarray, settings: SliceSettings) -> list[list[int]]:
    """Indices of the boxes that belong together, the best of each cluster first.

    Equal scores are ordered by their boxes, so that the order of the tiles does not matter.
    """
    order = np.lexsort((boxes[:, 3], boxes[:, 2], boxes[:, 1], boxes[:, 0], -scores))
    near = np.empty((len(boxes), len(boxes)), bool)
    for start in range(0, len(boxes), _ROWS):
        rows = overlaps(boxes[start : start + _ROWS], boxes, settings.metric)
        np.greater_equal(rows, settings.threshold, out=near[start : start + _ROWS])
    free = np.ones(len(boxes), bool)
    owner = np.arange(len(boxes))
    clusters: dict[int, list[int]] = {}
    for index in order.tolist():
        if free[index]:
            free[index] = False
            clusters[index] = [index]
        elif settings.merge != "NMM":
            continue
        claimed = np.flatnonzero(near[index] & free)
        free[claimed] = False
        owner[claimed] = owner[index]
        if settings.merge == "GREEDYNMM":
            claimed = claimed[np.argsort(-scores[claimed], kind="stable")]
        clusters[int(owner[index])] += claimed.tolist()
    return list(clusters.values())


def _join(
    box: np.ndarray, cluster: list[int], boxes: np.ndarray, settings: SliceSettings
) -> list[int]:
    """Grow `box`, in place, to the hull of its cluster; return which boxes it took in.

    One that the grown box does not overlap by enough is left out, and is gone.
    """
    taken = cluster[:1]
    if settings.merge in ("NMS", "LSNMS"):
        return taken
    for index in cluster[1:]:
        other = boxes[index]
        if overlaps(box[None], other[None], settings.metric)[0, 0] >= settings.threshold:
            np.minimum(box[:2], other[:2], out=box[:2])
            np.maximum(box[2:], other[2:], out=box[2:])
            taken.append(index)
    return taken
