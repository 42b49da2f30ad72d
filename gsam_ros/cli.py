"""The `gsam` command."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from gsam_ros import __version__

# Subcommands import what they need when they run: torch alone takes longer than `gsam --help` may.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0: done; 1: a file, a bag, a model or a process failed, or a demo's result is not as it should
    be; 2: wrong usage; 130 and 143: interrupted.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        status: int = options.run(options)
        return status
    except KeyboardInterrupt:
        print("gsam: interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        return _fail(
            f"{error}: run this in the environment that `make setup` builds, or install the "
            "package that is missing"
        )


def _end(*_: object) -> None:
    """SIGTERM: leave through every `finally`, so that no child process is left behind."""
    sys.exit(143)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gsam", description="Find, name, segment and follow what a text prompt asks for."
    )
    parser.add_argument("--version", action="version", version=f"gsam_ros {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(
        commands.add_parser(
            "demo", help="play a sample recording through the node and score the result"
        )
    )
    _add_track(
        commands.add_parser(
            "track", help="take a bag, a video or images through the machine, without ROS running"
        )
    )
    _add_evaluate(
        commands.add_parser(
            "evaluate",
            help="score a recorded run against the truth in the recording it was played from",
        )
    )
    _add_compare(
        commands.add_parser(
            "compare", help="tell what a second run on the same recording does better or worse"
        )
    )
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for everything")
    parser.add_argument(
        "--runs",
        type=_positive,
        default=1,
        help="play so often, and compare the results frame by frame",
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the recording")
    parser.add_argument("--seed", type=int, help="of the world that is recorded")
    parser.add_argument("--params-file", type=Path, help="further parameters of the node")
    parser.set_defaults(run=_demo)


def _add_track(parser: argparse.ArgumentParser) -> None:
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
    parser.set_defaults(run=_track)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_folder",
        type=Path,
        metavar="RUN",
        help="a folder that `gsam demo` made, or a bag with results",
    )
    parser.add_argument("--truth", type=Path, help="the bag that was played; by default RUN/sample")
    parser.add_argument("--out", type=Path, help="folder for report and pictures; none by default")
    parser.set_defaults(run=_evaluate)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    for name, meaning in (("RUN_A", "the run to compare with"), ("RUN_B", "the run in question")):
        parser.add_argument(
            name.lower(),
            type=Path,
            metavar=name,
            help=f"{meaning}: a folder that `gsam demo` made, or a bag with results",
        )
    parser.add_argument("--truth", type=Path, help="the bag that both were played from")
    parser.add_argument("--out", type=Path, help="folder for comparison.html and comparison.json")
    parser.add_argument(
        "--block",
        type=float,
        metavar="SECONDS",
        help="length of the stretches of the recording that are drawn to get the intervals; "
        "default: 2, or a tenth of the recording where that is longer",
    )
    parser.set_defaults(run=_compare)


def _demo(options: argparse.Namespace) -> int:
    from gsam_ros.evaluation.bag import BagError
    from gsam_ros.evaluation.demo import DemoOptions, run_demo
    from gsam_ros.evaluation.message_types import MessageTypeError
    from gsam_ros.evaluation.processes import ProcessError
    from gsam_ros.evaluation.sample import SampleOptions
    from gsam_ros.evaluation.video import VideoError

    sample = SampleOptions(seconds=options.seconds)
    if options.seed is not None:
        sample = SampleOptions(seconds=options.seconds, seed=options.seed)
    demo = DemoOptions(options.out, options.runs, sample, options.params_file)
    try:
        problems = run_demo(demo)
    except (BagError, MessageTypeError, ProcessError, VideoError, OSError) as error:
        return _fail(str(error))
    for problem in problems:
        _fail(problem)
    return 1 if problems else 0


def _track(options: argparse.Namespace) -> int:
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
        return _fail(str(error))

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
        return _fail(str(error))
    print(f"{frames} frames, results in {options.out}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from gsam_ros.evaluation.bag import BagError
    from gsam_ros.evaluation.report import as_text, rows, write_reports
    from gsam_ros.evaluation.run_score import score_run
    from gsam_ros.evaluation.video import VideoError
    from gsam_ros.prompts import PromptError

    result, truth = _bags(options.run_folder, options.truth)
    try:
        score = score_run(truth, result)
        if options.out:
            from gsam_ros.evaluation.demo import draw_run  # needs ROS's message packages

            options.out.mkdir(parents=True, exist_ok=True)
            write_reports(score, options.out)
            draw_run(score, truth, options.out)
    except (BagError, OSError, PromptError, VideoError) as error:
        return _fail(str(error))
    print(as_text(rows(score)))
    return 0


def _compare(options: argparse.Namespace) -> int:
    from gsam_ros.evaluation.bag import BagError
    from gsam_ros.evaluation.comparison.compare import compare
    from gsam_ros.evaluation.comparison.comparison_report import as_terminal, write_comparison_json
    from gsam_ros.evaluation.comparison.same_frames import ComparisonError
    from gsam_ros.evaluation.run_score import score_run
    from gsam_ros.prompts import PromptError

    runs = options.run_a, options.run_b
    bags = [_bags(run, options.truth) for run in runs]
    try:
        first, second = (score_run(truth, result) for result, truth in bags)
        comparison = compare(first, second, options.block)
        if options.out:
            from gsam_ros.evaluation.pages.comparison_page import write_comparison_page

            options.out.mkdir(parents=True, exist_ok=True)
            write_comparison_json(options.out / "comparison.json", comparison)
            names = str(runs[0]), str(runs[1])
            page = options.out / "comparison.html"
            write_comparison_page(page, comparison, bags[0][1], names)
    except ComparisonError as error:
        return _fail(f"{runs[0]} and {runs[1]} can't be compared: {error}")
    except (BagError, OSError, PromptError) as error:
        return _fail(str(error))
    print(as_terminal(comparison))
    return 0


def _bags(run: Path, truth: Path | None) -> tuple[Path, Path]:
    """The result bag and the truth of a run that was named on the command line."""
    result = run / "result" if (run / "result").is_dir() else run
    return result, truth or run / "sample"


def _positive(text: str) -> int:
    """A number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is less than 1")
    return number


def _fail(message: str) -> int:
    print(f"gsam: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
