"""The block bootstrap: a recording as a sample of stretches of time.

Frames of one video are not independent: what is missed at one frame is mostly missed at the next,
and two cameras that look at the same scene miss it together. Drawing single frames with replacement
would therefore promise far too much. Here the recording is cut into blocks of equal length, each
with the frames of all cameras and both runs, and blocks are drawn with replacement (Carlstein, "The
use of subseries values for estimating the variance of a general statistic from a stationary
sequence", Annals of Statistics 14, 1986; Kuensch, "The jackknife and the bootstrap for general
stationary observations", Annals of Statistics 17, 1989). Both runs get the same draw, so what makes
a scene hard for both cancels out of their difference.

The interval is the expanded percentile interval of Hesterberg, "What Teachers Should Know About the
Bootstrap", The American Statistician 69, 2015: the plain one is too narrow for few blocks, as
normal quantiles in place of Student's are. So few, long blocks do no harm, and short ones do, since
neighbours then depend on each other; 10 to 30 blocks are enough (Schmeiser, "Batch size effects in
the analysis of simulation output", Operations Research 30, 1982).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

SHORTEST = 2.0
"""Seconds of a block, unless told otherwise; objects are mostly missed for less than that."""

MOST = 10
"""Blocks of a recording, unless told otherwise: those of long ones are longer."""

FEW = 5
"""With fewer blocks an interval says little."""

DRAWS = 2000
_LONGEST = 2**62  # nanoseconds, 146 years; what an int64 holds
LEVEL = 95
"""Percent of the intervals that hold the true difference."""


@dataclass(frozen=True)
class Blocks:
    """A recording in stretches of equal length; those without a frame don't count.

    Attributes:
        start: nanoseconds, of the first frame.
        length: nanoseconds.
        numbers: [B] int64 ascending, which stretches from the start on hold frames.
    """

    start: int
    length: int
    numbers: np.ndarray

    @staticmethod
    def over(stamps: Iterable[int], seconds: float | None = None) -> Blocks:
        """The blocks in which `stamps` (nanoseconds, at least one) lie.

        Args:
            stamps: of all frames.
            seconds: length of a block; by default `SHORTEST`, or what gives `MOST` blocks if that
                is longer.
        """
        times = np.fromiter(stamps, np.int64)
        start, end = int(times.min()), int(times.max())
        if seconds is None:
            length = max(round(SHORTEST * 1e9), -(-(end - start + 1) // MOST))
        else:
            length = max(1, round(min(seconds * 1e9, _LONGEST)))
        return Blocks(start, length, np.unique((times - start) // length))

    def __len__(self) -> int:
        return len(self.numbers)

    def of(self, stamps: Iterable[int]) -> np.ndarray:
        """[N] int64: the block, from 0, of each of N stamps out of those given to `over`."""
        times = np.fromiter(stamps, np.int64)
        return np.searchsorted(self.numbers, (times - self.start) // self.length)


def draws(blocks: int, count: int = DRAWS) -> np.ndarray:
    """[count, blocks] float64: how often each block is in each draw, always the same."""
    even = np.full(blocks, 1 / blocks)
    return np.random.default_rng(0).multinomial(blocks, even, count).astype(float)


def interval(samples: np.ndarray, blocks: int) -> tuple[float, float]:
    """The expanded percentile interval; NaN where a draw had no value.

    Args:
        samples: [R] values of a figure.
        blocks: how many were drawn each time; at least 2.
    """
    quantile = student_t.ppf(0.5 + LEVEL / 200, blocks - 1) * (blocks / (blocks - 1)) ** 0.5
    rest = 100 * norm.cdf(-quantile)
    low, high = np.percentile(samples, (rest, 100 - rest))
    return float(low), float(high)
