"""The newest image of each camera, for prompts that point at something in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from gsam_ros.instances import Frame, which
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.segmenters.interface import ImageFeatures


class NewestFrames:
    """Keeps one image per camera, and makes its features when somebody points at it.

    For images of which no features are kept (`tracking.history`): those before the first prompt,
    when nothing is tracked and no image is encoded.

    Args:
        encode: makes the features of images.
    """

    def __init__(self, encode: Callable[[Sequence[np.ndarray]], ImageFeatures]) -> None:
        self._encode = encode
        self._frames: dict[str, Frame] = {}
        self._features: dict[str, ImageFeatures] = {}

    @property
    def cameras(self) -> tuple[str, ...]:
        """Those of which there is a frame."""
        return tuple(self._frames)

    def keep(self, frames: Iterable[Frame]) -> None:
        """These are the newest of their cameras now."""
        for frame in frames:
            self._frames[frame.camera] = frame
            self._features.pop(frame.camera, None)

    def clear(self, camera: str | None = None) -> None:
        """Forget the image of one camera or of all."""
        for name in list(self._frames) if camera is None else [camera]:
            self._frames.pop(name, None)
            self._features.pop(name, None)

    def frame(self, camera: str) -> Frame:
        """The newest frame of a camera.

        Raises:
            PromptError: there is none.
        """
        if camera not in self._frames:
            raise PromptError(
                f"no image of {which(camera)} was processed yet: point at what it has shown"
            )
        return self._frames[camera]

    def features(self, frame: Frame) -> ImageFeatures:
        """What the image encoder makes of a camera's newest frame."""
        if frame.camera not in self._features:
            self._features[frame.camera] = self._encode([frame.image])
        return self._features[frame.camera]
