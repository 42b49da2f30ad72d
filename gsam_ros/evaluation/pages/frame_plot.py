"""One frame's way through the pipeline, stage by stage; called within `drawing_style`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gsam_ros.evaluation.frame_timing import FrameTiming
from gsam_ros.evaluation.pages.plots import WAITING
from gsam_ros.evaluation.pages.svg import SERIES

_WIDTH = 9.0  # inches


def chosen_frames(timings: Sequence[FrameTiming]) -> list[tuple[str, FrameTiming]]:
    """The frames whose ages are nearest to the median and to the 99th percentile, with a name."""
    told = [timing for timing in timings if timing.runs]
    if not told:
        return []
    ages = np.array([timing.age for timing in told])
    marks = np.percentile(ages, (50, 99))
    rows = np.abs(ages - marks[:, None]).argmin(1)
    return [
        (name, told[row]) for name, row in zip(("median age", "p99 of ages"), rows, strict=True)
    ]


def waited(timing: FrameTiming) -> float:
    """Seconds from a frame's receipt until it was its turn."""
    return max((run.end for run in timing.runs if run.name == WAITING), default=0.0)


def frames_by_stage(chosen: Sequence[tuple[str, FrameTiming]]) -> Figure:
    """A line per frame, from the moment when it was its turn: its stages, and gaps between them.

    Args:
        chosen: at least one, with a name.
    """
    names = list(dict.fromkeys(run.name for _, timing in chosen for run in timing.runs))
    figure = Figure(figsize=(_WIDTH, 0.9 + 0.45 * len(chosen)), layout="constrained")
    axis = figure.subplots()
    drawn: set[str] = set()
    for row, (_, timing) in enumerate(chosen):
        start = waited(timing)
        for name, begin, end in timing.runs:
            if name == WAITING:
                continue
            colour = SERIES[names.index(name) % len(SERIES)]
            label = None if name in drawn else name
            drawn.add(name)
            left, width = 1e3 * (begin - start), 1e3 * (end - begin)
            axis.barh(row, width, 0.6, left, color=colour, linewidth=0, label=label)
    axis.set_yticks(range(len(chosen)), [name for name, _ in chosen])
    axis.invert_yaxis()
    axis.set_xlabel("milliseconds since it was its turn")
    if drawn:
        axis.legend(ncols=4, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))
    return figure
