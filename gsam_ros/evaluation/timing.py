"""How old results were and where the time went, out of recorded `frame_status`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


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


def score_timing(statuses: Iterable[Any]) -> TimingFigures:
    """Sum up gsam_ros/FrameStatus messages of all cameras, each camera's in order."""
    ages: list[float] = []
    stages: dict[str, list[float]] = defaultdict(list)
    newest_drops: dict[str, dict[str, int]] = {}
    keyframes = 0
    for status in statuses:
        ages.append(status.age)
        keyframes += bool(status.keyframe)
        for name, milliseconds in zip(status.stage_names, status.stage_ms, strict=True):
            stages[name].append(float(milliseconds))
        counts = map(int, status.drop_counts)
        newest_drops[status.camera] = dict(zip(status.drop_causes, counts, strict=True))
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
