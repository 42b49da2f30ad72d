"""Plain data that flows through the pipeline: frames in, instances out.

Struct of arrays: row i of every array belongs to the same object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gsam_ros.masks import Masks
from gsam_ros.prompts import Prompt
from gsam_ros.stages import Stage, milliseconds


@dataclass(frozen=True)
class Frame:
    """One image of one camera.

    Attributes:
        image: [H, W, 3] uint8 RGB.
        stamp: nanoseconds, when the camera took it.
        camera: name of the camera.
        token: anything the caller wants back with the result (a message header, a file name).
    """

    image: np.ndarray
    stamp: int
    camera: str = ""
    token: object = None


def which(camera: str) -> str:
    """A camera in a sentence; the only one may have no name."""
    return f"camera {camera!r}" if camera else "the camera"


class TrackState(IntEnum):
    """Where a track stands in its life; the values are those of gsam_ros/msg/Instance."""

    TENTATIVE = 1
    CONFIRMED = 2
    LOST = 3

    def __reduce_ex__(self, protocol: object) -> tuple[type[TrackState], tuple[int]]:
        """By its value: Python 3.11.0 to 3.11.3 would pickle `getattr`, which no state may hold."""
        return TrackState, (self.value,)


@dataclass(frozen=True)
class Detections:
    """What the detector found in one image.

    Attributes:
        boxes: [N, 4] float32 xyxy in pixels of the image.
        scores: [N] float32 in [0, 1], descending.
        phrase_index: [N] int64, which phrase of the prompt each box answers.
    """

    boxes: np.ndarray
    scores: np.ndarray
    phrase_index: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: np.ndarray) -> Detections:
        """The detections chosen by an index or boolean array."""
        return Detections(self.boxes[index], self.scores[index], self.phrase_index[index])

    @staticmethod
    def join(parts: Sequence[Detections]) -> Detections:
        """Several one after the other."""
        return Detections(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.phrase_index for part in parts]),
        )

    @staticmethod
    def none() -> Detections:
        return Detections(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
        )


@dataclass(frozen=True)
class Instances:
    """Objects of one frame, each with its mask.

    Attributes:
        boxes: [N, 4] float32 xyxy in pixels of the image, tight around the visible mask.
        scores: [N] float32 in [0, 1], of the newest detection that agreed; 1 where somebody pointed
            at the object and no detection agreed since.
        phrase_index: [N] int64, which of the prompt's `classes`.
        track_id: [N] int64 from 1, unique per camera, never used again within a run.
        state: [N] uint8, `TrackState`.
        masks: N masks of the image's size.
    """

    boxes: np.ndarray
    scores: np.ndarray
    phrase_index: np.ndarray
    track_id: np.ndarray
    state: np.ndarray
    masks: Masks

    def __len__(self) -> int:
        return len(self.boxes)

    @staticmethod
    def none(height: int, width: int) -> Instances:
        masks = Masks(np.zeros((0, 1, 1), np.float32), height, width)
        nothing = np.zeros(0, np.int64)
        return Instances(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            nothing,
            nothing,
            nothing.astype(np.uint8),
            masks,
        )


@dataclass(frozen=True)
class LateDetection:
    """What the detector, at work beside the stream, found on an earlier frame or just in time.

    Attributes:
        stamp: nanoseconds, of the frame that the detector looked at.
        detect_ms: how long it took.
        catch_up_ms: how long it took to go through the frames since with what it found.
    """

    stamp: int
    detect_ms: float
    catch_up_ms: float


@dataclass(frozen=True)
class FrameResult:
    """The answer to one frame.

    Attributes:
        frame: the frame as it came in.
        instances: what was found; only objects that are visible in this frame.
        prompt: the prompt that `instances.phrase_index` refers to; None before the first one.
        keyframe: whether the detector ran on this frame, or was given it to work on beside.
        stages: of the step that it was in; frames that shared it share them.
        late: what was found beside and counts from this frame on, if anything was.
    """

    frame: Frame
    instances: Instances
    prompt: Prompt | None
    keyframe: bool
    stages: tuple[Stage, ...] = ()
    late: LateDetection | None = None

    @property
    def stage_ms(self) -> dict[str, float]:
        """Milliseconds by stage."""
        return milliseconds(self.stages)
