"""A camera of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import cv2

from gsam_ros.instances import Frame
from gsam_ros.recordings.sources.source import Item, Origin, Source, SourceError, Unreadable

_FAILURES = 30  # reads in a row that give no image, after which the camera is taken as gone
_RATE = 30.0  # where the driver doesn't tell


class Webcam(Source):
    """Frames as OpenCV gets them from the driver, stamped when they come in.

    Args:
        device: number or device file.
    """

    endless = True

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device
        capture = self._open()
        self.rate = capture.get(cv2.CAP_PROP_FPS) or _RATE
        capture.release()

    def items(self, skip: int = 0) -> Iterator[Item]:
        capture = self._open()
        # What waits in the driver's queue is old by the time that it is asked for.
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        index = failures = 0
        try:
            while failures < _FAILURES:
                there, image = capture.read()
                stamp = time.time_ns()
                origin = Origin(f"frame {index}", stamp)
                if there:
                    failures = 0
                    yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), stamp, token=origin)
                else:
                    failures += 1
                    yield Unreadable("", stamp, origin, "the camera gave no image")
                index += 1
        finally:
            capture.release()
        self.problems.append(f"the camera {self._device} gave no image {_FAILURES} times in a row")

    def identity(self) -> dict[str, Any]:
        return {"kind": "webcam", "device": self._device}

    def _open(self) -> cv2.VideoCapture:
        target = int(self._device) if self._device.isdigit() else self._device
        capture = cv2.VideoCapture(target)
        if not capture.isOpened():
            raise SourceError(
                f"there is no camera {self._device}, or it is in use, or this user may not read "
                "it (group video)"
            )
        return capture
