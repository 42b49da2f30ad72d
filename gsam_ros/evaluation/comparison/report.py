"""A comparison as a table for the terminal and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from gsam_ros.evaluation.comparison.blocks import FEW, LEVEL
from gsam_ros.evaluation.comparison.compare import (
    ACCURACY,
    BETTER,
    COUNT,
    NO_DIFFERENCE,
    TIME,
    WORSE,
    Comparison,
    Difference,
)
from gsam_ros.tables import without_nan

HEAD = ("figure", "A", "B", "B - A", f"{LEVEL} % interval", "verdict on B")


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """One row per figure, in the columns of `HEAD`."""
    return [
        (
            difference.name,
            _value(difference, difference.first),
            _value(difference, difference.second),
            _value(difference, difference.difference, sign=True),
            _interval(difference),
            difference.verdict,
        )
        for difference in comparison.differences
    ]


def summary(comparison: Comparison) -> list[str]:
    """What is better, what is worse, and what the intervals can't say; plain sentences."""
    told = []
    for verdict in (BETTER, WORSE):
        names = [d.name for d in comparison.differences if d.verdict == verdict]
        if names:
            told.append(f"B is {verdict} in {', '.join(names)}.")
    if not told:
        told.append("No difference between A and B is shown.")
    elif any(d.verdict == NO_DIFFERENCE for d in comparison.differences):
        told.append("In the other figures no difference is shown.")
    if any(d.kind == TIME and d.verdict in (BETTER, WORSE) for d in comparison.differences):
        told.append("Times vary with what else the machine does: repeat the runs to be sure.")
    if comparison.blocks == 1:
        told.append(
            f"The recording is one block of {comparison.seconds:g} s, so nothing has an interval: "
            "take a longer recording or shorter blocks."
        )
    elif comparison.blocks < FEW:
        told.append(
            f"The recording has {comparison.blocks} blocks of {comparison.seconds:g} s; with fewer "
            f"than {FEW} an interval says little: take a longer recording."
        )
    return told


def as_terminal(comparison: Comparison) -> str:
    """Aligned columns, and the summary below."""
    table = [HEAD, *comparison_rows(comparison)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    lines = [
        "  ".join(
            cell.ljust(width) if i in (0, len(HEAD) - 1) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([*lines, "", *summary(comparison)])


def write_comparison_json(path: Path, comparison: Comparison) -> None:
    """Write every figure, machine readable; NaN becomes null."""
    figures = [
        {**asdict(d), "difference": d.difference, "verdict": d.verdict}
        for d in comparison.differences
    ]
    told = {"blocks": comparison.blocks, "block_seconds": comparison.seconds, "figures": figures}
    path.write_text(json.dumps(without_nan(told), indent=2) + "\n")


def _interval(difference: Difference) -> str:
    if difference.low != difference.low or difference.high != difference.high:
        return "-"
    low, high = (_value(difference, v, sign=True) for v in (difference.low, difference.high))
    return f"{low} to {high}"


def _value(difference: Difference, value: float, sign: bool = False) -> str:
    if value != value:
        return "-"
    digits = {ACCURACY: 3, COUNT: 0, TIME: 1}[difference.kind]
    shown = round(value, digits) + 0.0  # or -0.0 would be shown with its sign
    unit = " ms" if difference.kind == TIME else ""
    return f"{shown:{'+' if sign and shown else ''}.{digits}f}{unit}"
