"""Who was found when, and under which id: one line per object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gsam_ros.drawing import track_colour
from gsam_ros.evaluation.metrics.tracking import matches
from gsam_ros.evaluation.pairing import PairedFrame

_MISSED = (0.5, 0.52, 0.56, 0.3)  # grey on light and on dark paper
_SWITCH = "#c1121f"


@dataclass
class Life:
    """One object of the world under one phrase.

    Attributes:
        wanted: seconds at which it had to be found.
        found: seconds and ids at which it was.
    """

    wanted: list[float] = field(default_factory=list)
    found: list[tuple[float, int]] = field(default_factory=list)

    def switches(self) -> list[float]:
        """Seconds at which the id became another."""
        return [t for (_, a), (t, b) in zip(self.found, self.found[1:], strict=False) if a != b]


def lives_of(frames: Sequence[PairedFrame], start: int) -> dict[str, Life]:
    """Lives by name, "red mug (3)", of one camera's frames; seconds count from `start` (ns)."""
    lives: dict[str, Life] = defaultdict(Life)
    for frame in sorted(frames, key=lambda frame: frame.answer.stamp):
        t = (frame.answer.stamp - start) / 1e9
        for row in np.flatnonzero(frame.expected.wanted).tolist():
            lives[_name(frame, row)].wanted.append(t)
        for row, answer in matches(frame):
            lives[_name(frame, row)].found.append((t, int(frame.answer.ids[answer])))
    return dict(lives)


def write_timeline(path: Path, frames: Sequence[PairedFrame]) -> None:
    """Write `timeline_figure` as a PNG."""
    timeline_figure(frames).savefig(path, dpi=110)


def timeline_figure(frames: Sequence[PairedFrame]) -> Figure:
    """All cameras' lives: colour is the id, grey missed, a mark a switch."""
    start = min(frame.answer.stamp for frame in frames)
    cameras = sorted({frame.answer.camera for frame in frames})
    lives = {
        camera: lives_of([f for f in frames if f.answer.camera == camera], start)
        for camera in cameras
    }
    heights = [max(1, len(lives[camera])) for camera in cameras]
    figure = Figure(figsize=(11, 1.2 + 0.3 * sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(cameras), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    step = _frame_time(frames)
    for camera, axis in zip(cameras, axes, strict=True):
        _draw(axis, camera, lives[camera], step)
    axes[-1].set_xlabel("seconds; colour: id, grey: visible and not found, red mark: id switch")
    return figure


def _draw(axis: Axes, camera: str, lives: dict[str, Life], step: float) -> None:
    for row, life in enumerate(lives.values()):
        wanted = stretches([(t, 0) for t in life.wanted], step)
        axis.broken_barh([bar for bar, _ in wanted], (row - 0.35, 0.7), color=_MISSED, linewidth=0)
        found = stretches(life.found, step)
        colours = [tuple(c / 255 for c in track_colour(i)) for _, i in found]
        axis.broken_barh([bar for bar, _ in found], (row - 0.35, 0.7), color=colours, linewidth=0)
        for t in life.switches():
            axis.plot([t, t], [row - 0.5, row + 0.5], color=_SWITCH, linewidth=2.5)
    axis.set_yticks(range(len(lives)), list(lives), fontsize=8)
    axis.invert_yaxis()
    axis.set_title(camera, loc="left", fontsize=10, fontweight="bold")
    axis.spines[["top", "right"]].set_visible(False)


def stretches(
    moments: Sequence[tuple[float, int]], step: float
) -> list[tuple[tuple[float, float], int]]:
    """((begin, length) in seconds, id) of stretches without a gap or another id.

    Args:
        moments: seconds and ids, in order.
        step: seconds that a moment lasts; a gap is half of that or more.
    """
    joined: list[tuple[tuple[float, float], int]] = []
    for t, name in moments:
        if joined:
            (begin, length), last = joined[-1]
            if name == last and t - (begin + length) < step / 2:
                joined[-1] = (begin, t + step - begin), name
                continue
        joined.append(((t, step), name))
    return joined


def _frame_time(frames: Sequence[PairedFrame]) -> float:
    """Seconds between two frames of a camera, the usual."""
    camera = frames[0].answer.camera
    stamps = sorted(f.answer.stamp for f in frames if f.answer.camera == camera)
    return float(np.median(np.diff(stamps))) / 1e9 if len(stamps) > 1 else 0.1


def _name(frame: PairedFrame, i: int) -> str:
    objects, phrase = frame.expected.objects, frame.phrases[frame.expected.phrase_index[i]]
    return f"{phrase} ({objects.ids[i]})"
