"""One image on its own: what a prompt finds in it, with masks and without a memory."""

from __future__ import annotations

import numpy as np

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.text import EncodedText
from gsam_ros.instances import Detections, Instances, TrackState
from gsam_ros.masks import Masks
from gsam_ros.pipeline.settings import Settings
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.closeups import segment_small_and_others
from gsam_ros.tracking.fragments import whole_parts
from gsam_ros.tracking.refinement import refine
from gsam_ros.tracking.segmenters.interface import SegmentationModel

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
    view = View("", 0, (height, width), found, image=image)
    features = segmenter.encode_image([image])
    owner = [0] * len(found)
    segmented = segment_small_and_others(
        segmenter, features, [view], owner, found.boxes, settings.tracker
    )
    logits, closeups = whole_parts(segmented, settings.tracker.least_part)
    masks = Masks(logits, height, width, closeups)
    [closeups] = refine(segmenter, [image], [masks], settings.tracker)
    return _with_masks(found, Masks(logits, height, width, closeups))


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
