"""Depth images and camera_info, as drivers publish them, to metres and pixels."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from gsam_ros.depth import Pinhole
from gsam_ros.pipeline.drops import BadFrameError

_METRES = {"16UC1": (np.uint16, 0.001), "32FC1": (np.float32, 1.0)}  # REP 118


def decode_depth(message: Image) -> np.ndarray:
    """The depth image as [height, width] float32 metres; `surfaces` tells what is no reading.

    Raises:
        BadFrameError: the encoding is no depth image's, or the data doesn't fit its size.
    """
    if message.encoding not in _METRES:
        raise BadFrameError(
            f"its encoding {message.encoding[:40]!r} is no depth image's: have the driver publish "
            "16UC1 (millimetres) or 32FC1 (metres)"
        )
    kind, scale = _METRES[message.encoding]
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    height, width, step = message.height, message.width, message.step
    row = width * dtype.itemsize
    needed = (height - 1) * step + row
    if not height or not width or step < row or len(message.data) < needed:
        raise BadFrameError(
            f"its {width}x{height} pixels of {message.encoding} with a step of {step} don't fit "
            f"its {len(message.data)} bytes"
        )
    strides = (step, dtype.itemsize)
    stored = np.ndarray((height, width), dtype, memoryview(message.data), strides=strides)
    return stored * np.float32(scale)


def pinhole(message: CameraInfo, shape: tuple[int, ...] = (0, 0)) -> Pinhole:
    """The camera of rectified images, for the part of the sensor that is read out.

    Where the message leaves the size open (0, as simulators do), it is `shape`, (height, width).

    As image_geometry does, the projection matrix P is taken, which is that of the rectified image,
    and K where a driver leaves P empty; region of interest and binning are applied.

    Raises:
        BadFrameError: the camera is not calibrated, or its numbers are none.
    """
    fx, _, cx, _, _, fy, cy = message.p[:7]
    if not fx:
        fx, _, cx, _, fy, cy = message.k[:6]
    if not fx or not fy:
        raise BadFrameError(
            "it holds no focal length: calibrate the camera, or have the driver publish K or P"
        )
    if not np.isfinite([fx, fy, cx, cy]).all():
        raise BadFrameError(
            f"its focal length and centre are {fx:g}, {fy:g}, {cx:g}, {cy:g}: calibrate the camera "
            "anew"
        )
    across, down = max(message.binning_x, 1), max(message.binning_y, 1)
    roi = message.roi
    return Pinhole(
        fx / across,
        fy / down,
        (cx - roi.x_offset) / across,
        (cy - roi.y_offset) / down,
        (roi.width or message.width) // across or shape[1],
        (roi.height or message.height) // down or shape[0],
    )
