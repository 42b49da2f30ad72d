"""Runs on several recordings as one, so that two settings are compared over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gsam_ros.evaluation.comparison.blocks import FEW
from gsam_ros.evaluation.comparison.same_frames import ComparisonError
from gsam_ros.evaluation.metrics.absent_phrases import score_absent
from gsam_ros.evaluation.metrics.detection import score_detections
from gsam_ros.evaluation.metrics.timing import score_timing
from gsam_ros.evaluation.metrics.tracking import score_tracking
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame
from gsam_ros.evaluation.run_score import RunScore

_BETWEEN = 10**9  # nanoseconds from the end of one recording to the begin of the next


def runs_in(folder: Path) -> dict[str, Path]:
    """Runs in a folder of runs, by the name of their own folder; none where it is a run itself."""
    if not folder.is_dir() or (folder / "result").is_dir():
        return {}
    return {p.name: p for p in sorted(folder.iterdir()) if (p / "result").is_dir()}


def same_recordings(first: Mapping[str, Path], second: Mapping[str, Path]) -> list[str]:
    """The names of the recordings that both folders have runs of.

    Raises:
        ComparisonError: one has a run that the other lacks.
    """
    if alone := sorted(first.keys() ^ second.keys()):
        raise ComparisonError(f"only one of them has runs of {', '.join(alone)}")
    return sorted(first)


def joined(scores: Mapping[str, RunScore], seconds: float) -> RunScore:
    """Several runs as one: their cameras beside each other, their recordings one after another.

    Args:
        scores: name of the recording to the score of its run.
        seconds: from the begin of one to that of the next, see `spacing`.
    """
    frames: list[PairedFrame] = []
    timings = []
    for number, (name, score) in enumerate(scores.items()):
        start = min(frame.answer.stamp for frame in score.frames)
        shift = number * round(seconds * 1e9) - start
        frames += [_moved(frame, name, shift) for frame in score.frames]
        for timing in score.timings:
            camera, stamp = f"{name}/{timing.camera}", timing.stamp + shift
            timings.append(replace(timing, camera=camera, stamp=stamp))
    every = list(scores.values())
    return RunScore(
        tuple(
            replace(camera, camera=f"{name}/{camera.camera}")
            for name, score in scores.items()
            for camera in score.cameras
        ),
        score_detections(frames),
        score_tracking(frames),
        score_timing(timings),
        sum(score.seconds for score in every),
        sum(score.recorded_seconds for score in every),
        tuple(frames),
        tuple(timings),
        score_absent(frames),
        tuple(f"{name}: {told}" for name, score in scores.items() for told in score.problems),
    )


def spacing(first: Mapping[str, RunScore], second: Mapping[str, RunScore]) -> float:
    """Seconds that every recording gets: the longest, and a moment between two."""
    spans = []
    for score in (*first.values(), *second.values()):
        stamps = [frame.answer.stamp for frame in score.frames]
        stamps += [timing.stamp for timing in score.timings]
        spans.append(max(stamps) - min(frame.answer.stamp for frame in score.frames))
    return (max(spans) + _BETWEEN) / 1e9


def block_of(recordings: int, seconds: float) -> float | None:
    """A recording is a block where there are enough of them, else as for one recording."""
    return seconds if recordings >= FEW else None


def _moved(frame: PairedFrame, name: str, shift: int) -> PairedFrame:
    def move(objects: FrameObjects) -> FrameObjects:
        return replace(objects, camera=f"{name}/{objects.camera}", stamp=objects.stamp + shift)

    expected = replace(frame.expected, objects=move(frame.expected.objects))
    return replace(frame, expected=expected, answer=move(frame.answer))
