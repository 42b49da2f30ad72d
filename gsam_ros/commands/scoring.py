"""What subcommands that score a run are told, and the score."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gsam_ros.evaluation.run_score import RunScore


def add_truth_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that say how a run is scored."""
    parser.add_argument(
        "--truth",
        action="append",
        metavar="[CAMERA=]PLACE",
        help="the truth: a bag, a COCO file (.json), MOTChallenge or MOTS text (.txt); several "
        "cameras' texts one by one. Default: the bag that was played, which is RUN/sample or the "
        "source of `gsam track`",
    )
    parser.add_argument(
        "--truth-topic",
        action="append",
        default=[],
        metavar="TOPIC",
        help="of a bag: InstanceArray or Detection2DArray, one per camera; default: NAME/truth",
    )
    parser.add_argument(
        "--phrase",
        default="",
        help="for MOTChallenge and MOTS text, which has no names: the phrase that its objects are",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="BAG",
        help="where the images are; by default where the truth is, or what `gsam track` read",
    )


def score_of(run: Path, options: argparse.Namespace) -> tuple[RunScore, Path | None]:
    """The score of a run that was named on the command line, and where its images are.

    Raises:
        BagError: something can't be read, or the truth does not fit.
        PromptError: the recorded prompt can't be used.
    """
    from gsam_ros.evaluation.run_results import read_results
    from gsam_ros.evaluation.run_score import score_results
    from gsam_ros.evaluation.truths import check_options, load_truth
    from gsam_ros.recordings.bag import BagError, is_bag
    from gsam_ros.recordings.run_folder import read_run

    if run.is_file() and not is_bag(run):
        raise BagError(f"{run} is no recording: give the folder that gsam track or gsam demo wrote")
    result = run / "result" if (run / "result").is_dir() else run
    tracked = read_run(result.parent)
    source = tracked["source"].get("path") if tracked else None
    places = options.truth or [source or str(run / "sample")]
    results = read_results(result)
    check_options(places, options.truth_topic, options.phrase)
    score = score_results(results, load_truth(places, results, options.truth_topic, options.phrase))
    for problem in score.problems:
        print(f"gsam: {problem}", file=sys.stderr)
    if options.images:
        return score, options.images
    if source and Path(source).exists():
        return score, result.parent
    return score, _bag_with_images([Path(places[0]), run / "sample"])


def _bag_with_images(places: list[Path]) -> Path | None:
    from gsam_ros.recordings.bag import is_bag, open_bag
    from gsam_ros.recordings.sources.image_topics import COMPRESSED, RAW

    for place in places:
        if place.exists() and is_bag(place):
            with open_bag(place, salvage=True) as bag:
                if bag.count([t for t, kind in bag.topics.items() if kind in (RAW, COMPRESSED)]):
                    return place
    return None
