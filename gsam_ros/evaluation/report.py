"""The figures of a run as a table for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.memory_watch import growth
from gsam_ros.evaluation.run_score import RunScore

Row = tuple[str, str, str]


def rows(score: RunScore, memory: np.ndarray | None = None) -> list[Row]:
    """(name, value, what it means) of every figure, the most asked for first.

    Args:
        score: of the run.
        memory: [T, 2] seconds and bytes of the node's process, where somebody watched it.
    """
    detection, tracking, timing = score.detection, score.tracking, score.timing
    per_camera = ", ".join(f"{c.camera} {c.answered}/{c.played}" for c in score.cameras)
    dropped = ", ".join(f"{cause} {n}" for cause, n in timing.drops.items() if n) or "none"
    table = [
        ("frames in", str(score.played), "images that were played"),
        ("frames out", str(score.answered), per_camera),
        ("frames dropped", dropped, "by cause, as the node counts them"),
        ("AP50", f"{detection.box_ap50:.3f}", "boxes, mean over phrases"),
        ("AP50 of masks", f"{detection.mask_ap50:.3f}", "likewise with masks"),
        ("AP 50-95", f"{detection.box_ap:.3f}", f"boxes; masks {detection.mask_ap:.3f}"),
        ("mask IoU", f"{tracking.mask_iou:.3f}", "of objects that were found"),
        (
            "HOTA",
            f"{tracking.hota:.3f}",
            f"on masks; DetA {tracking.det_a:.3f}, AssA {tracking.ass_a:.3f}",
        ),
        ("IDF1", f"{tracking.idf1:.3f}", f"MOTA {tracking.mota:.3f}"),
        (
            "id switches",
            str(tracking.id_switches),
            f"{tracking.objects} objects, {tracking.tracks} ids, {tracking.fragments} breaks",
        ),
        (
            "found / missed / false",
            f"{tracking.hits} / {tracking.misses} / {tracking.false_alarms}",
            "objects over all frames, masks overlap by half",
        ),
        ("frame age p50", f"{1e3 * timing.age.p50:.0f} ms", "stamp of the image to its results"),
        ("frame age p99", f"{1e3 * timing.age.p99:.0f} ms", "grows while a backlog does"),
        (
            "frames per second",
            f"{score.answered / max(score.seconds, 1e-9):.1f}",
            f"{score.answered} in {score.seconds:.1f} s; recorded: {score.recorded_seconds:.1f} s",
        ),
    ]
    table += [
        (
            f"stage {name}",
            f"{spread.mean:.1f} ms",
            f"p50 {spread.p50:.1f}, p99 {spread.p99:.1f}, where it runs",
        )
        for name, spread in timing.stages.items()
    ]
    if memory is not None and len(memory):
        before, at_end = (size / 1e6 for size in growth(memory))
        table.append(
            (
                "memory of the node",
                f"{at_end:.0f} MB",
                f"in the last quarter of the run; {before:.0f} MB in the second",
            )
        )
    return table


def as_text(table: Sequence[Row]) -> str:
    """Aligned columns for a terminal."""
    widths = [max(len(row[i]) for row in table) for i in range(2)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {note}".rstrip() for name, value, note in table
    )


def as_markdown(table: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = ["| figure | value | |", "|---|---:|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} | {note} |" for name, value, note in table)])


def as_json(score: RunScore) -> str:
    """Every figure, machine readable; NaN becomes null."""
    figures = {
        "frames": [asdict(camera) for camera in score.cameras],
        "detection": asdict(score.detection),
        "tracking": asdict(score.tracking),
        "timing": asdict(score.timing),
        "seconds": score.seconds,
    }
    return json.dumps(without_nan(figures), indent=2)


def write_reports(score: RunScore, folder: Path, memory: np.ndarray | None = None) -> None:
    """Write report.txt, report.md and report.json into `folder`; `memory` as of `rows`."""
    table = rows(score, memory)
    (folder / "report.txt").write_text(as_text(table) + "\n")
    (folder / "report.md").write_text(as_markdown(table) + "\n")
    (folder / "report.json").write_text(as_json(score) + "\n")


def without_nan(value: object) -> object:
    """NaN as None, wherever it lies in dicts, lists and tuples: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
