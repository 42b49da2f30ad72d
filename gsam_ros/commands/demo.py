"""`gsam demo`: a sample recording through the node, scored."""

from __future__ import annotations

import argparse
from pathlib import Path

from gsam_ros.commands.common import above_zero, fail, folder, positive

ABOUT = "play a sample recording through the node and score the result"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam demo`."""
    parser.add_argument(
        "--out", type=folder, default=Path("out/demo"), help="folder for everything"
    )
    parser.add_argument(
        "--runs",
        type=positive,
        default=1,
        help="play so often, and compare the results frame by frame",
    )
    parser.add_argument("--seconds", type=above_zero, default=20.0, help="length of the recording")
    parser.add_argument("--seed", type=int, help="of the world that is recorded")
    parser.add_argument("--params-file", type=Path, help="further parameters of the node")


def run(options: argparse.Namespace) -> int:
    """Record, play, score and draw."""
    from gsam_ros.demo.run import DemoOptions, run_demo
    from gsam_ros.demo.sample import SampleOptions
    from gsam_ros.processes import ProcessError
    from gsam_ros.recordings.bag import BagError
    from gsam_ros.recordings.message_types import MessageTypeError
    from gsam_ros.recordings.video import VideoError

    sample = SampleOptions(seconds=options.seconds)
    if options.seed is not None:
        sample = SampleOptions(seconds=options.seconds, seed=options.seed)
    demo = DemoOptions(options.out, options.runs, sample, options.params_file)
    try:
        problems = run_demo(demo)
    except (BagError, MessageTypeError, ProcessError, VideoError, OSError) as error:
        return fail(str(error))
    for problem in problems:
        fail(problem)
    return 1 if problems else 0
