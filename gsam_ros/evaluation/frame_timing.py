"""How old one frame's results were and where its time went, out of a recorded `frame_status`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gsam_ros.recordings.stamps import stamp_of
from gsam_ros.stages import Stage, milliseconds


@dataclass(frozen=True)
class FrameTiming:
    """What `frame_status` says of one frame.

    Attributes:
        camera: its name.
        stamp: nanoseconds, of the image.
        age: seconds from the stamp to the moment when the results left, on the node's clock.
        keyframe: the detector ran on it.
        runs: of its stages, in order; seconds since the frame was received.
        drops: cause to frames of this camera that were dropped so far.
    """

    camera: str
    stamp: int
    age: float
    keyframe: bool
    runs: tuple[Stage, ...]
    drops: dict[str, int]

    @property
    def stages(self) -> dict[str, float]:
        """Stage name to milliseconds, of the stages that ran."""
        return milliseconds(self.runs)


def timing_of(status: Any) -> FrameTiming:
    """A gsam_ros/FrameStatus as plain data."""
    return FrameTiming(
        status.camera,
        stamp_of(status.header),
        float(status.age),
        bool(status.keyframe),
        stages_of(status),
        dict(zip(status.drop_causes, map(int, status.drop_counts), strict=True)),
    )


def stages_of(status: Any) -> tuple[Stage, ...]:
    """The stages of a gsam_ros/FrameStatus, in seconds since the frame was received."""
    times = zip(status.stage_names, status.stage_begin_ms, status.stage_end_ms, strict=True)
    return tuple(Stage(name, float(begin) / 1e3, float(end) / 1e3) for name, begin, end in times)
