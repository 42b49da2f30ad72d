"""Instances as vision_msgs/Detection2DArray."""

from __future__ import annotations

from geometry_msgs.msg import PoseWithCovariance
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

from gsam_ros.instances import Instances
from gsam_ros.prompts import Prompt

# An image tells no pose; one message serves for all, since nobody writes to it.
_NO_POSE = PoseWithCovariance()


def bounding_box(x1: float, y1: float, x2: float, y2: float) -> BoundingBox2D:
    """A box from its corners in pixels."""
    centre = Pose2D(position=Point2D(x=(x1 + x2) / 2, y=(y1 + y2) / 2))
    return BoundingBox2D(center=centre, size_x=x2 - x1, size_y=y2 - y1)


def detection_array(
    instances: Instances, prompt: Prompt | None, header: Header
) -> Detection2DArray:
    """One detection per instance: `id` is the track id, `class_id` the phrase as typed."""
    phrases = prompt.classes if prompt else ()
    rows = zip(
        instances.boxes.tolist(),
        instances.scores.tolist(),
        instances.phrase_index.tolist(),
        instances.track_id.tolist(),
        strict=True,
    )
    detections = [
        Detection2D(
            header=header,
            results=[
                ObjectHypothesisWithPose(
                    hypothesis=ObjectHypothesis(class_id=phrases[phrase], score=score),
                    pose=_NO_POSE,
                )
            ],
            bbox=bounding_box(*box),
            id=str(track),
        )
        for box, score, phrase, track in rows
    ]
    return Detection2DArray(header=header, detections=detections)
