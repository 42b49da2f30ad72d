"""`gsam compare`: what a second run does better or worse."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gsam_ros.commands.common import fail, folder
from gsam_ros.commands.scoring import add_truth_arguments, score_of

if TYPE_CHECKING:
    from gsam_ros.evaluation.run_score import RunScore

ABOUT = "tell what a second run, or set of runs, does better or worse"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam compare`."""
    for name, meaning in (("RUN_A", "the run to compare with"), ("RUN_B", "the run in question")):
        parser.add_argument(
            name.lower(),
            type=Path,
            metavar=name,
            help=f"{meaning}: a folder that `gsam track` or `gsam demo` made, a bag with results, "
            "or a folder of such folders, one per recording",
        )
    add_truth_arguments(parser)
    parser.add_argument("--out", type=folder, help="folder for comparison.html and comparison.json")
    parser.add_argument(
        "--block",
        type=float,
        metavar="SECONDS",
        help="length of the stretches of the recording that are drawn to get the intervals; "
        "default: 2, or a tenth of the recording where that is longer; with 5 recordings or more "
        "each recording is one block",
    )


def run(options: argparse.Namespace) -> int:
    """Score both, compare, and draw where a folder was given for it."""
    from gsam_ros.evaluation.comparison.compare import compare
    from gsam_ros.evaluation.comparison.report import as_terminal, write_comparison_json
    from gsam_ros.evaluation.comparison.same_frames import ComparisonError
    from gsam_ros.prompts import PromptError
    from gsam_ros.recordings.bag import BagError

    names = str(options.run_a), str(options.run_b)
    try:
        first, second, images, block = _scores(options)
        comparison = compare(first, second, options.block if options.block is not None else block)
        if options.out:
            from gsam_ros.evaluation.pages.comparison_page import write_comparison_page

            options.out.mkdir(parents=True, exist_ok=True)
            write_comparison_json(options.out / "comparison.json", comparison)
            write_comparison_page(options.out / "comparison.html", comparison, images, names)
    except ComparisonError as error:
        return fail(f"{names[0]} and {names[1]} can't be compared: {error}")
    except (BagError, OSError, PromptError) as error:
        return fail(str(error))
    print(as_terminal(comparison))
    return 0


def _scores(
    options: argparse.Namespace,
) -> tuple[RunScore, RunScore, Path | None, float | None]:
    """Both scores, where the images are, and the length of a block."""
    from gsam_ros.evaluation.comparison import several
    from gsam_ros.recordings.bag import BagError

    for run in (options.run_a, options.run_b):  # before either is scored
        if not run.exists():
            raise BagError(f"{run} does not exist: give the folder of a run")
    runs = several.runs_in(options.run_a), several.runs_in(options.run_b)
    if not all(runs):
        (first, images), (second, _) = (
            score_of(run, options) for run in (options.run_a, options.run_b)
        )
        return first, second, images, None
    recordings = several.same_recordings(*runs)
    one, other = ({name: score_of(own[name], options)[0] for name in recordings} for own in runs)
    seconds = several.spacing(one, other)
    both = several.joined(one, seconds), several.joined(other, seconds)
    return *both, None, several.block_of(len(recordings), seconds)
