"""`gsam track`: the machine on a recording, without ROS running."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gsam_ros.commands.common import fail

ABOUT = "take a bag, a video or images through the machine, without ROS running"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be typed."""
    parser.add_argument("source", type=Path, help="rosbag2 folder, video, image, folder of images")
    parser.add_argument("--prompt", required=True, help='what to look for: "red mug. person."')
    parser.add_argument(
        "--out", type=Path, default=Path("out/track"), help="folder for the results"
    )
    parser.add_argument("--topic", default="", help="of a bag: which images")
    parser.add_argument("--device", help="auto, cpu, cuda, ...")
    parser.add_argument("--detector", help="Grounding DINO checkpoint: name, folder or hub id")
    parser.add_argument("--segmenter", help="SAM 2 checkpoint: name, folder or hub id")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting, by the name of the node's parameter: detector.slices.mode=auto",
    )


def run(options: argparse.Namespace) -> int:
    """Take every frame through the machine."""
    from dataclasses import replace

    from gsam_ros.evaluation.bag import BagError
    from gsam_ros.evaluation.sources import SourceError, open_source
    from gsam_ros.evaluation.track import track
    from gsam_ros.evaluation.video import VideoError
    from gsam_ros.pipeline.settings import Settings
    from gsam_ros.prompts import PromptError, parse_phrases
    from gsam_ros.settings import SettingError, with_texts

    try:  # before torch is loaded, which takes a while
        parse_phrases(options.prompt)
        settings = with_texts(Settings(), options.set)
        source = open_source(options.source, options.topic)
    except (BagError, OSError, PromptError, SettingError, SourceError) as error:
        return fail(str(error))

    from gsam_ros.checkpoints import CheckpointError
    from gsam_ros.pipeline.devices import DeviceError
    from gsam_ros.pipeline.grounded_tracker import GroundedTracker

    if options.device:
        settings = replace(settings, device=options.device)
    if options.detector:
        settings = replace(settings, detector=replace(settings.detector, model=options.detector))
    if options.segmenter:
        settings = replace(settings, segmenter=replace(settings.segmenter, model=options.segmenter))
    try:
        tracker = GroundedTracker(settings, progress=lambda text: print(text, file=sys.stderr))
        tracker.set_prompt(options.prompt)
        for phrase in tracker.vocabulary_warnings:
            print(f"gsam: the detector knows no word of {phrase!r}", file=sys.stderr)
        frames = track(source, tracker, options.out)
    except (
        BagError,
        CheckpointError,
        DeviceError,
        OSError,
        PromptError,
        SourceError,
        VideoError,
    ) as error:
        return fail(str(error))
    print(f"{frames} frames, results in {options.out}")
    return 0
