"""Prints the figures, and writes them as JSON and as a plot."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .contenders import EXPLANATIONS, OURS, SLICED, THRIFTY
from .contest import Measured
from .figures import Row, Target

_WEIGHTS = """\
All take the same weights. All but ours run them through transformers' Grounding DINO, with the
thresholds of Grounded-SAM-2's image demo, and through Sam2Model and Sam2VideoModel. These stand for
SAM2ImagePredictor and SAM2VideoPredictor, since Meta's sam2 package has no encoder like the
demo-segmenter's."""
_COLOURS = {True: "#1f77b4", False: "#9aa5b1"}  # ours and the others


def print_machine(about: dict[str, Any]) -> None:
    """The machine in one line."""
    print(
        f"\n{about['name']}, {about['device']}, {about['threads']} threads, {about['precision']}: "
        f"matrix peak {about['peak_gflops']:.0f} GFLOP/s; torch {about['torch']}, transformers "
        f"{about['transformers']}; load {about['load']:.1f} at the start"
    )


def print_rows(rows: Sequence[Row], every: int) -> None:
    """Who is who, then tables of frames and of large pictures."""
    print()
    for row in rows:
        print(f"- {row.name}: {EXPLANATIONS[row.name].format(every=every)}")
    print(f"\n{_WEIGHTS}\n")
    streams = [row for row in rows if row.name not in SLICED]
    ours = next(row for row in rows if row.name == OURS)
    print(
        "| | ms per frame | time / ours | HOTA | DetA | AssA | mask IoU | id switches | peak MB "
        "| peak / ours | MB per 100 frames | GFLOP per frame | of matrix peak |"
    )
    print("|---" * 13 + "|")
    for row in streams:
        print(
            f"| {row.name} | {row.milliseconds:.1f} | {row.time_ratio:.2f} | {row.hota:.3f} "
            f"| {row.det_a:.3f} | {row.ass_a:.3f} | {row.mask_iou:.3f} | {row.id_switches} "
            f"| {row.peak:.0f} | {row.peak / ours.peak:.2f} | {100 * row.growth:.1f} "
            f"| {row.gflop:.1f} | {row.share:.1%} |"
        )
    pictures = [row for row in rows if row.name in SLICED]
    if pictures:
        print("\n| 1920x1080, small objects | ms per picture | time / ours | AP50 | peak MB "
              "| GFLOP | of matrix peak |")  # fmt: skip
        print("|---" * 7 + "|")
    for row in pictures:
        print(
            f"| {row.name} | {row.milliseconds:.0f} | {row.time_ratio:.2f} | {row.ap50:.3f} "
            f"| {row.peak:.0f} | {row.gflop:.1f} | {row.share:.1%} |"
        )


def print_targets(found: Sequence[Target], stages: dict[str, float]) -> None:
    """Where our time goes; what was promised, and whether it holds."""
    told = ", ".join(f"{name} {milliseconds:.0f}" for name, milliseconds in stages.items())
    print(f"\nours by stage, ms per frame: {told}")
    for target in found:
        print(f"{'met   ' if target.met else 'MISSED'}  {target.text}: {target.measured}")


def write(
    out: Path,
    about: dict[str, Any],
    options: dict[str, Any],
    rows: Sequence[Row],
    found: Sequence[Target],
    measured: dict[str, Measured],
    stages: dict[str, float],
    long: dict[str, Measured],
) -> None:
    """Write bench.json and bench.png."""
    out.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": about,
        "options": {name: str(v) if isinstance(v, Path) else v for name, v in options.items()},
        "contenders": [
            {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(r).items()}
            for r in rows
        ],
        "targets": [asdict(target) for target in found],
        "our_stages_ms": stages,
        "seconds_per_frame": {n: of.seconds_per_frame.tolist() for n, of in measured.items()},
        "memory_mb_after_frames": {name: of.memory for name, of in long.items()},
    }
    (out / "bench.json").write_text(json.dumps(document, indent=1))
    _plot(rows, long, about).savefig(out / "bench.png", dpi=110)


def _plot(rows: Sequence[Row], long: dict[str, Measured], about: dict[str, Any]) -> Figure:
    """Time, accuracy and memory side by side."""
    streams = [row for row in rows if row.name not in SLICED]
    names = [row.name for row in streams]
    colours = [_COLOURS[row.name in (OURS, THRIFTY)] for row in streams]
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    figure.suptitle(f"same weights, same frames; {about['name']}, {about['threads']} threads")
    time, accuracy, memory = figure.subplots(1, 3)
    bars = time.barh(names, [row.milliseconds for row in streams], color=colours)
    time.bar_label(bars, [f" {row.time_ratio:.2f}x ours" for row in streams], fontsize=8)
    time.set(xlabel="ms per frame")
    time.margins(x=0.25)
    bars = accuracy.barh(names, [row.hota for row in streams], color=colours)
    accuracy.bar_label(
        bars, [f" {row.hota:.3f}, masks {row.mask_iou:.3f}" for row in streams], fontsize=8
    )
    accuracy.set(xlabel="HOTA on masks", xlim=(0, 1))
    for index, (name, of) in enumerate(long.items()):
        frames, megabytes = zip(*of.memory, strict=True)
        memory.plot(frames, megabytes, color=f"C{index}", label=name)
    memory.set(xlabel="frames of one scene", ylabel="MB of the process", ylim=(0, None))
    memory.legend(fontsize=8)
    for axis in (time, accuracy):
        axis.invert_yaxis()
    return figure
