"""The plots of the reports; called within `drawing_style`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gsam_ros.evaluation.comparison.compare import ACCURACY, BETTER, COUNT, TIME, WORSE, Difference
from gsam_ros.evaluation.frame_timing import FrameTiming
from gsam_ros.evaluation.metrics.detection import PrecisionCurve
from gsam_ros.evaluation.pages.svg import SERIES

WAITING = "wait"
"""The stage in which a frame waits for those before it; it costs nothing, and hides the others."""

_VERDICTS = {BETTER: SERIES[2], WORSE: SERIES[3]}
_MOST_BARS = 240  # columns of a plot over time
_WIDTH = 9.0  # inches


def precision_recall(curve: PrecisionCurve) -> Figure:
    """Precision over recall of one phrase: boxes filled, masks as a line."""
    figure = Figure(figsize=(2.5, 2.1), layout="constrained")
    axis = figure.subplots()
    axis.fill_between(curve.recall, curve.boxes, color=SERIES[0], alpha=0.25, linewidth=0)
    axis.plot(curve.recall, curve.boxes, color=SERIES[0], linewidth=1.6, label="boxes")
    if curve.masks is not None:
        axis.plot(curve.recall, curve.masks, color=SERIES[1], linewidth=1.3, label="masks")
    axis.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
    axis.set_xticks([0, 0.5, 1])
    axis.set_yticks([0, 0.5, 1])
    axis.legend(loc="lower left", fontsize=8)
    return figure


def age_histogram(ages: np.ndarray, marks: Sequence[tuple[str, float]]) -> Figure:
    """How many frames had which age.

    Args:
        ages: [N] milliseconds.
        marks: names and milliseconds of lines to draw.
    """
    figure = Figure(figsize=(_WIDTH, 2.6), layout="constrained")
    axis = figure.subplots()
    axis.hist(ages, bins=min(60, max(8, round(len(ages) ** 0.5 * 2))), color=SERIES[0])
    top = axis.get_ylim()[1]
    for i, (name, value) in enumerate(marks):
        axis.axvline(value, color=SERIES[1], linewidth=1.2)
        height = top * (1.0 - 0.1 * (i % 3))  # neighbours would lie on each other
        axis.text(value, height, f" {name}", va="top", fontsize=8)
    axis.set(xlabel="age of a frame's results, ms", ylabel="frames")
    return figure


def stages_over_time(timings: Sequence[FrameTiming], start: int) -> Figure:
    """Milliseconds per frame and stage, stacked, and above it how long frames waited.

    A column is the mean over the frames of all cameras in a stretch of the run; a stage that did
    not run on a frame took no time there.

    Args:
        timings: of all cameras.
        start: nanoseconds at which the time axis begins.
    """
    names, times, means = stage_means(timings, start)
    figure = Figure(figsize=(_WIDTH, 3.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.4))
    step = float(np.diff(times).min()) if len(times) > 1 else 0.1
    base = np.zeros(len(times))
    for i, name in enumerate(names):
        if name == WAITING:
            upper.bar(times, means[i], step, align="edge", color=SERIES[-1], linewidth=0)
            continue
        colour = SERIES[i % len(SERIES)]
        lower.bar(times, means[i], step, base, align="edge", color=colour, linewidth=0, label=name)
        base += means[i]
    upper.set_ylabel("waiting, ms")
    lower.set_ylabel("working, ms")
    lower.set_xlabel("seconds of the recording")
    if base.any():
        lower.legend(ncols=4, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def stage_means(
    timings: Sequence[FrameTiming], start: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The columns of `stages_over_time`.

    Returns:
        S stage names in the order of their appearance, [T] begins of the columns in seconds, and
        [S, T] milliseconds per frame.
    """
    names = list(dict.fromkeys(name for timing in timings for name in timing.stages))
    seconds = np.array([(timing.stamp - start) / 1e9 for timing in timings])
    moments = np.unique(seconds)
    first, last = float(moments[0]), float(moments[-1])
    count = min(_MOST_BARS, max(1, len(moments) // 2))  # cameras take turns
    edges = np.linspace(first, last, count + 1)
    column = np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, count - 1)
    frames = np.bincount(column, minlength=count)
    sums = np.zeros((len(names), count))
    for timing, at in zip(timings, column, strict=True):
        for name, milliseconds in timing.stages.items():
            sums[names.index(name), at] += milliseconds
    return names, edges[:-1], sums / np.maximum(frames, 1)


def intervals(differences: Sequence[Difference]) -> Figure:
    """Differences with their intervals, a line each; of times in percent of the first run's.

    Args:
        differences: of one kind, with intervals; times with a value above 0 in the first run.
    """
    percent = differences[0].kind == TIME
    figure = Figure(figsize=(_WIDTH, 0.7 + 0.28 * len(differences)), layout="constrained")
    axis = figure.subplots()
    axis.axvline(0, color=SERIES[-1], linewidth=1)
    for row, d in enumerate(differences):
        scale = 100 / d.first if percent else 1.0
        colour = _VERDICTS.get(d.verdict, SERIES[-1])
        axis.plot([d.low * scale, d.high * scale], [row, row], color=colour, linewidth=3)
        axis.plot(d.difference * scale, row, "o", color=colour, markersize=6)
    least = {ACCURACY: 0.01, COUNT: 1.0, TIME: 10.0}[differences[0].kind]
    left, right = axis.get_xlim()
    axis.set_xlim(min(left, -least), max(right, least))
    axis.set_yticks(range(len(differences)), [f"{d.name}: {d.verdict}" for d in differences])
    axis.set_ylim(len(differences) - 0.5, -0.5)
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    if percent:
        axis.xaxis.set_major_formatter("{x:+g} %")
    return figure
