"""What the detector found on the frames of one step, with the mask that each box holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gsam_ros.boxes import box_iou
from gsam_ros.instances import Detections
from gsam_ros.tracking.association import Outlines, overlap
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.closeups import segment_small_and_others
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.settings import TrackerSettings

_SAME = 0.6  # intersection over union of the masks of two detections of one object
_PART = 0.8  # share of the smaller mask that the other has, where both have one phrase


@dataclass(frozen=True)
class SegmentedDetections:
    """M detections of one camera.

    Attributes:
        detections: what the detector said.
        sure: [M] bool, enough to start a track; the others can only keep one.
        rows: [M] int64, which rows of the step's `Segmentation` are theirs.
        outlines: of M objects: their masks, and the detector's boxes.
    """

    detections: Detections
    sure: np.ndarray
    rows: np.ndarray
    outlines: Outlines


def distinct(detections: Detections, outlines: Outlines) -> np.ndarray:
    """Which detections hold an object of their own; of several on one object, the best.

    Args:
        detections: best first.
        outlines: of M objects, what their boxes hold.

    Returns:
        Rows, ascending.
    """
    iou, covered = overlap(outlines, outlines)
    same = detections.phrase_index[:, None] == detections.phrase_index[None]
    twice = (iou > _SAME) | (same & (covered > _PART))
    kept: list[int] = []
    for row in range(len(detections)):
        if outlines.masks[row].any() and not twice[row, kept].any():
            kept.append(row)
    return np.array(kept, np.int64)


def segment_detections(
    model: SegmentationModel,
    features: ImageFeatures,
    views: Sequence[View],
    states: Sequence[CameraTracks],
    settings: TrackerSettings,
) -> tuple[Segmentation, dict[int, SegmentedDetections]]:
    """Masks for the detections of all cameras at once.

    Args:
        model: supplies the operations.
        features: of the views' images.
        views: the frames of a step.
        states: their tracks; a weak detection that lies on none of them is left out.
        settings: `max_objects` is how many detections of each kind are looked at in a view, first
            those where a track is, then the best: a low threshold in a crowd must not ask for
            masks that have no room anyway.

    Returns:
        All masks; and by the view's index what was found, where the detector looked.
    """
    candidates: dict[int, tuple[Detections, np.ndarray]] = {}
    boxes: list[np.ndarray] = []
    image_index: list[int] = []
    for index, (view, state) in enumerate(zip(views, states, strict=True)):
        if view.detections is None:
            continue
        where = [track.expected(view.stamp) for track in state.tracks]
        where += [track.box for track in state.tracks if track.visible]
        places = np.array(where, np.float32).reshape(-1, 4)
        limit = max(settings.max_objects, len(state.tracks))
        strong = view.detections
        if len(strong) > limit:
            followed = (box_iou(places, strong.boxes) > settings.match_iou).any(0)
            strong = strong[np.sort(np.argsort(~followed, kind="stable")[:limit])]
        near = box_iou(places, view.weak.boxes) > 0
        weak = view.weak[np.flatnonzero(near.any(0))[:limit]]
        both = Detections.join((strong, weak))
        candidates[index] = both, np.arange(len(both)) < len(strong)
        boxes.append(both.boxes)
        image_index += [index] * len(both)
    if image_index:
        masks = segment_small_and_others(
            model, features, views, image_index, np.concatenate(boxes), settings
        )
    else:
        nothing = features.top.new_zeros(0, dtype=torch.float32)
        empty = nothing.view(0, 1, 1).expand(0, *features.high[0].shape[-2:])
        masks = Segmentation(empty, nothing, nothing.view(0, 1))
    inside = masks.logits.cpu().numpy() > 0
    close = np.array([closeup is not None for closeup in masks.each_closeup])
    found, start = {}, 0
    for index, (detections, sure) in candidates.items():
        rows = np.arange(start, start + len(detections))
        outlines = Outlines(inside[rows], detections.boxes, close[rows].astype(bool))
        apart = distinct(detections, outlines)
        found[index] = SegmentedDetections(
            detections[apart], sure[apart], rows[apart], outlines[apart]
        )
        start += len(detections)
    return masks, found
