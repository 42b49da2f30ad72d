"""What a run left: a result bag of the node or of `gsam track`, read into plain data."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gsam_ros.evaluation.frame_timing import FrameTiming, timing_of
from gsam_ros.evaluation.objects import FrameObjects, read_objects
from gsam_ros.recordings.bag import BagError, BagReader, open_bag
from gsam_ros.recordings.result_messages import INSTANCES, LABEL_INFO
from gsam_ros.recordings.result_topics import NODE
from gsam_ros.recordings.run_folder import NAMES, read_run
from gsam_ros.recordings.stamps import stamp_of

_ENDING = "/instances"


@dataclass(frozen=True)
class CameraResults:
    """One camera's part of a run.

    Attributes:
        name: of the camera.
        stamps: nanoseconds, of every frame that there was a word of, in order, each once.
        arrivals: the same as they came, with those that came twice; the n-th is frame n.
        answers: what was found, in order.
        timings: what `frame_status` says of frames with an answer.
        names: what frames are called where they have names (files of a folder), by stamp.
        size: (height, width) of the images; None: nothing tells.
    """

    name: str
    stamps: tuple[int, ...]
    arrivals: tuple[int, ...]
    answers: tuple[FrameObjects, ...]
    timings: tuple[FrameTiming, ...]
    names: Mapping[int, str]
    size: tuple[int, int] | None = None

    def called(self, name: str) -> CameraResults:
        """The same under another name."""
        return replace(
            self,
            name=name,
            answers=tuple(replace(answer, camera=name) for answer in self.answers),
            timings=tuple(replace(timing, camera=name) for timing in self.timings),
        )


@dataclass(frozen=True)
class RunResults:
    """A run.

    Attributes:
        path: of its bag.
        cameras: their results.
        prompts: version of a prompt to its phrases.
        seconds: that the run took.
        problems: what is missing, in words.
    """

    path: Path
    cameras: tuple[CameraResults, ...]
    prompts: Mapping[int, tuple[str, ...]]
    seconds: float
    problems: tuple[str, ...]


def read_results(path: Path) -> RunResults:
    """Read a result bag; of one that was cut off what is there.

    Raises:
        BagError: there is none, it is damaged, or it holds no results.
    """
    with open_bag(path, salvage=True) as bag:
        topics = [t for t, kind in bag.topics.items() if kind == INSTANCES and t.endswith(_ENDING)]
        if not topics:
            raise BagError(
                f"{path} has no results: no topic of type {INSTANCES} that ends in {_ENDING}; it "
                f"has {', '.join(bag.topics) or 'no topics at all'}"
            )
        run = read_run(path.parent) or {}
        names = _frame_names(path.parent) if run else {}
        cameras = tuple(_camera(bag, topic, names) for topic in sorted(topics))
        # `gsam track` writes the recording's time, the node's recorder that of the wall.
        seconds = float(run.get("seconds", bag.seconds))
        prompts = _prompts(bag)
        problems = [*bag.problems, *run.get("problems", ())]
        return RunResults(path, cameras, prompts, seconds, tuple(problems))


def _camera(bag: BagReader, topic: str, names: Mapping[str, Mapping[int, str]]) -> CameraResults:
    status_topic = topic.removesuffix(_ENDING) + "/frame_status"
    name = topic.removesuffix(_ENDING).removeprefix(NODE).strip("/")
    stamps, timings = [], []
    if status_topic in bag.topics:
        for status in bag.readable(status_topic):
            if not hasattr(status, "stage_begin_ms"):
                raise BagError(
                    f"{bag.path}: {status_topic} is of an earlier gsam_ros, which told no times of "
                    "stages: make the results again"
                )
            name = status.camera
            stamps.append(stamp_of(status.header))
            if status.stage_names:  # else the frame was dropped
                timings.append(timing_of(status))
    answers = tuple(read_objects(bag, topic, name))
    known = set(stamps)
    stamps += [answer.stamp for answer in answers if answer.stamp not in known]
    return CameraResults(
        name,
        tuple(dict.fromkeys(sorted(stamps))),
        tuple(stamps),
        answers,
        tuple(timings),
        names.get(name, {}),
        _size(bag, topic.removesuffix(_ENDING) + "/instance_mask", answers),
    )


def _size(
    bag: BagReader, mask_topic: str, answers: Sequence[FrameObjects]
) -> tuple[int, int] | None:
    """(height, width) of the images, out of masks of objects or else out of the images of masks."""
    for answer in answers:
        if answer.masks:
            height, width = answer.masks[0]["size"]
            return int(height), int(width)
    if mask_topic in bag.topics and (image := next(bag.readable(mask_topic), None)):
        return int(image.height), int(image.width)
    return None


def _prompts(bag: BagReader) -> dict[int, tuple[str, ...]]:
    """Phrases by version, out of what the node said its class ids mean."""
    prompts = {}
    for topic, kind in bag.topics.items():
        if kind == LABEL_INFO:
            for info in bag.readable(topic):
                version = info.header.frame_id.removeprefix("prompt ")
                if version.isdigit():
                    prompts[int(version)] = tuple(c.class_name for c in info.class_map)
    return prompts


def _frame_names(folder: Path) -> dict[str, dict[int, str]]:
    """Names of frames by camera and stamp, out of `frames.csv`.

    Raises:
        BagError: it is damaged, or something else.
    """
    names: dict[str, dict[int, str]] = {}
    file = folder / "frames.csv"
    if file.is_file():
        with file.open(newline="", errors=NAMES) as lines:
            try:
                for row in csv.DictReader(lines):
                    names.setdefault(row["camera"], {})[int(row["stamp_ns"])] = row["name"]
            except (csv.Error, KeyError, TypeError, ValueError) as error:
                raise BagError(
                    f"{file} is damaged or not of `gsam track` ({error}): make the run again, or "
                    "move the file away to read the results without the names of frames"
                ) from error
    return names
