"""Camera images to RGB arrays, whatever their encoding; arrays to image messages.

Encodings are those of sensor_msgs/image_encodings.hpp. Where it is installed and works, cv_bridge
converts those that every release of it knows; everything else, and everything on a machine without
it, is done here with numpy and OpenCV, to the same result.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from gsam_ros.bridge import cv_bridge
from gsam_ros.pipeline.drops import BadFrameError

if TYPE_CHECKING:  # images are decoded on machines without ROS, too, out of bags
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header


@dataclass(frozen=True)
class _Encoding:
    """How pixels lie in an image message.

    Attributes:
        channels: numbers per pixel.
        dtype: of one number.
        to_rgb: OpenCV's conversion from it to RGB; None where it is RGB already.
        stretch: the numbers have no fixed range (counts of a thermal camera, millimetres).
        block: width and height must be multiples of it (columns, rows).
    """

    channels: int
    dtype: type[np.generic] = np.uint8
    to_rgb: int | None = None
    stretch: bool = False
    block: tuple[int, int] = (1, 1)


_YUYV = _Encoding(2, to_rgb=cv2.COLOR_YUV2RGB_YUYV, block=(2, 1))
_UYVY = _Encoding(2, to_rgb=cv2.COLOR_YUV2RGB_UYVY, block=(2, 1))
_GREY16 = _Encoding(1, np.uint16, cv2.COLOR_GRAY2RGB)
_COUNTS = _Encoding(1, np.uint16, cv2.COLOR_GRAY2RGB, stretch=True)
# Images without a named colour order come from OpenCV, whose order is BGR.
_ENCODINGS = {
    "rgb8": _Encoding(3),
    "bgr8": _Encoding(3, to_rgb=cv2.COLOR_BGR2RGB),
    "rgba8": _Encoding(4, to_rgb=cv2.COLOR_RGBA2RGB),
    "bgra8": _Encoding(4, to_rgb=cv2.COLOR_BGRA2RGB),
    "mono8": _Encoding(1, to_rgb=cv2.COLOR_GRAY2RGB),
    "8UC1": _Encoding(1, to_rgb=cv2.COLOR_GRAY2RGB),
    "8UC3": _Encoding(3, to_rgb=cv2.COLOR_BGR2RGB),
    "8UC4": _Encoding(4, to_rgb=cv2.COLOR_BGRA2RGB),
    "rgb16": _Encoding(3, np.uint16),
    "bgr16": _Encoding(3, np.uint16, cv2.COLOR_BGR2RGB),
    "rgba16": _Encoding(4, np.uint16, cv2.COLOR_RGBA2RGB),
    "bgra16": _Encoding(4, np.uint16, cv2.COLOR_BGRA2RGB),
    "mono16": _GREY16,
    "16UC1": _COUNTS,
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    # The pattern's first row as ROS names it; OpenCV's older names start elsewhere.
    **{
        f"bayer_{pattern}{bits}": _Encoding(1, dtype, conversion, block=(2, 2))
        for pattern, conversion in {
            "rggb": cv2.COLOR_BayerRGGB2RGB,
            "bggr": cv2.COLOR_BayerBGGR2RGB,
            "gbrg": cv2.COLOR_BayerGBRG2RGB,
            "grbg": cv2.COLOR_BayerGRBG2RGB,
        }.items()
        for bits, dtype in ((8, np.uint8), (16, np.uint16))
    },
}

ENCODINGS = tuple(_ENCODINGS)
"""Every encoding that `decode_image` reads."""


def decode_image(message: Image) -> np.ndarray:
    """The image as [height, width, 3] uint8 RGB.

    Rows may be padded (`step`), 16-bit numbers may be big-endian. rgb8 is a view of the message's
    data. 16-bit colour, grey and Bayer images keep their upper 8 bits; 16UC1, whose numbers have no
    fixed range, is stretched from its darkest to its brightest percentile.

    Raises:
        BadFrameError: no pixels, an unknown encoding, or data that doesn't fit width, height and
            step.
    """
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        raise BadFrameError(
            f"its encoding {message.encoding[:40]!r} is not known: have the camera driver publish "
            f"one of {', '.join(ENCODINGS)}"
        )
    pixels = _pixels(message, encoding)
    if encoding.to_rgb is None and encoding.dtype is np.uint8:
        return pixels
    dense = message.height * message.step == len(message.data) == pixels.nbytes
    converted = cv_bridge.to_rgb(message) if dense else None
    return to_rgb(pixels, message.encoding) if converted is None else converted


def to_rgb(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """Pixels of a known encoding ([H, W] or [H, W, C], as stored) as [H, W, 3] uint8 RGB."""
    known = _ENCODINGS[encoding]
    if known.stretch:
        pixels = _stretch(pixels)
    elif known.dtype is np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if known.to_rgb is None:
        return pixels
    return cv2.cvtColor(pixels, known.to_rgb)


def encode_image(image: np.ndarray, encoding: str, header: Header) -> Image:
    """A message of an array, [H, W] or [H, W, C], contiguous, of the encoding's own type."""
    from sensor_msgs.msg import Image

    message = Image(
        header=header,
        height=image.shape[0],
        width=image.shape[1],
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big"),
        step=image.strides[0],
    )
    # Assigning an array or bytes goes through Python one number at a time, 68 ms for 640x480 RGB.
    message.data.frombytes(image.data.cast("B"))
    return message


def _pixels(message: Image, encoding: _Encoding) -> np.ndarray:
    """The numbers of a message where they lie: [H, W] or [H, W, C], rows `step` bytes apart."""
    height, width, step = message.height, message.width, message.step
    dtype = np.dtype(encoding.dtype).newbyteorder(">" if message.is_bigendian else "<")
    row = width * encoding.channels * dtype.itemsize
    columns, rows = encoding.block
    size = f"its {width}x{height} pixels of {message.encoding}"
    if not height or not width:
        raise BadFrameError(f"it has no pixels ({width}x{height})")
    if width % columns or height % rows:
        raise BadFrameError(f"{size} are not a multiple of {columns}x{rows}")
    if step < row:
        raise BadFrameError(f"{size} need {row} bytes per row, its step is {step}")
    # Some drivers leave out the padding of the last row.
    needed = (height - 1) * step + row
    if len(message.data) < needed:
        raise BadFrameError(
            f"{size} with a step of {step} need {needed} bytes, it has {len(message.data)}"
        )
    shape, strides = [height, width], [step, encoding.channels * dtype.itemsize]
    if encoding.channels > 1:
        shape.append(encoding.channels)
        strides.append(dtype.itemsize)
    return np.ndarray(shape, dtype, memoryview(message.data), strides=strides)


def _stretch(counts: np.ndarray) -> np.ndarray:
    """uint8 of uint16: the 1st percentile becomes 0, the 99th 255.

    A few hot or dead pixels must not set the range; every fourth pixel either way tells enough.
    """
    low, high = np.percentile(counts[::4, ::4], (1, 99))
    scale = 255 / max(high - low, 1)
    return cv2.convertScaleAbs(np.clip(counts, low, high) - low, alpha=scale)
