"""`gsam track`: the pipeline on a recording, without ROS running."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gsam_ros.commands.common import fail, folder, positive, zero_or_more
from gsam_ros.commands.model_options import add_pipeline_arguments, pipeline_settings

ABOUT = "take a bag, a video, images or a webcam through the pipeline, without ROS running"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam track`."""
    parser.add_argument(
        "source",
        help="rosbag2 (folder, .mcap, .db3), video, image, folder of images, or a webcam: 0, "
        "/dev/video0",
    )
    parser.add_argument(
        "--prompt",
        default="",
        help='what to look for: "red mug. person."; by default what the bag\'s topic /prompt says',
    )
    parser.add_argument(
        "--out",
        type=folder,
        default=Path("out/track"),
        help="folder for the results; an interrupted run that it holds goes on, a finished one is "
        "replaced",
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        help="of a bag: which images; several times for several cameras",
    )
    parser.add_argument("--frames", type=positive, default=0, help="end after so many")
    parser.add_argument(
        "--save-every",
        type=zero_or_more,
        default=60.0,
        metavar="SECONDS",
        help="how often the run is secured; what a killed run loses at most (default: 60)",
    )
    parser.add_argument("--no-video", action="store_true", help="draw no annotated video")
    add_pipeline_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Take every frame through the pipeline."""
    from gsam_ros.settings import SettingError
    from gsam_ros.standalone.track_run import TrackError, TrackOptions, run_track

    try:
        outcome = run_track(
            TrackOptions(
                options.source,
                options.out,
                options.prompt,
                tuple(options.topic),
                pipeline_settings(options),
                not options.no_video,
                options.frames,
                options.save_every,
            ),
            lambda text: print(f"gsam: {text}", file=sys.stderr),
        )
    except (SettingError, TrackError) as error:
        return fail(str(error))
    for problem in outcome.problems:
        print(f"gsam: {problem}", file=sys.stderr)
    if not outcome.finished:
        print(
            f"gsam: interrupted after {outcome.frames} frames; the same command goes on from there",
            file=sys.stderr,
        )
        return 130
    if not outcome.frames:
        return fail(f"{options.source} holds no frame that can be read")
    left_out = f", {outcome.unreadable} could not be read" if outcome.unreadable else ""
    print(f"{outcome.frames} frames{left_out}, results in {options.out}")
    return 0
