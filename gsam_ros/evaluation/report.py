"""The figures of a run as a table for the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.metrics.detection import SIZES
from gsam_ros.evaluation.run_score import RunScore
from gsam_ros.process_memory import growth
from gsam_ros.tables import Row, as_markdown, as_text, without_nan


def rows(score: RunScore, memory: np.ndarray | None = None) -> list[Row]:
    """(name, value, what it means) of every figure, the most asked for first.

    Args:
        score: of the run.
        memory: [T, 2] seconds and bytes of the node's process, where somebody watched it.
    """
    timing = score.timing
    per_camera = ", ".join(f"{c.camera or 'camera'} {c.answered}/{c.played}" for c in score.cameras)
    dropped = ", ".join(f"{cause} {n}" for cause, n in timing.drops.items() if n) or "none"
    table = [
        ("frames in", str(score.played), "images that were played"),
        ("frames out", str(score.answered), per_camera),
        ("frames dropped", dropped, "by cause, as the node counts them"),
        *_detection_rows(score),
        *_tracking_rows(score),
        *_absent_rows(score),
        ("frame age p50", f"{1e3 * timing.age.p50:.0f} ms", "stamp of the image to its results"),
        ("frame age p99", f"{1e3 * timing.age.p99:.0f} ms", "grows with the backlog"),
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
            f"mean; p50 {spread.p50:.1f}, p99 {spread.p99:.1f}, over the frames on which it ran",
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


def phrase_rows(score: RunScore) -> list[tuple[str, ...]]:
    """(phrase, AP50, AP, AP50 of masks, AP of masks), the weakest first."""
    boxes, masks = score.detection.boxes.phrases, score.detection.masks.phrases
    found = []
    for phrase, (ap50, ap) in sorted(boxes.items(), key=lambda item: item[1]):
        figures = (ap50, ap, *masks.get(phrase, (float("nan"),) * 2))
        found.append((phrase, *(_share(value) for value in figures)))
    return found


def _detection_rows(score: RunScore) -> list[Row]:
    boxes, masks, recalls = score.detection.boxes, score.detection.masks, score.detection.recall_at
    rows = [("AP50", _share(boxes.ap50), "boxes, mean over phrases")]
    if not score.boxes_only:
        rows.append(("AP50 of masks", _share(masks.ap50), "likewise with masks"))
    rows.append(("AP75", _share(boxes.ap75), _beside("boxes", masks.ap75, score)))
    rows.append(("AP 50-95", _share(boxes.ap), _beside("boxes", masks.ap, score)))
    sizes = " / ".join(_share(boxes.sizes[size]) for size in SIZES)
    limits = "boxes, below 32², below 96² pixels and above"
    rows.append(("AP small / medium / large", sizes, limits))
    told = " / ".join(_share(recall) for recall in recalls.values())
    prices = " / ".join(f"{price:g}" for price in recalls)
    rows.append(("recall", told, f"with {prices} false alarms per frame, boxes"))
    return rows


def _tracking_rows(score: RunScore) -> list[Row]:
    tracking = score.tracking
    what = "boxes" if score.boxes_only else "masks"
    rows = [
        (
            "box IoU" if score.boxes_only else "mask IoU",
            _share(tracking.mask_iou),
            "of objects that were found",
        ),
        (
            "HOTA",
            _share(tracking.hota),
            f"on {what}; DetA {_share(tracking.det_a)}, AssA {_share(tracking.ass_a)}",
        ),
        ("IDF1", _share(tracking.idf1), f"MOTA {_share(tracking.mota)}"),
        (
            "id switches",
            str(tracking.id_switches),
            f"{tracking.objects} objects, {tracking.tracks} ids, {tracking.fragments} breaks",
        ),
        (
            "found / missed / false",
            f"{tracking.hits} / {tracking.misses} / {tracking.false_alarms}",
            f"objects over all frames, {what} overlap by half",
        ),
    ]
    if not score.boxes_only:
        told = f"DAVIS: J {_share(tracking.jaccard)}, F {_share(tracking.boundary)}"
        rows.append(("J&F", _share(tracking.j_and_f), told))
    return rows


def _absent_rows(score: RunScore) -> list[Row]:
    absent = score.absent
    if not absent.chances:
        return []
    told = (
        f"of {absent.chances} pairs of frame and phrase with no such object, how many were answered"
    )
    return [("false on absent", f"{absent.fooled}", f"{told}; {absent.answers} answers")]


def _beside(what: str, masks: float, score: RunScore) -> str:
    return what if score.boxes_only else f"{what}; masks {_share(masks)}"


def _share(value: float) -> str:
    """Three digits; a dash where there is no value."""
    return "-" if value != value else f"{value:.3f}"


def as_json(score: RunScore) -> str:
    """Every figure, machine readable; NaN becomes null."""
    figures = {
        "frames": [asdict(camera) for camera in score.cameras],
        "detection": asdict(score.detection),
        "tracking": asdict(score.tracking),
        "timing": asdict(score.timing),
        "absent": asdict(score.absent),
        "seconds": score.seconds,
        "problems": list(score.problems),
    }
    return json.dumps(without_nan(figures), indent=2)


def write_reports(score: RunScore, folder: Path, memory: np.ndarray | None = None) -> None:
    """Write report.txt, report.md and report.json into `folder`; `memory` as of `rows`."""
    table = rows(score, memory)
    (folder / "report.txt").write_text(as_text(table) + "\n")
    (folder / "report.md").write_text(as_markdown(table) + "\n")
    (folder / "report.json").write_text(as_json(score) + "\n")
