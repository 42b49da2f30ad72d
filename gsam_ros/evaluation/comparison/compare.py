"""The differences of two runs, with intervals and verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from gsam_ros.evaluation.comparison.blocks import DRAWS, Blocks, draws, interval
from gsam_ros.evaluation.comparison.precision_statistics import PrecisionStatistics
from gsam_ros.evaluation.comparison.same_frames import ComparisonError, Pairs, same_frames
from gsam_ros.evaluation.comparison.timing_statistics import TimingStatistics
from gsam_ros.evaluation.comparison.tracking_statistics import COUNTS, TrackingStatistics
from gsam_ros.evaluation.run_score import RunScore

ACCURACY, COUNT, TIME = "accuracy", "count", "time"
BETTER, WORSE, NO_DIFFERENCE, NO_INTERVAL = (
    "better",
    "worse",
    "no difference shown",
    "no interval",
)

Figures = Callable[[np.ndarray], dict[str, np.ndarray]]
"""[R, B] weights of blocks to the [R] values of every figure."""

_TOGETHER = 100  # draws at once; bounds the memory
_QUIET = 2.0  # seconds until the progress bar shows


@dataclass(frozen=True)
class Difference:
    """One figure of two runs.

    Attributes:
        name: of the figure.
        kind: ACCURACY (0 to 1, more is better), COUNT (less is better) or TIME (milliseconds, less
            is better).
        first: its value in the first run; NaN where it has none.
        second: its value in the second run.
        low: the lower end of the 95 % interval of second - first; NaN where there is none.
        high: the upper end.
    """

    name: str
    kind: str
    first: float
    second: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Second less first."""
        return self.second - self.first

    @property
    def verdict(self) -> str:
        """What the second run is: better or worse if the interval leaves out zero."""
        if np.isnan(self.low) or np.isnan(self.high):
            return NO_INTERVAL
        if self.low <= 0 <= self.high:
            return NO_DIFFERENCE
        return BETTER if (self.low > 0) == (self.kind == ACCURACY) else WORSE


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same frames.

    Attributes:
        differences: of all figures, the most asked for first.
        pairs: both runs' frames side by side.
        blocks: stretches of the recording that were drawn.
        seconds: length of one.
    """

    differences: tuple[Difference, ...]
    pairs: Pairs
    blocks: int
    seconds: float


def compare(
    first: RunScore, second: RunScore, seconds: float | None = None, draws_wanted: int = DRAWS
) -> Comparison:
    """Compare two runs figure by figure.

    Args:
        first: the run to compare with.
        second: the run in question.
        seconds: length of a block; by default as `Blocks.over` chooses it.
        draws_wanted: how often to draw.

    Raises:
        ComparisonError: the runs are not of the same frames, or `seconds` is no length.
    """
    if seconds is not None and not 0 < seconds < float("inf"):
        raise ComparisonError(f"a block can't last {seconds:g} s")
    pairs = same_frames(first, second)
    stamps = [frame.answer.stamp for run in (first, second) for frame in run.frames]
    stamps += [timing.stamp for run in (first, second) for timing in run.timings]
    blocks = Blocks.over(stamps, seconds)
    of_first, of_second = _figures_of(first, blocks), _figures_of(second, blocks)
    once = np.ones((1, len(blocks)))
    one, other = of_first(once), of_second(once)
    samples = _sampled(of_first, of_second, draws(len(blocks), draws_wanted))
    differences = []
    for name in dict.fromkeys((*one, *other)):
        values = [float(v[name][0]) if name in v else float("nan") for v in (one, other)]
        # One block has one draw, which says nothing of how others would be.
        enough = name in samples and len(blocks) > 1
        low, high = interval(samples[name], len(blocks)) if enough else (float("nan"), float("nan"))
        differences.append(Difference(name, _kind(name), values[0], values[1], low, high))
    return Comparison(tuple(differences), pairs, len(blocks), blocks.length / 1e9)


def _sampled(first: Figures, second: Figures, weights: np.ndarray) -> dict[str, np.ndarray]:
    """[R] second - first of every figure that both runs have, for [R, B] weights."""
    samples: dict[str, list[np.ndarray]] = defaultdict(list)
    with tqdm(total=len(weights), desc="draws", delay=_QUIET, leave=False) as bar:
        for begin in range(0, len(weights), _TOGETHER):
            part = weights[begin : begin + _TOGETHER]
            one, other = first(part), second(part)
            for name in one.keys() & other.keys():
                samples[name].append(other[name] - one[name])
            bar.update(len(part))
    return {name: np.concatenate(parts) for name, parts in samples.items()}


def _kind(name: str) -> str:
    if name in COUNTS:
        return COUNT
    return TIME if name.startswith(("frame age", "stage")) else ACCURACY


def _figures_of(score: RunScore, blocks: Blocks) -> Figures:
    """All figures of a run as a function of [R, B] weights of the blocks."""
    count = len(blocks)
    where = blocks.of(frame.answer.stamp for frame in score.frames)
    boxes = PrecisionStatistics.of(score.frames, where, count, "bbox")
    masks = None
    if not score.boxes_only:
        masks = PrecisionStatistics.of(score.frames, where, count, "segm")
    tracking = TrackingStatistics.of(score.frames, where, count)
    when = blocks.of(timing.stamp for timing in score.timings)
    timing = TimingStatistics.of(score.timings, when, count)

    def figures(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "AP50": boxes.ap50(weights),
            **({"AP50 of masks": masks.ap50(weights)} if masks else {}),
            **tracking.figures(weights),
            **timing.figures(weights),
        }

    return figures
