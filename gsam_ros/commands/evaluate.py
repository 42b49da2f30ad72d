"""`gsam evaluate`: a run against the truth."""

from __future__ import annotations

import argparse
from pathlib import Path

from gsam_ros.commands.common import bags_of_run, fail

ABOUT = "score a recorded run against the truth in the recording it was played from"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be typed."""
    parser.add_argument(
        "run_folder",
        type=Path,
        metavar="RUN",
        help="a folder that `gsam demo` made, or a bag with results",
    )
    parser.add_argument("--truth", type=Path, help="the bag that was played; by default RUN/sample")
    parser.add_argument("--out", type=Path, help="folder for report and pictures; none by default")


def run(options: argparse.Namespace) -> int:
    """Score, and draw where a folder was given for it."""
    from gsam_ros.evaluation.bag import BagError
    from gsam_ros.evaluation.report import as_text, rows, write_reports
    from gsam_ros.evaluation.run_score import score_run
    from gsam_ros.evaluation.video import VideoError
    from gsam_ros.prompts import PromptError

    result, truth = bags_of_run(options.run_folder, options.truth)
    try:
        score = score_run(truth, result)
        if options.out:
            from gsam_ros.evaluation.demo import draw_run  # needs ROS's message packages

            options.out.mkdir(parents=True, exist_ok=True)
            write_reports(score, options.out)
            draw_run(score, truth, options.out)
    except (BagError, OSError, PromptError, VideoError) as error:
        return fail(str(error))
    print(as_text(rows(score)))
    return 0
