"""Decides which frames SAM 2 processes; the others show its masks, moved by optical flow."""

from __future__ import annotations

from gsam_ros.instances import Frame, Instances
from gsam_ros.pipeline.rates import is_due
from gsam_ros.tracking.gliding import Glide


class Glides:
    """The frames of each camera since the one that SAM 2 saw last.

    Attributes:
        cameras: what is under way, by camera; what the next step depends on.
    """

    def __init__(self) -> None:
        self.cameras: dict[str, Glide] = {}

    def begin(self, frame: Frame, rate: float) -> None:
        """Start from this frame, which SAM 2 processes.

        With a `rate` of 0 it processes every frame, and nothing is kept.
        """
        if rate:
            self.cameras[frame.camera] = Glide.begin(frame)
        else:
            self.cameras.clear()

    def carry(self, frame: Frame, rate: float) -> bool:
        """Take in a frame that can do without SAM 2; False: it is SAM 2's turn.

        As after any start: of a stream, and after a change that `clear` was told of.
        """
        glide = self.cameras.get(frame.camera)
        if (
            not rate
            or glide is None
            or frame.stamp < glide.stamp
            or frame.image.shape[:2] != glide.size
            or is_due(frame.stamp - glide.start, rate)
        ):
            return False
        return glide.follow(frame)

    def stamp(self, camera: str) -> int | None:
        """Of the newest frame that SAM 2 did not look at; None where there is none."""
        glide = self.cameras.get(camera)
        return glide.stamp if glide else None

    def move(self, camera: str, instances: Instances) -> Instances:
        """What SAM 2 last showed of a camera, on its newest frame."""
        return self.cameras[camera].move(instances)

    def clear(self, camera: str | None = None) -> None:
        """The next frame of one camera or of all is SAM 2's."""
        for name in list(self.cameras) if camera is None else [camera]:
            self.cameras.pop(name, None)
