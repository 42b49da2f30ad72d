"""How old a run's results were and where its time went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gsam_ros.evaluation.frame_timing import FrameTiming


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
