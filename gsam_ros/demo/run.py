"""`gsam demo`: from nothing to pictures and figures of the real node on a real recording.

What it leaves in its folder:

    sample/            the recording that was played, with the truth
    result/            what the node answered (result-2/, ... with --runs)
    video.mp4          all cameras side by side, annotated
    contact_sheet.png  moments of the run in one picture
    timeline.png       who was found when, under which id
    report.html        figures, curves, ages, stages and the worst frames, to look at
    report.txt .md .json
    logs/              of the processes, the node's parameters and memory
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from gsam_ros.demo.plausibility import implausible, missing_frames
from gsam_ros.demo.same_results import compare_runs
from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.evaluation.report import rows, write_reports
from gsam_ros.evaluation.run_pictures import draw_run
from gsam_ros.evaluation.run_score import score_run
from gsam_ros.recordings.bag_writer import remove_bag
from gsam_ros.replay.replay import replay
from gsam_ros.tables import as_text

_MADE = (
    "video.mp4",
    "contact_sheet.png",
    "timeline.png",
    "report.txt",
    "report.md",
    "report.json",
    "report.html",
)
_SHOWN_DIFFERENCES = 5


@dataclass(frozen=True)
class DemoOptions:
    """What `gsam demo` does.

    Attributes:
        out: folder for everything.
        runs: how often the recording is played; all runs must give the same results.
        sample: what to record.
        parameters: further parameters of the node, a ROS 2 parameter file.
    """

    out: Path
    runs: int = 1
    sample: SampleOptions = field(default_factory=SampleOptions)
    parameters: Path | None = None


def run_demo(options: DemoOptions) -> list[str]:
    """Record, play, score, draw and report.

    Returns:
        What is wrong, one sentence each: missing frames, implausible figures, runs that differ.

    Raises:
        BagError: the folder holds something that is no recording where one belongs.
        OSError: the folder can't be made, or there is no parameter file.
        ProcessError: the player, the node or the recorder failed.
    """
    begin = time.monotonic()
    if options.parameters and not options.parameters.is_file():
        raise FileNotFoundError(f"{options.parameters} does not exist")
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    sample = out / "sample"
    results = [
        out / ("result" if run == 1 else f"result-{run}") for run in range(1, options.runs + 1)
    ]
    for bag in (sample, *filter(Path.is_dir, out.glob("result*"))):
        remove_bag(bag)
    for name in _MADE:  # what an earlier run left must not be taken for this one's
        (out / name).unlink(missing_ok=True)
    cameras = _record(sample, options.sample)
    memory = None
    for result in results:
        logs = out / "logs" / result.name
        shutil.rmtree(logs, ignore_errors=True)
        print(f"Playing through the node, {result.name} ({logs})", flush=True)
        watched = replay(sample, result, cameras, logs, options.parameters)
        memory = watched if memory is None else memory
    print("Scoring", flush=True)
    score = score_run(sample, results[0])
    write_reports(score, out, memory)
    undrawn = draw_run(score, sample, out)
    print(f"\n{as_text(rows(score, memory))}\n\nAll in {out}, {time.monotonic() - begin:.0f} s")
    problems = [*score.problems, *undrawn, *missing_frames(score), *implausible(score)]
    for result in results[1:]:
        problems.extend(_told_briefly(compare_runs(results[0], result, cameras), result))
    return problems


def _record(path: Path, options: SampleOptions) -> list[str]:
    with tqdm(desc="sample recording", unit="frame", total=2 * options.frames) as bar:
        return write_sample(path, options, bar.update)


def _told_briefly(differences: Iterator[str], result: Path) -> Iterator[str]:
    """The first differences and how many more there are."""
    found = list(differences)
    for difference in found[:_SHOWN_DIFFERENCES]:
        yield f"{result.name} differs from the first run: {difference}"
    if len(found) > _SHOWN_DIFFERENCES:
        yield f"{result.name}: {len(found) - _SHOWN_DIFFERENCES} more frames differ"
