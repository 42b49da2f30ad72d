"""The figures of one finished run of a sweep, by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from gsam_ros.evaluation.run_results import read_results
from gsam_ros.evaluation.run_score import RunScore, score_results
from gsam_ros.evaluation.truths import load_truth
from gsam_ros.prompts import PromptError
from gsam_ros.recordings.bag import BagError, is_bag, open_bag
from gsam_ros.recordings.result_messages import INSTANCES
from gsam_ros.recordings.run_folder import read_run
from gsam_ros.standalone.part_writer import camera_file
from gsam_ros.standalone.track import TrackOutcome
from gsam_ros.sweep.plan import Job, JobError

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
    told = read_run(run)
    assert told is not None  # `done` says that the run is whole
    ids, objects = _counts(run, told["cameras"])
    figures = {
        "frames": float(done.frames),
        "ms per frame": 1e3 * told["seconds"] / done.frames,
        "ids": float(ids),
        "objects per frame": objects / done.frames,
    }
    if not job.truth and not _has_truth(Path(job.source)):
        return figures, ["no truth, so no accuracy"]
    try:
        score = _score(job, run)
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


def _counts(run: Path, cameras: Sequence[str]) -> tuple[int, int]:
    """Ids, each camera's its own, and objects over all frames.

    Out of the text, line by line: `results.json` holds the masks too, gigabytes of an hour.
    """
    ids: set[tuple[str, str]] = set()
    objects = 0
    for camera in cameras:
        with (run / camera_file("mot", camera, "txt")).open() as lines:
            for line in lines:
                _, track, _ = line.split(",", 2)
                ids.add((camera, track))
                objects += 1
    return len(ids), objects


def _score(job: Job, run: Path) -> RunScore:
    results = read_results(run / "result")
    truth = load_truth(job.truth or [job.source], results, phrase=job.phrase)
    return score_results(results, truth)


def _has_truth(source: Path) -> bool:
    """Whether a recording brings its own."""
    if not is_bag(source):
        return False
    with open_bag(source, salvage=True) as bag:
        return any(
            kind == INSTANCES and topic.endswith("/truth") for topic, kind in bag.topics.items()
        )
