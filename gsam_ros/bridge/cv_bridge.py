"""cv_bridge where it is installed and works.

It may be there and not work: built for another numpy or OpenCV than the ones that are imported.
So it has to turn one small image right before it is trusted.
"""

from __future__ import annotations

import importlib
import logging
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # bags are read on machines without ROS, where there is no cv_bridge either
    from sensor_msgs.msg import Image

_LOG = logging.getLogger(__name__)

_ENCODINGS = frozenset(
    [
        *("bgr8", "rgba8", "bgra8", "mono8", "yuv422", "yuv422_yuy2"),
        *(f"bayer_{pattern}8" for pattern in ("rggb", "bggr", "gbrg", "grbg")),
    ]
)
"""What every release since Humble's converts to rgb8 without loss. 16 bits stay out: its byte
swapping calls a method that numpy 2 has not."""


def to_rgb(message: Image) -> np.ndarray | None:
    """[H, W, 3] uint8 RGB, or None where cv_bridge is not there or doesn't do this encoding.

    The message has to be valid: height, width, step and data agree. cv_bridge counts in whole
    pixels per row, so rows padded by anything else come out shifted, and a last row without its
    padding is too short for it; it swaps the bytes of 8 bits, too. So rows have to be without
    padding, and big-endian images are not its business.
    """
    if message.encoding not in _ENCODINGS or message.is_bigendian:
        return None
    if (bridge := _working_bridge()) is None:
        return None
    return np.ascontiguousarray(bridge.imgmsg_to_cv2(message, "rgb8"))


@cache
def _working_bridge() -> Any:
    """A `cv_bridge.CvBridge` that passed its test, or None."""
    try:
        bridge = importlib.import_module("cv_bridge").CvBridge()
        blue = importlib.import_module("sensor_msgs.msg").Image(
            height=2, width=2, encoding="bgr8", step=6
        )
        blue.data.frombytes(bytes((255, 0, 0)) * 4)
        image = np.asarray(bridge.imgmsg_to_cv2(blue, "rgb8"))
        if image.shape != (2, 2, 3) or (image != (0, 0, 255)).any():
            raise ValueError("it turned a blue image into another one")
    except ModuleNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001  a foreign binary may raise anything
        _LOG.warning(
            "cv_bridge is installed and does not work (%s: %s); images are converted without it",
            type(error).__name__,
            error,
        )
        return None
    return bridge
