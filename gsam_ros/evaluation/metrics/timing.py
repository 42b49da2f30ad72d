"""How old results were and where the time went, out of recorded `frame_status`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gsam_ros.recordings.stamps import stamp_of
from gsam_ros.stages import Stage, milliseconds


@dataclass(frozen=True)
class Spread:
    """A distribution in three numbers.

    Attributes:
        mean: of all samples.
        p50: the median.
        p99: the value that 99 % stay below (linear interpolation).
    """

    mean: float
    p50: float
    p99: float

    @staticmethod
    def of(samples: Iterable[float]) -> Spread:
        """NaN where there are no samples."""
        values = np.fromiter(samples, float)
        if not len(values):
            return Spread(float("nan"), float("nan"), float("nan"))
        return Spread(float(values.mean()), *map(float, np.percentile(values, (50, 99))))


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


@dataclass(frozen=True)
class TimingFigures:
    """What `frame_status` says of a run.

    Attributes:
        age: seconds from a frame's stamp to the moment when its results left, on the node's clock.
        stages: stage name to milliseconds, over the frames on which the stage ran.
        keyframes: frames on which the detector ran.
        drops: cause to frames dropped, over all cameras.
    """

    age: Spread
    stages: dict[str, Spread]
    keyframes: int
    drops: dict[str, int]


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


def score_timing(timings: Iterable[FrameTiming]) -> TimingFigures:
    """Sum up the frames of all cameras, each camera's in order."""
    ages: list[float] = []
    stages: dict[str, list[float]] = defaultdict(list)
    newest_drops: dict[str, dict[str, int]] = {}
    keyframes = 0
    for timing in timings:
        ages.append(timing.age)
        keyframes += timing.keyframe
        for name, taken in timing.stages.items():
            stages[name].append(taken)
        newest_drops[timing.camera] = timing.drops
    drops: dict[str, int] = defaultdict(int)
    for per_cause in newest_drops.values():
        for cause, count in per_cause.items():
            drops[cause] += count
    return TimingFigures(
        Spread.of(ages),
        {name: Spread.of(ms) for name, ms in stages.items()},
        keyframes,
        dict(drops),
    )
