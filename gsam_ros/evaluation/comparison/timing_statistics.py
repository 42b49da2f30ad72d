"""Ages and stage times of any choice of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gsam_ros.evaluation.frame_timing import FrameTiming


@dataclass(frozen=True)
class TimingStatistics:
    """Every age, and the sums of the stages per block.

    Attributes:
        ages: [N] milliseconds.
        block: [N] int64, of each age.
        sums: stage name to [B] milliseconds.
        runs: stage name to [B], on how many frames it ran.
    """

    ages: np.ndarray
    block: np.ndarray
    sums: dict[str, np.ndarray]
    runs: dict[str, np.ndarray]

    @staticmethod
    def of(timings: Sequence[FrameTiming], block: np.ndarray, blocks: int) -> TimingStatistics:
        """Sort what `frame_status` says by blocks.

        Args:
            timings: of all cameras.
            block: [len(timings)] int64, the block of each.
            blocks: how many there are.
        """
        sums: dict[str, np.ndarray] = {}
        runs: dict[str, np.ndarray] = {}
        for timing, where in zip(timings, block, strict=True):
            for name, milliseconds in timing.stages.items():
                sums.setdefault(name, np.zeros(blocks))[where] += milliseconds
                runs.setdefault(name, np.zeros(blocks))[where] += 1
        return TimingStatistics(np.array([1e3 * t.age for t in timings]), block, sums, runs)

    def figures(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Percentiles of the age, and means of the stages over the frames on which they ran.

        Args:
            weights: [R, B], how often each block counts; whole numbers.

        Returns:
            Name to [R] milliseconds; NaN where a draw has no frame.
        """
        ages = np.full((len(weights), 2), np.nan)
        for row, drawn in zip(ages, weights.astype(int), strict=True):
            chosen = np.repeat(self.ages, drawn[self.block])
            if len(chosen):
                row[:] = np.percentile(chosen, (50, 99))
        means = {}
        for name, sums in self.sums.items():
            runs = weights @ self.runs[name]
            means[f"stage {name}"] = np.where(
                runs > 0, weights @ sums / np.maximum(runs, 1), np.nan
            )
        return {"frame age p50": ages[:, 0], "frame age p99": ages[:, 1], **means}
