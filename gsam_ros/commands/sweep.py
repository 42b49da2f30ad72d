"""`gsam sweep`: many recordings and many settings, one table."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from gsam_ros.commands.common import fail, folder, positive
from gsam_ros.commands.model_options import add_model_arguments, chosen_models

ABOUT = "track many recordings under many settings, and say which setting is best"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam sweep`."""
    parser.add_argument("sources", type=Path, nargs="+", metavar="SOURCE", help="as of gsam track")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE,VALUE,...",
        help="a setting and the values to try; of several, all combinations are run",
    )
    parser.add_argument(
        "--prompt", default="", help="what to look for; by default what the bags' prompts ask for"
    )
    parser.add_argument(
        "--topic", action="append", default=[], help="of bags: which images; more than once for"
        " several cameras"
    )  # fmt: skip
    parser.add_argument(
        "--truth",
        action="append",
        default=[],
        metavar="[CAMERA=]PLACE",
        help="the truth of every recording, where it is not in the recordings: as of gsam evaluate",
    )
    parser.add_argument(
        "--phrase", default="", help="for truth that is text, which has no names: what it is of"
    )
    parser.add_argument(
        "--out", type=folder, default=Path("out/sweep"), help="folder for all of it"
    )
    parser.add_argument("--frames", type=positive, default=0, help="end each run after so many")
    parser.add_argument("--by", default="", help="figure to sort by, such as HOTA or AP50")
    add_model_arguments(parser)
    parser.add_argument(
        "--jobs", type=positive, help="runs at once on this machine; by default one per core"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on a Ray cluster instead: ray://HEAD:10001, auto, or local to start one here",
    )
    parser.add_argument(
        "--ray-cores", type=float, default=1, metavar="N", help="that each run reserves there"
    )
    parser.add_argument(
        "--ray-gpus", type=float, default=0, metavar="N", help="likewise; 0.5 shares one"
    )


def run(options: argparse.Namespace) -> int:
    """Run the sweep and print how the settings compare."""
    from gsam_ros.evaluation.truths import TruthError, check_options
    from gsam_ros.prompts import PromptError, parse_phrases
    from gsam_ros.settings import SettingError
    from gsam_ros.sweep.figures import ALL
    from gsam_ros.sweep.plan import combinations, plan
    from gsam_ros.sweep.runners import FleetError, run_here, run_on_ray
    from gsam_ros.sweep.sweep import Runner, sweep
    from gsam_ros.sweep.table import as_markdown

    if options.by and options.by not in ALL:
        return fail(f"--by {options.by}: give one of {', '.join(ALL)}")
    try:
        if options.prompt:
            parse_phrases(options.prompt)
        if options.truth:  # a typing error is not to be told after hours of tracking
            check_options(options.truth, phrase=options.phrase)
        jobs = plan(
            options.sources,
            combinations(options.set),
            options.out,
            prompt=options.prompt,
            topics=tuple(options.topic),
            truth=options.truth,
            phrase=options.phrase,
            frames=options.frames,
            fixed=tuple(chosen_models(options)),
        )
    except (OSError, PromptError, SettingError, TruthError) as error:
        return fail(str(error))
    runner: Runner = partial(run_here, at_once=options.jobs or len(os.sched_getaffinity(0)))
    if options.ray:
        runner = partial(
            run_on_ray, address=options.ray, cores=options.ray_cores, gpus=options.ray_gpus
        )
    try:
        results = sweep(jobs, runner, options.out, options.by)
    except (FleetError, OSError) as error:
        return fail(str(error))
    print(f"\n{as_markdown(results, results.settings)}\n\n{as_markdown(results, results.runs)}")
    print(f"\nsweep.html, sweep.csv and sweep.md in {options.out}")
    failed = [row for row in results.runs if not row.figures]
    return fail(f"{len(failed)} of {len(results.runs)} runs failed") if failed else 0
