"""Results as messages, built from their definitions and without ROS.

They are the node's, field by field: bridge/ makes them of the message packages' classes, this of
rosbags' classes, and a test holds the bytes of both against each other.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from gsam_ros.instances import Instances, LateDetection
from gsam_ros.prompts import Prompt
from gsam_ros.recordings.message_types import typestore
from gsam_ros.stages import Stage

INSTANCES = "gsam_ros/msg/InstanceArray"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
LABEL_INFO = "vision_msgs/msg/LabelInfo"
FRAME_STATUS = "gsam_ros/msg/FrameStatus"
IMAGE = "sensor_msgs/msg/Image"


def message(kind: str, *values: Any) -> Any:
    """A message of a type such as "std_msgs/msg/Header", from its fields in their order."""
    return typestore().types[kind](*values)


def time_message(stamp: int) -> Any:
    """Nanoseconds as builtin_interfaces/Time."""
    return message("builtin_interfaces/msg/Time", *divmod(stamp, 10**9))


def header_message(stamp: int, frame_id: str) -> Any:
    """A std_msgs/Header; `stamp` in nanoseconds."""
    return message("std_msgs/msg/Header", time_message(stamp), frame_id)


def box_message(left: float, top: float, right: float, bottom: float) -> Any:
    """A box from its corners in pixels."""
    point = message("vision_msgs/msg/Point2D", (left + right) / 2, (top + bottom) / 2)
    centre = message("vision_msgs/msg/Pose2D", point, 0.0)
    return message("vision_msgs/msg/BoundingBox2D", centre, right - left, bottom - top)


def image_message(header: Any, pixels: np.ndarray, encoding: str) -> Any:
    """A sensor_msgs/Image of an array, [H, W] or [H, W, C], of the encoding's own type."""
    data = np.ascontiguousarray(pixels)
    order = int(sys.byteorder == "big")
    height, width, step = data.shape[0], data.shape[1], data.strides[0]
    flat = data.reshape(-1).view(np.uint8)
    return message(IMAGE, header, height, width, encoding, order, step, flat)


def instance_array(instances: Instances, prompt: Prompt | None, header: Any) -> Any:
    """As `bridge.instances.instance_array`."""
    size = instances.masks.height, instances.masks.width
    rows = zip(_rows(instances, prompt), instances.state, instances.masks.rle(), strict=True)
    found = [
        message(
            "gsam_ros/msg/Instance",
            track,
            phrase + 1,
            name,
            score,
            int(state),
            box_message(*box),
            message("gsam_ros/msg/RleMask", *size, counts),
        )
        for (box, score, phrase, name, track), state, counts in rows
    ]
    return message(INSTANCES, header, prompt.version if prompt else 0, found)


def detection_array(instances: Instances, prompt: Prompt | None, header: Any) -> Any:
    """As `bridge.detections.detection_array`."""
    found = [
        message(
            "vision_msgs/msg/Detection2D",
            header,
            [
                message(
                    "vision_msgs/msg/ObjectHypothesisWithPose",
                    message("vision_msgs/msg/ObjectHypothesis", name, score),
                    _no_pose(),
                )
            ],
            box_message(*box),
            str(track),
        )
        for box, score, _, name, track in _rows(instances, prompt)
    ]
    return message(DETECTIONS, header, found)


def instance_mask(instances: Instances, header: Any) -> Any:
    """As `bridge.masks.instance_mask`."""
    values = (instances.track_id - 1) % 65535 + 1
    return image_message(header, instances.masks.paint(values, np.uint16), "mono16")


def semantic_mask(instances: Instances, header: Any) -> Any:
    """As `bridge.masks.semantic_mask`."""
    values = instances.phrase_index + 1
    return image_message(header, instances.masks.paint(values, np.uint8), "mono8")


def label_info(prompt: Prompt, threshold: float, time: int) -> Any:
    """As `bridge.label_info.label_info`; `time` in nanoseconds."""
    classes = [
        message("vision_msgs/msg/VisionClass", index, phrase)
        for index, phrase in enumerate(prompt.classes, start=1)
    ]
    header = header_message(time, f"prompt {prompt.version}")
    return message(LABEL_INFO, header, classes, threshold)


def frame_status(
    header: Any,
    camera: str,
    answer: tuple[int, bool, int],
    times: tuple[int, int, float],
    stages: Sequence[Stage],
    late: LateDetection | None,
    counts: tuple[int, int, Mapping[str, int]],
) -> Any:
    """A gsam_ros/FrameStatus.

    Args:
        header: the image's own.
        camera: its name.
        answer: version of the prompt, whether the detector ran, how many instances.
        times: when the image was received and its results left, nanoseconds; seconds between the
            image's stamp and the latter.
        stages: seconds since the image was received.
        late: what was found beside, if anything was.
        counts: frames received, frames processed, frames dropped by cause.
    """
    received, published, age = times
    frames_received, frames_processed, drops = counts
    return message(
        FRAME_STATUS,
        header,
        camera,
        *answer,
        time_message(received),
        time_message(published),
        age,
        [stage.name for stage in stages],
        np.array([1e3 * stage.begin for stage in stages]),
        np.array([1e3 * stage.end for stage in stages]),
        time_message(late.stamp if late else 0),
        late.detect_ms if late else 0.0,
        late.catch_up_ms if late else 0.0,
        frames_received,
        frames_processed,
        list(drops),
        np.array(list(drops.values()), np.uint64),
    )


def _rows(
    instances: Instances, prompt: Prompt | None
) -> Sequence[tuple[list[float], float, int, str, int]]:
    """Box, score, index and text of the phrase, and id of every instance."""
    columns = (instances.boxes, instances.scores, instances.phrase_index, instances.track_id)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    names = prompt.classes if prompt else ()
    return [(box, score, i, names[i], track) for box, score, i, track in rows]


@cache
def _no_pose() -> Any:
    """An image tells no pose; one message serves for all, since nobody writes to it."""
    point = message("geometry_msgs/msg/Point", 0.0, 0.0, 0.0)
    turn = message("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 1.0)
    pose = message("geometry_msgs/msg/Pose", point, turn)
    return message("geometry_msgs/msg/PoseWithCovariance", pose, np.zeros(36))
