"""`gsam detect`: images on their own, without tracks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gsam_ros.commands.common import fail, folder
from gsam_ros.commands.model_options import add_pipeline_arguments, pipeline_settings

ABOUT = "find and segment in single images, each on its own"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam detect`."""
    parser.add_argument("source", help="image or folder of images; frames of a video or bag, too")
    parser.add_argument("--prompt", required=True, help='what to look for: "red mug. person."')
    parser.add_argument(
        "--out",
        type=folder,
        default=Path("out/detect"),
        help="folder for pictures and results.json",
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        help="of a bag: which images; several times for several cameras",
    )
    add_pipeline_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Answer every image."""
    from tqdm import tqdm

    from gsam_ros.pipeline.loading import LoadError, load_tracker
    from gsam_ros.prompts import PromptError, parse_prompt
    from gsam_ros.recordings.bag import BagError
    from gsam_ros.recordings.sources import SourceError, open_source
    from gsam_ros.settings import SettingError
    from gsam_ros.standalone.detect import OutputError, detect

    def tell(text: str) -> None:
        tqdm.write(f"gsam: {text}", sys.stderr)  # beside the progress bar

    try:
        parse_prompt(options.prompt)  # before the models are loaded
        source = open_source(options.source, options.topic)
        settings = pipeline_settings(options)
        tracker = load_tracker(settings, tell)
        outcome = detect(source, tracker, options.prompt, options.out, tell)
    except (
        BagError,
        LoadError,
        OSError,
        OutputError,
        PromptError,
        SettingError,
        SourceError,
    ) as error:
        return fail(str(error))
    if not outcome.images:
        return fail(f"{options.source} holds no image that can be read")
    print(f"{outcome.objects} objects in {outcome.images} images, results in {options.out}")
    return 0
