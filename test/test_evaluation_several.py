"""Two settings compared over several recordings."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from evaluation_bags import write_answers
from evaluation_cases import frame, paired

from gsam_ros.cli import main
from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.evaluation.comparison.compare import compare
from gsam_ros.evaluation.comparison.several import block_of, joined, spacing
from gsam_ros.evaluation.frame_timing import FrameTiming
from gsam_ros.evaluation.metrics.detection import score_detections
from gsam_ros.evaluation.metrics.timing import score_timing
from gsam_ros.evaluation.metrics.tracking import score_tracking
from gsam_ros.evaluation.run_score import RunScore
from gsam_ros.stages import Stage

MUG, BALL = "red mug", "green ball"
STEP = 10**8


def recording(start: int, answers: list[tuple], count: int = 10) -> RunScore:
    """A recording from `start` (ns) on, in which every frame is answered alike."""
    stamps = [start + i * STEP for i in range(count)]
    truth = [frame(t, (1, MUG, "left"), (2, BALL, "right")) for t in stamps]
    frames = paired(truth, [frame(t, *answers) for t in stamps])
    timings = tuple(
        FrameTiming("front", t, 0.05, False, (Stage("detect", 0, 0.02),), {}) for t in stamps
    )
    detection, tracking = score_detections(frames), score_tracking(frames)
    return RunScore(
        (), detection, tracking, score_timing(timings), 1.0, 1.0, tuple(frames), timings
    )


GOOD, HALF = [(7, MUG, "left"), (8, BALL, "right")], [(7, MUG, "left")]


def test_recordings_are_apart_and_their_ids_are_worlds_of_their_own() -> None:
    scores = {"a": recording(0, GOOD), "b": recording(5 * 10**12, GOOD, 4)}
    whole = joined(scores, spacing(scores, scores))
    assert whole.tracking.objects == whole.tracking.tracks == 4
    assert whole.tracking.hits == 28
    assert whole.tracking.hota == pytest.approx(1)
    stamps = [f.answer.stamp for f in whole.frames if f.answer.camera == "b/front"]
    assert stamps[0] == 19 * STEP  # a's 0.9 s and a second


def test_of_many_recordings_each_is_a_block() -> None:
    names = [f"bag{i}" for i in range(6)]
    first = {name: recording(0, GOOD) for name in names}
    second = {name: recording(0, HALF if i % 2 else GOOD) for i, name in enumerate(names)}
    third = {name: recording(0, HALF) for name in names}
    seconds = spacing(first, second)
    assert block_of(4, seconds) is None
    compared = [
        compare(joined(first, seconds), joined(other, seconds), block_of(6, seconds))
        for other in (second, third)
    ]
    assert compared[0].blocks == 6
    missed = [next(d for d in c.differences if d.name == "missed") for c in compared]
    assert [d.difference for d in missed] == [30, 60]
    assert missed[0].low < 30 < missed[0].high  # it depends on which recordings one has
    assert (missed[1].low, missed[1].high, missed[1].verdict) == (60, 60, "worse")


def test_folders_of_runs_are_compared_recording_by_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def less(index: int, message: Any) -> Any:
        message.instances = message.instances[:1]
        return message

    for seed in (1, 2):
        sample = tmp_path / "a" / f"bag{seed}" / "sample"
        write_sample(sample, SampleOptions(seconds=0.2, seed=seed))
        shutil.copytree(sample, tmp_path / "b" / f"bag{seed}" / "sample")
        write_answers(sample, sample.parent / "result")
        write_answers(sample, tmp_path / "b" / f"bag{seed}" / "result", change=less)
    arguments = ["compare", str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*arguments, "--block", "0.1", "--out", str(tmp_path / "out")]) == 0
    assert re.search(r"^missed .* worse$", capsys.readouterr().out, re.MULTILINE)
    assert "images are not at hand" in (tmp_path / "out" / "comparison.html").read_text()
    shutil.rmtree(tmp_path / "b" / "bag2")
    assert main(arguments) == 1
    assert "can't be compared: only one of them has runs of bag2" in capsys.readouterr().err
