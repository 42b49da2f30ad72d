"""The figures of one finished run of a sweep, by name."""

from __future__ import annotations

import json
from pathlib import Path

from gsam_ros.evaluation.sweep.plan import Job
from gsam_ros.evaluation.track import TrackOutcome

ACCURACY = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "AP50", "mask AP50", "mask IoU")
"""Higher is better; only where there is truth."""

COST = ("ms per frame", "id switches")
"""Lower is better."""

OTHER = ("frames", "ids", "objects per frame")
"""Neither: how much there was."""

ALL = (*ACCURACY, *COST, *OTHER)


def figures_of(job: Job, run: Path, done: TrackOutcome) -> tuple[dict[str, float], list[str]]:
    """What is known of a run.

    Args:
        job: what was run.
        run: the folder that `gsam track` left.
        done: what it says itself.

    Returns:
        Name to value, names of `ALL`; and notes.
    """
    results = json.loads((run / "results.json").read_text())
    told = json.loads((run / "run.json").read_text())
    objects = results["annotations"]
    images = {image["id"]: image.get("camera", "") for image in results["images"]}
    figures = {
        "frames": float(done.frames),
        "ms per frame": 1e3 * told["seconds"] / done.frames,
        "ids": float(len({(images[o["image_id"]], o["track_id"]) for o in objects})),
        "objects per frame": len(objects) / done.frames,
    }
    return figures, []
