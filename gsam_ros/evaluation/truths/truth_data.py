"""What every kind of truth comes down to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.bag import BagError
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PromptChange
from gsam_ros.evaluation.run_results import CameraResults, RunResults


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


def check_boxes(boxes: np.ndarray, size: tuple[int, int], path: Path) -> None:
    """Refuse boxes of images of another size.

    Args:
        boxes: [N, 4] xyxy pixels.
        size: (height, width) of the run's images.
        path: of the truth.

    Raises:
        TruthError: more than a tenth of them have their middle outside.
    """
    height, width = size
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    outside = ((middle < 0) | (middle > (width, height))).any(axis=1)
    if len(boxes) and outside.mean() > 0.1:
        x, y = (int(edge) for edge in boxes[:, 2:].max(axis=0))
        raise TruthError(
            f"{path} does not fit in size: its boxes reach to ({x}, {y}), the run's images have "
            f"{width}x{height} pixels"
        )


def of_frames(names: Sequence[str]) -> str:
    """Some of many names, for a message."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
