"""The block bootstrap: a recording as a sample of stretches of time.

Frames of one video are not independent: what is missed at one frame is mostly missed at the next,
and two cameras that look at the same scene miss it together. Drawing single frames with replacement
would therefore promise far too much. Here the recording is cut into blocks of equal length, each
with the frames of all cameras and both runs, and blocks are drawn with replacement (Carlstein, "The
use of subseries values for estimating the variance of a general statistic from a stationary
sequence", Annals of Statistics 14, 1986; Kuensch, "The jackknife and the bootstrap for general
stationary observations", Annals of Statistics 17, 1989). Both runs get the same draw, so what makes
a scene hard for both cancels out of their difference. The interval is the percentile interval of
Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

BLOCK = 1.0
"""Seconds. Longer than it takes an object to pass behind another, which is what ties frames."""

FEW = 10
"""Below so many blocks the intervals are too narrow."""

DRAWS = 2000
_LONGEST = 2**62  # nanoseconds, 146 years; what an int64 holds
LEVEL = 95
"""Percent of the draws that the interval holds."""


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
    def over(stamps: Iterable[int], seconds: float = BLOCK) -> Blocks:
        """The blocks in which `stamps` (nanoseconds, at least one) lie."""
        times = np.fromiter(stamps, np.int64)
        start, length = int(times.min()), max(1, round(min(seconds * 1e9, _LONGEST)))
        return Blocks(start, length, np.unique((times - start) // length))

    def __len__(self) -> int:
        return len(self.numbers)

    def of(self, stamps: Iterable[int]) -> np.ndarray:
        """[N] int64: the block, from 0, of each of N stamps out of those given to `over`."""
        times = np.fromiter(stamps, np.int64)
        return np.searchsorted(self.numbers, (times - self.start) // self.length)


def draws(blocks: int, count: int = DRAWS, seed: int = 0) -> np.ndarray:
    """[count, blocks] float64: how often each block is in each draw of `blocks` blocks."""
    even = np.full(blocks, 1 / blocks)
    return np.random.default_rng(seed).multinomial(blocks, even, count).astype(float)


def interval(samples: np.ndarray) -> tuple[float, float]:
    """The percentile interval of a figure's [R] values; NaN where a draw had no value."""
    rest = (100 - LEVEL) / 2
    low, high = np.percentile(samples, (rest, 100 - rest))
    return float(low), float(high)
