"""Everything that is known of one run: a result bag against the bag that was played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gsam_ros.evaluation.bag import BagError, BagReader, open_bag
from gsam_ros.evaluation.detection_metrics import DetectionFigures, score_detections
from gsam_ros.evaluation.objects import FrameObjects, read_objects
from gsam_ros.evaluation.pairing import PairedFrame, PromptChange, pair_up
from gsam_ros.evaluation.timing import FrameTiming, TimingFigures, score_timing, timing_of
from gsam_ros.evaluation.tracking_metrics import TrackingFigures, score_tracking

INSTANCES = "gsam_ros/msg/InstanceArray"
PROMPT_TOPIC = "/prompt"


@dataclass(frozen=True)
class CameraFrames:
    """What became of one camera's frames.

    Attributes:
        camera: its name.
        played: images in the bag.
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
        seconds: from the first result to the last, by the clock on the wall.
        recorded_seconds: length of the recording that was played.
        frames: truth and answer of every scored frame.
        timings: what `frame_status` says, each camera's frames in order.
    """

    cameras: tuple[CameraFrames, ...]
    detection: DetectionFigures
    tracking: TrackingFigures
    timing: TimingFigures
    seconds: float
    recorded_seconds: float
    frames: tuple[PairedFrame, ...]
    timings: tuple[FrameTiming, ...]

    @property
    def played(self) -> int:
        """Frames that went in, over all cameras."""
        return sum(c.played for c in self.cameras)

    @property
    def answered(self) -> int:
        """Frames that came out, over all cameras."""
        return sum(c.answered for c in self.cameras)


def score_run(sample: Path, result: Path) -> RunScore:
    """Score a result bag against the truth in the bag that was played.

    Camera NAME has its images on `/NAME/image`, its truth on `/NAME/truth` and its results on the
    result bag's topics that end in `/NAME/instances` and `/NAME/frame_status`.

    Raises:
        BagError: a bag is damaged, or lacks the topics.
    """
    with open_bag(sample) as played, open_bag(result) as recorded:
        cameras = truth_cameras(played)
        prompts = read_prompts(played)
        truth: list[FrameObjects] = []
        answers: list[FrameObjects] = []
        frames: list[CameraFrames] = []
        timings: list[FrameTiming] = []
        for camera in cameras:
            found = list(
                read_objects(recorded, result_topic(recorded, camera, "instances"), camera)
            )
            images = image_stamps(played, f"/{camera}/image")
            frames.append(_compare(camera, images, found))
            answers.extend(found)
            truth.extend(read_objects(played, f"/{camera}/truth", camera))
            status_topic = result_topic(recorded, camera, "frame_status")
            timings.extend(map(timing_of, recorded.messages(status_topic)))
        pairs = pair_up(truth, answers, prompts)
        if not pairs:
            raise BagError(f"no frame of {result} was taken from {sample}: their stamps differ")
        return RunScore(
            tuple(frames),
            score_detections(pairs),
            score_tracking(pairs),
            score_timing(timings),
            recorded.seconds,
            played.seconds,
            tuple(pairs),
            tuple(timings),
        )


def truth_cameras(played: BagReader) -> list[str]:
    """Names of the cameras that have truth in the bag.

    Raises:
        BagError: there is none.
    """
    cameras = [
        topic.removesuffix("/truth").strip("/")
        for topic, kind in played.topics.items()
        if topic.endswith("/truth") and kind == INSTANCES
    ]
    if not cameras:
        raise BagError(
            f"{played.path} has no truth: no topic NAME/truth of type {INSTANCES} among "
            f"{', '.join(played.topics)}"
        )
    return sorted(cameras)


def read_prompts(played: BagReader) -> list[PromptChange]:
    """The prompts of the bag, in order.

    Raises:
        BagError: there is none.
    """
    if PROMPT_TOPIC not in played.topics:
        raise BagError(f"{played.path} has no topic {PROMPT_TOPIC}")
    return [
        PromptChange.of(record.time, played.decode(record).data)
        for record in played.records([PROMPT_TOPIC])
    ]


def result_topic(recorded: BagReader, camera: str, name: str) -> str:
    """The topic of the result bag that holds a camera's results of one kind.

    Raises:
        BagError: there is none.
    """
    ending = f"/{camera}/{name}" if camera else f"/{name}"
    for topic in recorded.topics:
        if topic.endswith(ending):
            return topic
    raise BagError(
        f"{recorded.path} has no topic that ends in {ending}; it has {', '.join(recorded.topics)}"
    )


def image_stamps(played: BagReader, topic: str) -> list[int]:
    """Stamps of a topic's images in nanoseconds, read without decoding the pixels.

    A header comes first in its message: 4 bytes that tell the byte order, then the seconds and
    the nanoseconds.
    """
    stamps = []
    for record in played.records([topic]):
        order: Literal["little", "big"] = "little" if record.data[1] & 1 else "big"
        seconds = int.from_bytes(record.data[4:8], order, signed=True)
        stamps.append(seconds * 1_000_000_000 + int.from_bytes(record.data[8:12], order))
    return stamps


def _compare(camera: str, images: Sequence[int], found: Sequence[FrameObjects]) -> CameraFrames:
    answered = {objects.stamp for objects in found}
    missing = tuple(stamp for stamp in images if stamp not in answered)
    return CameraFrames(camera, len(images), len(images) - len(missing), missing)
