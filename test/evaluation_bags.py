"""Small bags for the tests of the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gsam_ros.recordings.bag import open_bag
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.message_types import typestore

Change = Callable[[int, Any], Any]


def write_answers(
    sample: Path,
    result: Path,
    cameras: Sequence[str] = ("left", "right"),
    change: Change = lambda index, message: message,
) -> None:
    """Make a result bag that answers every frame of a sample with its truth.

    Args:
        sample: bag with truth topics.
        result: bag to make.
        cameras: whose truth to take.
        change: gets each frame's number and InstanceArray, and gives what is to be written
            instead; None leaves the frame out.
    """
    status = typestore().types["gsam_ros/msg/FrameStatus"]
    time = typestore().types["builtin_interfaces/msg/Time"](0, 0)
    with open_bag(sample) as played, BagWriter(result) as writer:
        for camera in cameras:
            base = f"/gsam_node/{camera}"
            writer.add_topic(f"{base}/instances", "gsam_ros/msg/InstanceArray")
            writer.add_topic(f"{base}/frame_status", "gsam_ros/msg/FrameStatus")
            for index, record in enumerate(played.records([f"/{camera}/truth"])):
                message = change(index, played.decode(record))
                if message is None:
                    continue
                writer.write(f"{base}/instances", record.time, message)
                begins, ends = np.array([0.0, 20.0]), np.array([20.0, 30.0])
                answer = status(
                    message.header, camera, 1, index % 5 == 0, len(message.instances), time, time,
                    0.05, ["detect", "track"], begins, ends, time, 0.0, 0.0,
                    index + 1, index + 1, [], np.zeros(0, np.uint64),
                )  # fmt: skip
                writer.write(f"{base}/frame_status", record.time, answer)
