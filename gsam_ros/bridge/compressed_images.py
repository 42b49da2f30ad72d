"""JPEG and PNG images of sensor_msgs/CompressedImage to RGB arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from gsam_ros.bridge.images import ENCODINGS, to_rgb
from gsam_ros.pipeline.drops import BadFrameError

if TYPE_CHECKING:  # as in images.py
    from sensor_msgs.msg import CompressedImage


def decode_compressed_image(message: CompressedImage) -> np.ndarray:
    """The image as [height, width, 3] uint8 RGB.

    `format` is read as compressed_image_transport writes it ("bgr8; jpeg compressed bgr8"); the
    bare name of a codec, as many drivers write it, does as well. A rotation in EXIF is not
    applied: results are in pixels of the image as it was sent.

    Raises:
        BadFrameError: depth images, data that is no image, and pixels that `format` belies.
    """
    source, _, compression = (part.strip() for part in message.format.partition(";"))
    if "compressedDepth" in compression:
        raise BadFrameError(
            f"its format {message.format!r} is depth: subscribe the camera's colour image"
        )
    data = np.frombuffer(message.data, np.uint8)
    # OpenCV would take a mosaic for grey, and cut counts off to their upper 8 bits.
    is_grey = source in ENCODINGS and source.startswith(("bayer_", "16UC1"))
    mode = cv2.IMREAD_UNCHANGED if is_grey else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(data, mode) if len(data) else None
    except cv2.error as error:  # a header that asks for more pixels than OpenCV, or memory, has
        raise _refusal(message, str(error.err)) from error
    if image is None:
        raise _refusal(message, "JPEG and PNG can")
    if is_grey and image.ndim == 2 and image.dtype in (np.uint8, np.uint16):
        return to_rgb(image, _stored(source, bits=8 * image.itemsize))
    if image.ndim != 3 or image.dtype != np.uint8:
        channels = "1 channel" if image.ndim == 2 else f"{image.shape[2]} channels"
        raise _refusal(
            message,
            f"{source} is one channel of uint8 or uint16, they hold {channels} of {image.dtype}: "
            "have the camera driver name the format that it writes",
        )
    # "compressed rgb8": the RGB image was handed to the codec as if it were BGR, so it comes back
    # as RGB where OpenCV means BGR.
    if "compressed rgb" in compression:
        return np.ascontiguousarray(image[..., :3])
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _stored(source: str, bits: int) -> str:
    """The encoding of what a codec keeps of a mosaic or of counts; JPEG has 8 bits."""
    return f"{bits}UC1" if source == "16UC1" else f"{source.rstrip('0123456789')}{bits}"


def _refusal(message: CompressedImage, reason: str) -> BadFrameError:
    return BadFrameError(
        f"its {len(message.data)} bytes of format {message.format[:40]!r} are no image that can be "
        f"decoded: {reason}"
    )
