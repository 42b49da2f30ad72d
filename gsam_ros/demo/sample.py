"""Writes the sample recording: the demo world as two cameras see it, with its truth.

For each camera NAME of the world (`left`, `right`):

    /NAME/image              sensor_msgs/Image, rgb8
    /NAME/image/compressed   sensor_msgs/CompressedImage, JPEG of the same
    /NAME/camera_info        sensor_msgs/CameraInfo
    /NAME/depth              sensor_msgs/Image, 16UC1, millimetres along the optical axis (REP 118)
    /NAME/truth              gsam_ros/InstanceArray, every object in view, whatever the prompt:
                             track_id is the object, phrase its colour and shape, and score the
                             share of it that is visible
    /prompt                  std_msgs/String, one at the start and another half-way
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from gsam_ros.instances import TrackState
from gsam_ros.recordings.bag_writer import LATCHED, BagWriter
from gsam_ros.recordings.message_types import typestore
from gsam_ros.recordings.result_messages import box_message, image_message
from gsam_ros.world.room import PinholeCamera
from gsam_ros.world.scene import RenderedFrame, Scene
from gsam_ros.world.vocabulary import (
    COLOUR_SYNONYMS,
    PAIRS,
    SHAPE_SYNONYMS,
    Pair,
    phrase_of,
)

START = 1_767_225_600 * 10**9
"""Stamp of the first frame in nanoseconds: the recording is the same whenever it is written."""

_JPEG_QUALITY = 90
_TYPES = {
    "image": "sensor_msgs/msg/Image",
    "image/compressed": "sensor_msgs/msg/CompressedImage",
    "camera_info": "sensor_msgs/msg/CameraInfo",
    "depth": "sensor_msgs/msg/Image",
    "truth": "gsam_ros/msg/InstanceArray",
}


@dataclass(frozen=True)
class SampleOptions:
    """What to record.

    Attributes:
        seconds: length.
        rate: frames per second and camera.
        seed: of the world.
    """

    seconds: float = 20.0
    rate: float = 10.0
    seed: int = 1

    @property
    def frames(self) -> int:
        """Frames per camera."""
        return max(2, round(self.seconds * self.rate))


def write_sample(
    path: Path, options: SampleOptions, progress: Callable[[int], object] = lambda frames: None
) -> list[str]:
    """Write the recording.

    The cameras are not synchronised: they take turns, as free-running cameras do.

    Args:
        path: folder to make.
        options: what to record.
        progress: told after each frame how many frames more there are.

    Returns:
        The names of the cameras.

    Raises:
        BagError: the folder exists or can't be written.
        MessageTypeError: message definitions are missing.
    """
    scene = Scene(options.seed)
    period = round(1e9 / options.rate)
    lag = period // len(scene.cameras)
    first, second = prompts_of(scene.pairs)
    with BagWriter(path) as writer:
        writer.add_topic("/prompt", "std_msgs/msg/String", LATCHED)
        for camera in scene.cameras:
            for name, kind in _TYPES.items():
                writer.add_topic(f"/{camera.name}/{name}", kind)
        for i in range(options.frames):
            if i == 0:
                _write_prompt(writer, START, first)
            elif i == options.frames // 2:
                _write_prompt(writer, START + i * period, second)
            for number, camera in enumerate(scene.cameras):
                t = i * period + number * lag
                _write_frame(writer, camera, START + t, scene.render(number, t / 1e9))
                progress(1)
    return [camera.name for camera in scene.cameras]


def prompts_of(cast: Mapping[int, Pair]) -> tuple[str, str]:
    """Two prompts for a cast of nine objects, of which 1 and 2 are twins.

    "colour shape" for most; the second prompt keeps two phrases, says a shape alone, and says
    a colour and a shape by other words. One object is never named.
    """
    twins, kept = phrase_of(cast[1]), phrase_of(cast[7])
    first = [twins, phrase_of(cast[5]), phrase_of(cast[4]), kept]
    colour, shape = cast[9]
    second = [
        twins,
        kept,
        SHAPE_SYNONYMS[cast[3][1]][0],
        phrase_of(cast[8]),
        f"{COLOUR_SYNONYMS[colour][0]} {SHAPE_SYNONYMS[shape][0]}",
    ]
    return " ".join(f"{p}." for p in first), " ".join(f"{p}." for p in second)


def truth_message(header: Any, frame: RenderedFrame) -> Any:
    """The objects of a rendered frame as a gsam_ros/InstanceArray of the typestore."""
    types = typestore().types
    found = [
        types["gsam_ros/msg/Instance"](
            track_id=int(frame.ids[i]),
            class_id=1 + PAIRS.index(pair),
            phrase=phrase_of(pair),
            score=float(frame.visible[i]),
            state=int(TrackState.CONFIRMED),
            bbox=box_message(*frame.boxes[i].tolist()),
            mask=_mask_message(frame.masks[i]),
        )
        for i, pair in enumerate(frame.pairs)
    ]
    return types["gsam_ros/msg/InstanceArray"](header, 0, found)


def _write_prompt(writer: BagWriter, time: int, text: str) -> None:
    writer.write("/prompt", time, typestore().types["std_msgs/msg/String"](text))


def _write_frame(writer: BagWriter, camera: PinholeCamera, time: int, frame: RenderedFrame) -> None:
    """All messages of one camera at one moment."""
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(time, 10**9))
    header = types["std_msgs/msg/Header"](stamp, f"{camera.name}_optical")
    depth = np.round(frame.depth * 1000).clip(0, 65535).astype("<u2")
    messages = {
        "image": image_message(header, frame.image, "rgb8"),
        "image/compressed": _jpeg_message(header, frame.image),
        "camera_info": _camera_info(header, camera),
        "depth": image_message(header, depth, "16UC1"),
        "truth": truth_message(header, frame),
    }
    for name, message in messages.items():
        writer.write(f"/{camera.name}/{name}", time, message)


def _jpeg_message(header: Any, image: np.ndarray) -> Any:
    """As compressed_image_transport would send it."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    return typestore().types["sensor_msgs/msg/CompressedImage"](
        header, "rgb8; jpeg compressed bgr8", data.reshape(-1)
    )


def _camera_info(header: Any, camera: PinholeCamera) -> Any:
    """An undistorted, rectified pinhole."""
    types = typestore().types
    k = camera.matrix.astype(np.float64)
    p = np.concatenate([k, np.zeros((3, 1))], axis=1)
    region = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    return types["sensor_msgs/msg/CameraInfo"](
        header,
        camera.height,
        camera.width,
        "plumb_bob",
        np.zeros(5),
        k.reshape(-1),
        np.eye(3).reshape(-1),
        p.reshape(-1),
        0,
        0,
        region,
    )


def _mask_message(mask: np.ndarray) -> Any:
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return typestore().types["gsam_ros/msg/RleMask"](*mask.shape, encoded["counts"].decode("ascii"))
