"""cv_bridge where it is installed and works.

It may be there and not work: built for another numpy or OpenCV than the ones that are imported. One
that was built for numpy 1 does not fail under numpy 2, it ends the process (SIGSEGV). So it has to
turn one small image right in a process of its own before it is trusted here.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import signal
import subprocess
import sys
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

_TEST = """
from cv_bridge import CvBridge
from sensor_msgs.msg import Image
blue = Image(height=2, width=2, encoding="bgr8", step=6)
blue.data.frombytes(bytes((255, 0, 0)) * 4)
image = CvBridge().imgmsg_to_cv2(blue, "rgb8")
if image.tolist() != [[[0, 0, 255]] * 2] * 2:
    raise SystemExit("it turned a blue image into another one")
"""
_PATIENCE = 60.0  # seconds for the test, which takes one


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
    """A `cv_bridge.CvBridge`, if there is one that passes its test; else None."""
    if importlib.util.find_spec("cv_bridge") is None:
        return None
    if fault := _fault():
        _LOG.warning(
            "cv_bridge is installed and does not work with numpy %s (%s); images are converted "
            "without it",
            np.__version__,
            fault,
        )
        return None
    return importlib.import_module("cv_bridge").CvBridge()


def _fault() -> str:
    """Why cv_bridge does not pass its test; empty where it does."""
    command = [sys.executable, "-c", _TEST]
    try:
        test = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if test.returncode < 0:
        return f"its process ended with {signal.Signals(-test.returncode).name}"
    if test.returncode:
        return (test.stderr.strip().splitlines() or [f"exit status {test.returncode}"])[-1]
    return ""
