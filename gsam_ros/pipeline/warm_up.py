"""Both models run once, so that the first real frame is as fast as the hundredth."""

from __future__ import annotations

import numpy as np

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.instances import Detections
from gsam_ros.pipeline.late_detections import LateDetections
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.segmenters.interface import SegmentationModel
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker


def warm_up(
    detector: GroundingDetector,
    segmenter: SegmentationModel,
    settings: TrackerSettings,
    late: LateDetections | None,
) -> None:
    """One detection, where it will be made, and two frames of one object."""
    image = np.zeros((480, 640, 3), np.uint8)
    text = detector.encode(("warm up",))
    if late:  # on a GPU, every thread has handles of its own
        late.warm_up(lambda: detector.detect([image], text))
    else:
        detector.detect([image], text)
    features = segmenter.encode_image([image])
    box = np.array([[0, 0, 320, 240]], np.float32)
    found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))
    tracker = InstanceTracker(segmenter, settings)
    tracker.set_phrases(("warm up",))
    for stamp in range(2):
        tracker.step(features, [View("", stamp, (480, 640), found if not stamp else None)])
