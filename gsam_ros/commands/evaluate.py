"""`gsam evaluate`: a run against the truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gsam_ros.commands.common import fail, folder
from gsam_ros.commands.scoring import add_truth_arguments, score_of

ABOUT = "score a run of the node or of `gsam track` against the truth"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam evaluate`."""
    parser.add_argument(
        "run_folder",
        type=Path,
        metavar="RUN",
        help="a folder that `gsam track` or `gsam demo` made, or a bag with results. The word "
        "`world` measures models instead (`gsam evaluate world --help`); a folder of that name is "
        "./world",
    )
    add_truth_arguments(parser)
    parser.add_argument(
        "--out", type=folder, help="folder for report and pictures; none by default"
    )


def run(options: argparse.Namespace) -> int:
    """Score, and draw where a folder was given for it."""
    from gsam_ros.evaluation.report import phrase_rows, rows, write_reports
    from gsam_ros.prompts import PromptError
    from gsam_ros.recordings.bag import BagError
    from gsam_ros.recordings.video import VideoError
    from gsam_ros.tables import as_text

    try:
        score, images = score_of(options.run_folder, options)
        print(as_text(rows(score)))
        if phrases := phrase_rows(score):
            print("\nAP50 and AP of boxes and of masks by phrase, the weakest first")
            print(as_text([(f"  {name}", "  ".join(values), "") for name, *values in phrases]))
        if options.out:
            from gsam_ros.evaluation.run_pictures import draw_run

            options.out.mkdir(parents=True, exist_ok=True)
            write_reports(score, options.out)
            # `gsam track` drew one, which must not be lost.
            video = not (options.out / "run.json").exists()
            for problem in draw_run(score, images, options.out, video):
                print(f"gsam: {problem}", file=sys.stderr)
    except (BagError, OSError, PromptError, VideoError) as error:
        return fail(str(error))
    return 0
