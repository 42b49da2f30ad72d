"""What the detector found on the frames of one step, with the mask that each box holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gsam_ros.instances import Detections
from gsam_ros.tracking.association import box_iou, mask_overlap
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.model import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.propagation import segment_boxes

_SAME = 0.6  # intersection over union of the masks of two detections of one object
_PART = 0.8  # share of the smaller mask that the other has, where both have one phrase


@dataclass(frozen=True)
class Found:
    """M detections of one camera.

    Attributes:
        detections: what the detector said.
        sure: [M] bool, enough to start a track; the others can only keep one.
        rows: [M] int64, which rows of the step's `Segmentation` are theirs.
        masks: [M, h, w] bool.
    """

    detections: Detections
    sure: np.ndarray
    rows: np.ndarray
    masks: np.ndarray


def distinct(detections: Detections, masks: np.ndarray) -> np.ndarray:
    """Which detections hold an object of their own; of several on one object, the best.

    Args:
        detections: best first.
        masks: [M, h, w] bool, what their boxes hold.

    Returns:
        Rows, ascending.
    """
    iou, covered = mask_overlap(masks, masks)
    same = detections.phrase_index[:, None] == detections.phrase_index[None]
    twice = (iou > _SAME) | (same & (covered > _PART))
    kept: list[int] = []
    for row in range(len(detections)):
        if masks[row].any() and not twice[row, kept].any():
            kept.append(row)
    return np.array(kept, np.int64)


def segment_found(
    model: SegmentationModel,
    features: ImageFeatures,
    views: Sequence[View],
    states: Sequence[CameraTracks],
    limit: int,
) -> tuple[Segmentation, dict[int, Found]]:
    """Masks for the detections of all cameras at once.

    Args:
        model: supplies the operations.
        features: of the views' images.
        views: the frames of a step.
        states: their tracks; a weak detection that lies on none of them is left out.
        limit: detections of each kind that are looked at in a view, best first: a low threshold in
            a crowd must not ask for masks that have no room anyway.

    Returns:
        All masks; and by the view's index what was found, where the detector looked.
    """
    candidates: dict[int, tuple[Detections, np.ndarray]] = {}
    boxes, image_index = [], []
    for index, (view, state) in enumerate(zip(views, states, strict=True)):
        if view.detections is None:
            continue
        strong = view.detections[np.arange(len(view.detections)) < limit]
        where = [track.expected(view.stamp) for track in state.tracks]
        where += [track.box for track in state.tracks if track.visible]
        near = box_iou(np.array(where, np.float32).reshape(-1, 4), view.weak.boxes) > 0
        weak = view.weak[np.flatnonzero(near.any(0))[:limit]]
        both = Detections.join((strong, weak))
        candidates[index] = both, np.arange(len(both)) < len(strong)
        boxes.append(both.boxes / np.tile(view.size[::-1], 2))
        image_index += [index] * len(both)
    if image_index:
        fractions = torch.tensor(np.concatenate(boxes), dtype=torch.float32)
        masks = segment_boxes(model, features, image_index, fractions)
    else:
        nothing = features.top.new_zeros(0, dtype=torch.float32)
        empty = nothing.view(0, 1, 1).expand(0, *features.high[0].shape[-2:])
        masks = Segmentation(empty, nothing, nothing.view(0, 1))
    inside = masks.logits.cpu().numpy() > 0
    found, start = {}, 0
    for index, (detections, sure) in candidates.items():
        rows = np.arange(start, start + len(detections))
        apart = distinct(detections, inside[rows])
        found[index] = Found(detections[apart], sure[apart], rows[apart], inside[rows[apart]])
        start += len(detections)
    return masks, found
