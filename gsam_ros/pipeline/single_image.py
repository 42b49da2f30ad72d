"""One image on its own: what a prompt finds in it, with masks and without a memory."""

from __future__ import annotations

import numpy as np
import torch

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.text import EncodedText
from gsam_ros.instances import Detections, Instances, TrackState
from gsam_ros.masks import Masks
from gsam_ros.pipeline.settings import Settings
from gsam_ros.tracking.fragments import without_fragments
from gsam_ros.tracking.model import SegmentationModel
from gsam_ros.tracking.propagation import segment_boxes

NO_TRACK = 0
"""The track id of what is not followed; tracks count from 1."""


def find(
    detector: GroundingDetector,
    segmenter: SegmentationModel,
    image: np.ndarray,
    text: EncodedText,
    settings: Settings,
) -> Instances:
    """Detect and segment, touching no track.

    Args:
        detector: finds.
        segmenter: makes the masks.
        image: [H, W, 3] uint8 RGB.
        text: what is looked for.
        settings: thresholds and slices as for streams; at most `tracker.max_objects` are taken, the
            best first.

    Returns:
        What was found, best first, all with the track id `NO_TRACK`.
    """
    height, width = image.shape[:2]
    own = settings.detector
    [found] = detector.detect([image], text, own.box_threshold, own.nms_iou, own.slices)
    found = found[np.arange(len(found)) < settings.tracker.max_objects]
    if not len(found):
        return Instances.none(height, width)
    fractions = found.boxes / np.array([width, height, width, height], np.float32)
    masks = segment_boxes(
        segmenter,
        segmenter.encode_image([image]),
        [0] * len(found),
        torch.from_numpy(fractions),
    )
    logits = [
        without_fragments(mask, settings.tracker.least_part) for mask in masks.logits.cpu().numpy()
    ]
    return _with_masks(found, Masks(np.stack(logits), height, width))


def _with_masks(found: Detections, masks: Masks) -> Instances:
    """The detections of which SAM 2 sees something, with boxes around that."""
    kept = masks.areas > 0
    count = np.count_nonzero(kept)
    return Instances(
        boxes=masks.boxes[kept],
        scores=found.scores[kept],
        phrase_index=found.phrase_index[kept],
        track_id=np.full(count, NO_TRACK, np.int64),
        state=np.full(count, TrackState.TENTATIVE, np.uint8),
        masks=masks[kept],
    )
