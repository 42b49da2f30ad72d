"""What every kind of truth comes down to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.expected import VISIBLE_ENOUGH
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PromptChange
from gsam_ros.evaluation.run_results import CameraResults, RunResults
from gsam_ros.recordings.bag import BagError


class TruthError(BagError):
    """A truth that can't be read or does not fit a run; the message says what to do.

    It is the run's recordings that don't fit, so who handles those handles this.
    """


@dataclass(frozen=True)
class Truth:
    """What was there, in the run's own cameras and stamps.

    Attributes:
        path: where it was read.
        frames: every frame of which something is known, even that nothing was there. `scores` is
            the visible share; what shows less than a quarter is ignored.
        exact: its names are compared as they are, not by the sample world's vocabulary.
        boxes_only: it has no masks; those in `frames` are boxes, filled.
        images: stamps of the frames that went in, by camera; a camera that is not there: unknown.
        prompts: what was asked for; None: what the run says it was asked for.
        seconds: length of the recording; None: unknown.
        phrase: it speaks of this phrase only, and answers to others don't count; empty: of all.
        problems: what does not fit, in words.
    """

    path: Path
    frames: tuple[FrameObjects, ...]
    exact: bool = True
    boxes_only: bool = False
    images: dict[str, tuple[int, ...]] = field(default_factory=dict)
    prompts: tuple[PromptChange, ...] | None = None
    seconds: float | None = None
    phrase: str = ""
    problems: tuple[str, ...] = ()


def camera_of(results: RunResults, name: str | None, path: Path) -> CameraResults:
    """The run's camera of a name, or its only one where no name is given or it has none itself.

    Raises:
        TruthError: there is none of that name, or there are several and no name is given.
    """
    for camera in results.cameras:
        if camera.name == name:
            return camera
    names = ", ".join(camera.name for camera in results.cameras)
    if name and all(camera.name for camera in results.cameras):
        raise TruthError(f"{path} is given as of the camera {name!r}, and the run has {names}")
    if len(results.cameras) > 1:
        raise TruthError(
            f"{path} does not say of which camera it speaks, and the run has {names}: give it as "
            "--truth NAME=FILE"
        )
    return results.cameras[0]


def phrases_of(results: RunResults) -> set[str]:
    """Everything that a run was asked for; empty where it does not say."""
    return {phrase for prompt in results.prompts.values() for phrase in prompt}


def image_size(camera: CameraResults, path: Path) -> tuple[int, int]:
    """(height, width) of a camera's images, as its results tell.

    Raises:
        TruthError: nothing was found in any frame, and nothing else tells.
    """
    if camera.size:
        return camera.size
    raise TruthError(
        f"the run found nothing in any image of {camera.name or 'its camera'} and holds no "
        f"instance_mask, so the size of its images is not known and {path} can't be compared"
    )


def check_boxes(boxes: np.ndarray, size: tuple[int, int] | np.ndarray, path: Path) -> None:
    """Refuse boxes that are none, and those of images of another size.

    Args:
        boxes: [N, 4] xyxy pixels.
        size: (height, width) of the run's images, or [N, 2] of the image of each box.
        path: of the truth.

    Raises:
        TruthError: a box is not finite or ends before it begins, or more than a tenth of them have
            their middle outside.
    """
    real = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
    if not real.all():
        told = ", ".join(f"{edge:g}" for edge in boxes[~real][0])
        raise TruthError(f"{path} has a box that is none: from left to bottom {told}")
    edges = np.broadcast_to(np.asarray(size), (len(boxes), 2))[:, ::-1]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    outside = ((middle < 0) | (middle > edges)).any(axis=1)
    if len(boxes) and outside.mean() > 0.1:
        x, y = (int(edge) for edge in boxes[:, 2:].max(axis=0))
        width, height = edges[outside][0]
        raise TruthError(
            f"{path} does not fit in size: its boxes reach to ({x}, {y}), the run's images have "
            f"{width}x{height} pixels"
        )


def check_frames(told: Iterable[tuple[str, int, str]]) -> None:
    """Refuse two truths of one frame: both would be compared with its answer.

    Args:
        told: of every frame with truth its camera, its stamp, and where its truth stands.

    Raises:
        TruthError: there are two; it names both.
    """
    places: dict[tuple[str, int], str] = {}
    for camera, stamp, place in told:
        if (camera, stamp) in places:
            other = places[camera, stamp]
            both = f"{place} tells twice" if other == place else f"{other} and {place} both tell"
            raise TruthError(
                f"{both} of one frame of {camera or 'the camera'}, that at {stamp / 1e9:.3f} s: "
                "leave one of them out"
            )
        places[camera, stamp] = place


def check_ids(objects: FrameObjects, place: str) -> None:
    """Refuse an object that is in one frame twice, where no figure of tracking would mean anything.

    What need not be found may be: regions of a crowd often share an id.

    Args:
        objects: the truth of a frame.
        place: where it stands.

    Raises:
        TruthError: two objects have one id and one phrase.
    """
    wanted = np.flatnonzero(objects.scores >= VISIBLE_ENOUGH).tolist()
    keys = [(int(objects.ids[i]), objects.phrases[i].casefold()) for i in wanted]
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        track, phrase = twice[0]
        raise TruthError(
            f"{place} has several objects {phrase!r} with the id {track}: an id says which object "
            "it is, over all frames"
        )


def of_frames(names: Sequence[str]) -> str:
    """Some of many names, for a message."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
