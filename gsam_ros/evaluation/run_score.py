"""Everything that is known of one run: its results against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.frame_timing import FrameTiming
from gsam_ros.evaluation.metrics.absent_phrases import AbsentFigures, score_absent
from gsam_ros.evaluation.metrics.detection import DetectionFigures, score_detections
from gsam_ros.evaluation.metrics.timing import TimingFigures, score_timing
from gsam_ros.evaluation.metrics.tracking import TrackingFigures, score_tracking
from gsam_ros.evaluation.objects import FrameObjects, some_of
from gsam_ros.evaluation.pairing import PairedFrame, pair_up
from gsam_ros.evaluation.run_results import CameraResults, RunResults, read_results
from gsam_ros.evaluation.truths.bag_truth import bag_truth
from gsam_ros.evaluation.truths.truth_data import Truth, TruthError


@dataclass(frozen=True)
class CameraFrames:
    """What became of one camera's frames.

    Attributes:
        camera: its name.
        played: images in the recording, or that there was a word of.
        answered: how many of them have a result.
        missing: stamps (nanoseconds) of those that have none.
    """

    camera: str
    played: int
    answered: int
    missing: tuple[int, ...]


@dataclass(frozen=True)
class RunScore:
    """All figures of one run.

    Attributes:
        cameras: frames in and out.
        detection: average precision.
        tracking: HOTA and what belongs to it.
        timing: ages and stages.
        seconds: that the run took: from the first result to the last by the clock on the wall; of
            `gsam track`, which writes the recording's time, what the frames took together.
        recorded_seconds: length of the recording that was played.
        frames: truth and answer of every scored frame.
        timings: what `frame_status` says, each camera's frames in order.
        absent: answers to phrases of which nothing was there.
        problems: what did not fit or could not be read, in words.
    """

    cameras: tuple[CameraFrames, ...]
    detection: DetectionFigures
    tracking: TrackingFigures
    timing: TimingFigures
    seconds: float
    recorded_seconds: float
    frames: tuple[PairedFrame, ...]
    timings: tuple[FrameTiming, ...]
    absent: AbsentFigures = field(default_factory=lambda: AbsentFigures(0, 0, 0))
    problems: tuple[str, ...] = ()

    @property
    def played(self) -> int:
        """Frames that went in, over all cameras."""
        return sum(c.played for c in self.cameras)

    @property
    def answered(self) -> int:
        """Frames that came out, over all cameras."""
        return sum(c.answered for c in self.cameras)

    @property
    def boxes_only(self) -> bool:
        """The truth has no masks, so overlap is that of boxes."""
        return any(frame.boxes_only for frame in self.frames)


def score_run(sample: Path, result: Path) -> RunScore:
    """Score a result bag against the truth in the bag that was played.

    Raises:
        BagError: a bag is damaged, or stamps do not fit.
        TruthError: the bag has no truth, or one that does not fit.
    """
    results = read_results(result)
    return score_results(results, bag_truth(sample, results))


def score_results(results: RunResults, truth: Truth) -> RunScore:
    """Score a run against any truth.

    Raises:
        TruthError: the truth does not fit in time or size, or nobody says what was asked for.
    """
    results, problems = _named_alike(results, truth)
    answers = [answer for camera in results.cameras for answer in camera.answers]
    pairs = _paired(truth, answers, results)
    if not pairs:
        raise TruthError(
            f"the truth does not fit in time: no frame of {results.path} was taken from "
            f"{truth.path}: their stamps differ, or no prompt was in force"
        )
    for pair in pairs:
        _check_size(pair, truth)
    known = {(f.camera, f.stamp) for f in truth.frames}
    scored = {(p.answer.camera, p.answer.stamp) for p in pairs}
    lost = len(known - scored)
    if lost:
        problems.append(f"{lost} of {len(known)} frames with truth have no answer")
    timings = tuple(timing for camera in results.cameras for timing in camera.timings)
    return RunScore(
        tuple(_frames_of(camera, truth) for camera in results.cameras),
        score_detections(pairs),
        score_tracking(pairs),
        score_timing(timings),
        results.seconds,
        _recorded_seconds(truth, results),
        tuple(pairs),
        timings,
        score_absent(pairs),
        (*results.problems, *truth.problems, *problems),
    )


def _named_alike(results: RunResults, truth: Truth) -> tuple[RunResults, list[str]]:
    """The run without cameras of which there is no truth; an only camera takes the truth's name."""
    known = {frame.camera for frame in truth.frames}
    names = [camera.name for camera in results.cameras]
    problems = [
        f"the camera {name!r} has truth and no results" for name in sorted(known - set(names))
    ]
    if len(names) == 1 and names[0] not in known:
        stamps = set(results.cameras[0].stamps)
        shared = {
            name: sum(f.stamp in stamps for f in truth.frames if f.camera == name) for name in known
        }
        best = max(sorted(known), key=lambda name: shared[name], default="")
        if shared.get(best):
            only = (results.cameras[0].called(best),)
            return replace(results, cameras=only), [p for p in problems if f"{best!r}" not in p]
    cameras = tuple(camera for camera in results.cameras if camera.name in known)
    for name in names:
        if name not in known:
            problems.append(f"the camera {name!r} has results and no truth")
    return replace(results, cameras=cameras), problems


def _paired(
    truth: Truth, answers: Sequence[FrameObjects], results: RunResults
) -> list[PairedFrame]:
    # Each answer names the prompt that it answers. Those of the recording may not have been played.
    asked = {answer.prompt_version for answer in answers} - {0}
    own = bool(results.prompts) and (truth.prompts is None or asked <= results.prompts.keys())
    prompts = None if own else truth.prompts
    if prompts is None and not results.prompts:
        raise TruthError(
            f"nobody says what was asked for: {results.path} has no label_info and {truth.path} no "
            "topic /prompt"
        )
    if truth.phrase:
        answers = [_about(answer, truth.phrase) for answer in answers]
    versions = {
        version: (truth.phrase,) if truth.phrase else phrases
        for version, phrases in results.prompts.items()
    }
    return pair_up(
        truth.frames,
        answers,
        prompts if prompts is not None else versions,
        exact=truth.exact,
        boxes_only=truth.boxes_only,
    )


def _about(answer: FrameObjects, phrase: str) -> FrameObjects:
    """The answers to one phrase."""
    called = [name.casefold() == phrase.casefold() for name in answer.phrases]
    return some_of(answer, np.array(called, bool))


def _check_size(pair: PairedFrame, truth: Truth) -> None:
    objects, answer = pair.expected.objects, pair.answer
    if objects.masks and answer.masks:
        theirs, ours = objects.masks[0]["size"], answer.masks[0]["size"]
        if list(theirs) != list(ours):
            raise TruthError(
                f"{truth.path} does not fit in size: its frame at {answer.stamp / 1e9:.3f} s has "
                f"{theirs[1]}x{theirs[0]} pixels, the run's {ours[1]}x{ours[0]}"
            )


def _frames_of(camera: CameraResults, truth: Truth) -> CameraFrames:
    played = truth.images.get(camera.name, camera.stamps)
    answered = {answer.stamp for answer in camera.answers}
    missing = tuple(stamp for stamp in played if stamp not in answered)
    return CameraFrames(camera.name, len(played), len(played) - len(missing), missing)


def _recorded_seconds(truth: Truth, results: RunResults) -> float:
    if truth.seconds is not None:
        return truth.seconds
    stamps = [stamp for camera in results.cameras for stamp in camera.stamps]
    return (max(stamps) - min(stamps)) / 1e9 if stamps else 0.0
