"""Messages that point at an object, as `VisualPrompt`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import Image

from gsam_ros import msg
from gsam_ros.bridge.images import decode_image
from gsam_ros.bridge.stamps import nanoseconds
from gsam_ros.pipeline.drops import BadFrameError
from gsam_ros.prompts import PromptError
from gsam_ros.visual_prompts import VisualPrompt


def camera_meant(frame_id: str, cameras: Mapping[str, str]) -> str:
    """The name of the camera that is meant by a frame_id.

    Args:
        frame_id: a camera's name or the frame_id of its images; where there is one camera only,
            that one is meant whatever it says.
        cameras: name to frame_id of the newest image, of every camera.

    Raises:
        PromptError: no camera is meant, or more than one.
    """
    if not cameras:
        raise PromptError("there is no camera yet: the node is not configured")
    if len(cameras) == 1:
        return next(iter(cameras))
    if frame_id in cameras:
        return frame_id
    owners = [name for name, of_images in cameras.items() if of_images and of_images == frame_id]
    if len(owners) != 1:
        names = ", ".join(map(repr, cameras))
        what = "several cameras have" if owners else "no camera has"
        raise PromptError(f"{what} the name or frame_id {frame_id!r}: name one of {names}")
    return owners[0]


def camera_of_name(name: str, cameras: Collection[str]) -> str:
    """The camera of a name as in the parameter `cameras`; the empty one means the only camera.

    Raises:
        PromptError: there is none of that name.
    """
    if name in cameras:
        return name
    if not name and len(cameras) == 1:
        return next(iter(cameras))
    names = ", ".join(repr(each) for each in cameras if each)
    raise PromptError(
        f"there is no camera {name!r}: " + (f"name one of {names}" if names else "leave it empty")
    )


def visual_prompt(message: msg.VisualPrompt, cameras: Mapping[str, str]) -> VisualPrompt:
    """What a gsam_ros/VisualPrompt points at; `cameras` as of `camera_meant`.

    Its stamp is that of the image that was pointed at; 0 means the newest one.

    Raises:
        PromptError: it can't be used.
    """
    stamp = nanoseconds(message.header.stamp)
    points = [(point.x, point.y) for point in message.points]
    return VisualPrompt(
        camera_meant(message.header.frame_id, cameras),
        message.name,
        box=np.array(message.box, np.float32) if len(message.box) else None,
        points=np.array(points, np.float32) if points else None,
        labels=np.array(message.labels, np.int32) if len(message.labels) else None,
        mask=_mask(message.mask),
        stamp=stamp or None,
    )


def clicked_point(message: PointStamped, cameras: Mapping[str, str], name: str) -> VisualPrompt:
    """What a click on an image points at: x and y are pixels, z is 0.

    It is looked for in the newest image: viewers stamp a click with all kinds of times.

    Raises:
        PromptError: it can't be used.
    """
    point = message.point
    if point.z:
        raise PromptError(
            f"the point ({point.x:g}, {point.y:g}, {point.z:g}) lies in space (a click in a 3D "
            "view): click on the image, with x and y in pixels and z 0"
        )
    return VisualPrompt(
        camera_meant(message.header.frame_id, cameras),
        name,
        points=np.array([(point.x, point.y)], np.float32),
    )


def _mask(image: Image) -> np.ndarray | None:
    """[H, W] bool; None where the message holds no image at all."""
    if not image.height and not image.width and not len(image.data):
        return None
    if image.encoding not in ("mono8", "8UC1"):
        raise PromptError(f"the mask's encoding is {image.encoding[:40]!r}: give mono8")
    try:
        return decode_image(image)[..., 0] > 0
    except BadFrameError as error:
        raise PromptError(f"the mask can't be read: {error}") from error
