"""From what was measured to figures, ratios and targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gsam_ros.evaluation.metrics.tracking import score_tracking
from gsam_ros.evaluation.pairing import PairedFrame
from gsam_ros.training.detector.evaluate import Picture, average_precision

from .contenders import OURS, OURS_SLICED, PER_FRAME, STOCK, THRIFTY
from .contest import Measured

LONG = 2000
"""Frames at which the memory of ours and of the stock session is compared."""

_STRETCHES = 4  # of a scene, from which the growth of memory can be told

FRAME_RATE_TARGET = 3.0
MEMORY_TARGET = 10.0


@dataclass(frozen=True)
class Row:
    """The figures of one contender; NaN where it has none.

    Attributes:
        name: of the contender.
        milliseconds: per frame or picture, the median of the stretches.
        time_ratio: its time over ours, the median over stretches of the same frames.
        hota: higher order tracking accuracy on masks; det_a and ass_a are its parts.
        mask_iou: of objects and answers that overlap.
        id_switches: times an object changed its id.
        ap50: of boxes, where pictures are looked at one by one.
        peak: MB at most, models, libraries and all.
        loaded: MB before the first frame.
        growth: MB per frame while it runs.
        gflop: 10^9 floating point operations per frame.
        share: of the matrix peak that is reached, gflop per second over GFLOP/s.
    """

    name: str
    milliseconds: float
    time_ratio: float
    hota: float
    det_a: float
    ass_a: float
    mask_iou: float
    id_switches: int
    ap50: float
    peak: float
    loaded: float
    growth: float
    gflop: float
    share: float


@dataclass(frozen=True)
class Target:
    """A promise, and what was measured."""

    text: str
    measured: str
    met: bool


def stream_rows(
    measured: dict[str, Measured], pairs: dict[str, list[PairedFrame]], peak: float
) -> list[Row]:
    """One row per contender of frames; `peak` in GFLOP/s."""
    rows = []
    for name, of in measured.items():
        figures = score_tracking(pairs[name])
        rows.append(
            _row(
                of,
                measured[OURS],
                peak,
                name=name,
                hota=figures.hota,
                det_a=figures.det_a,
                ass_a=figures.ass_a,
                mask_iou=figures.mask_iou,
                id_switches=figures.id_switches,
            )
        )
    return rows


def sliced_rows(
    measured: dict[str, Measured], found: dict[str, list[tuple[Any, Any]]], peak: float
) -> list[Row]:
    """One row per contender of large pictures."""
    rows = []
    for name, of in measured.items():
        pictures = [_picture(still, pairs, answer) for (still, pairs), answer in found[name]]
        kinds = sorted({pair for picture in pictures for pair in picture.truth_pairs})
        ap50 = average_precision(pictures, kinds)["ap50"]
        rows.append(_row(of, measured[OURS_SLICED], peak, name=name, ap50=ap50))
    return rows


def _row(of: Measured, ours: Measured, peak: float, name: str, **figures: Any) -> Row:
    seconds = of.seconds_per_frame
    values = dict.fromkeys(("hota", "det_a", "ass_a", "mask_iou", "id_switches", "ap50"), math.nan)
    milliseconds = 1e3 * float(np.median(seconds))
    return Row(
        name=name,
        milliseconds=milliseconds,
        time_ratio=float(np.median(seconds / ours.seconds_per_frame)),
        peak=of.peak,
        loaded=of.loaded,
        growth=of.growth,
        gflop=of.operations / 1e9,
        share=of.operations / 1e6 / milliseconds / peak,
        **(values | figures),
    )


def _picture(still: Any, pairs: Sequence[Any], found: Any) -> Picture:
    present = list(zip(still.colour, still.shape, strict=True))
    named = [pairs[i] for i in found.phrase_index]
    size = still.image.shape[:2]
    return Picture(size, still.boxes, present, found.boxes, found.scores, named)


def long_memory(of: Measured) -> tuple[float, bool]:
    """MB at most after `LONG` frames, and whether that was measured or extrapolated."""
    frames = of.memory[-1][0]
    if frames >= LONG:
        return of.peak, True
    return of.peak + of.growth * (LONG - frames), False


def _memory_target(ours: Measured, stock: Measured) -> Target:
    """What runs add to libraries and weights counts, which are the same in both.

    Torch built for CUDA takes as much to import as a tenth of what the stock session holds after
    2,000 frames, so no program of it could meet the target with its whole process. That ratio is
    told besides.
    """
    (mine, exact), (theirs, exact_too) = long_memory(ours), long_memory(stock)
    own, their_own = max(mine - ours.loaded, 1.0), theirs - stock.loaded
    told = (
        f"{own:.0f} and {their_own:.0f} MB, 1/{their_own / own:.1f}; with libraries and weights, "
        f"{ours.loaded:.0f} MB of each, {mine:.0f} and {theirs:.0f} MB, 1/{theirs / mine:.1f}"
    )
    for name, of, measured in ((OURS, ours, exact), (STOCK, stock, exact_too)):
        if not measured:
            told += f"; {name} extrapolated from {of.memory[-1][0]} frames"
    return Target(
        f"peak memory at {LONG:,} frames, beyond libraries and weights, at most one tenth of the "
        "stock session's",
        told,
        their_own >= MEMORY_TARGET * own,
    )


def _pace_target(rows: dict[str, Row]) -> Target:
    """Met where one and the same of ours is fast and as good."""
    other = rows[PER_FRAME]
    told, met = [], False
    for name in (OURS, THRIFTY):
        if name in rows:
            pace, hota = other.time_ratio / rows[name].time_ratio, rows[name].hota
            told.append(f"{name} {pace:.2f} times at {hota:.3f}")
            met |= pace >= FRAME_RATE_TARGET and hota >= other.hota
    return Target(
        f"at least {FRAME_RATE_TARGET:g} times the frame rate of detecting and segmenting every "
        "frame, at a HOTA at least as good",
        f"{', '.join(told)}; {other.name} {other.hota:.3f}",
        met,
    )


def targets(rows: Sequence[Row], measured: dict[str, Measured]) -> list[Target]:
    """What this project promises on this benchmark.

    Left out is what the contenders that took part, or scenes too short, don't tell.
    """
    by_name = {row.name: row for row in rows}
    found = []
    if PER_FRAME in by_name:
        found.append(_pace_target(by_name))
    if STOCK in measured and min(len(measured[n].memory) for n in (OURS, STOCK)) >= _STRETCHES:
        found.append(_memory_target(measured[OURS], measured[STOCK]))
    return found
