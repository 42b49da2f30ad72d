"""`gsam compare`: what a second run does better or worse."""

from __future__ import annotations

import argparse
from pathlib import Path

from gsam_ros.commands.common import add_truth_arguments, fail, score_of

ABOUT = "tell what a second run on the same recording does better or worse"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be typed."""
    for name, meaning in (("RUN_A", "the run to compare with"), ("RUN_B", "the run in question")):
        parser.add_argument(
            name.lower(),
            type=Path,
            metavar=name,
            help=f"{meaning}: a folder that `gsam track` or `gsam demo` made, or a bag with "
            "results",
        )
    add_truth_arguments(parser)
    parser.add_argument("--out", type=Path, help="folder for comparison.html and comparison.json")
    parser.add_argument(
        "--block",
        type=float,
        metavar="SECONDS",
        help="length of the stretches of the recording that are drawn to get the intervals; "
        "default: 2, or a tenth of the recording where that is longer",
    )


def run(options: argparse.Namespace) -> int:
    """Score both, compare, and draw where a folder was given for it."""
    from gsam_ros.evaluation.bag import BagError
    from gsam_ros.evaluation.comparison.compare import compare
    from gsam_ros.evaluation.comparison.comparison_report import as_terminal, write_comparison_json
    from gsam_ros.evaluation.comparison.same_frames import ComparisonError
    from gsam_ros.prompts import PromptError

    runs = options.run_a, options.run_b
    try:
        (first, images), (second, _) = (score_of(run, options) for run in runs)
        comparison = compare(first, second, options.block)
        if options.out:
            from gsam_ros.evaluation.pages.comparison_page import write_comparison_page

            options.out.mkdir(parents=True, exist_ok=True)
            write_comparison_json(options.out / "comparison.json", comparison)
            names = str(runs[0]), str(runs[1])
            page = options.out / "comparison.html"
            write_comparison_page(page, comparison, images, names)
    except ComparisonError as error:
        return fail(f"{runs[0]} and {runs[1]} can't be compared: {error}")
    except (BagError, OSError, PromptError) as error:
        return fail(str(error))
    print(as_terminal(comparison))
    return 0
