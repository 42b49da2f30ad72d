"""The figures of one finished run of a sweep, by name."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from gsam_ros.evaluation.bag import BagError, is_bag, open_bag
from gsam_ros.evaluation.result_messages import INSTANCES
from gsam_ros.evaluation.run_results import read_results
from gsam_ros.evaluation.run_score import RunScore, score_results
from gsam_ros.evaluation.sweep.plan import Job, JobError
from gsam_ros.evaluation.track import TrackOutcome
from gsam_ros.evaluation.truths import load_truth
from gsam_ros.prompts import PromptError

ACCURACY = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "AP50", "mask AP50", "mask IoU", "J&F")
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
        Name to value, names of `ALL` that have one, and notes.

    Raises:
        JobError: there is truth and it can't be read or does not fit.
    """
    seconds = json.loads((run / "run.json").read_text())["seconds"]
    results = json.loads((run / "results.json").read_text())
    cameras = {image["id"]: image["camera"] for image in results["images"]}
    objects = results["annotations"]
    figures = {
        "frames": float(done.frames),
        "ms per frame": 1e3 * seconds / done.frames,
        "ids": float(len({(cameras[o["image_id"]], o["track_id"]) for o in objects})),
        "objects per frame": len(objects) / done.frames,
    }
    truth = Path(job.truth or job.source)
    if not job.truth and not _has_truth(truth):
        return figures, ["no truth, so no accuracy"]
    try:
        score = _score(job, truth, run)
    except (BagError, OSError, PromptError) as error:
        raise JobError(f"tracked, but not scored: {error}") from error
    detection, tracking = score.detection, score.tracking
    figures |= {
        "HOTA": tracking.hota,
        "DetA": tracking.det_a,
        "AssA": tracking.ass_a,
        "IDF1": tracking.idf1,
        "MOTA": tracking.mota,
        "AP50": detection.box_ap50,
        "mask AP50": detection.mask_ap50,
        "mask IoU": tracking.mask_iou,
        "J&F": tracking.j_and_f,
        "id switches": float(tracking.id_switches),
    }
    known = {name: value for name, value in figures.items() if not math.isnan(value)}
    return known, list(score.problems)


def _score(job: Job, place: Path, run: Path) -> RunScore:
    results = read_results(run / "result")
    truth = load_truth([str(place)], results)
    if job.prompt:  # and not what the recording's own prompts asked for
        truth = replace(truth, prompts=None)
    return score_results(results, truth)


def _has_truth(source: Path) -> bool:
    """Whether a recording brings its own."""
    if not is_bag(source):
        return False
    with open_bag(source, salvage=True) as bag:
        return any(
            kind == INSTANCES and topic.endswith("/truth") for topic, kind in bag.topics.items()
        )
