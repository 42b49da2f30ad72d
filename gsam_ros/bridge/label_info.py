"""What the class ids mean, as vision_msgs/LabelInfo."""

from __future__ import annotations

from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo, VisionClass

from gsam_ros.bridge.stamps import to_time
from gsam_ros.prompts import Prompt

_VERSION = "prompt "


def label_info(prompt: Prompt, threshold: float, now: int) -> LabelInfo:
    """The classes of a prompt, from 1.

    LabelInfo has no field for the prompt's version and needs no coordinate frame, so `frame_id`
    reads "prompt 3" for version 3.

    Args:
        prompt: what is looked for.
        threshold: least score of a detection, [0, 1].
        now: nanoseconds, from when on the prompt is in force.
    """
    return LabelInfo(
        header=Header(stamp=to_time(now), frame_id=f"{_VERSION}{prompt.version}"),
        class_map=[
            VisionClass(class_id=index, class_name=phrase)
            for index, phrase in enumerate(prompt.classes, start=1)
        ],
        threshold=threshold,
    )


def prompt_version(message: LabelInfo) -> int:
    """The version of the prompt that a `label_info` of ours speaks of.

    Raises:
        ValueError: the message is not one of ours.
    """
    frame_id = message.header.frame_id
    if not frame_id.startswith(_VERSION):
        raise ValueError(f"frame_id is {frame_id!r}, gsam_ros writes '{_VERSION}<version>'")
    return int(frame_id.removeprefix(_VERSION))
