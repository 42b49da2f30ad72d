"""Trackers without models for the tests of `gsam track`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gsam_ros.instances import Frame, FrameResult, Instances, TrackState
from gsam_ros.masks import Masks
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import Prompt, parse_phrases

RED, BLUE = (200, 10, 10), (10, 10, 200)


def picture(colour: tuple[int, int, int], width: int = 64) -> np.ndarray:
    return np.full((48, width, 3), colour, np.uint8)


class RedFinder:
    """Finds the left half of every frame that is red, under an id of every red frame before.

    So a frame's answer depends on all frames before it, as that of the real one does.

    Args:
        fails_at: raise an error at this frame, counted from 0 over this object's life.
    """

    def __init__(self, fails_at: int = -1) -> None:
        self.settings = Settings()
        self.device = "cpu"
        self.steps = 0
        self._fails_at = fails_at
        self._prompt: Prompt | None = None
        self._red = {"": 0}

    def set_prompt(self, text: str) -> Prompt:
        version = self._prompt.version + 1 if self._prompt else 1
        self._prompt = Prompt(version, parse_phrases(text))
        return self._prompt

    def state(self) -> Any:
        return {"prompt": self._prompt, "red": self._red}

    def restore(self, state: Any) -> None:
        self._prompt, self._red = state["prompt"], state["red"]

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        [frame] = frames
        if self.steps == self._fails_at:
            raise RuntimeError("the machine fell over")
        self.steps += 1
        height, width = frame.image.shape[:2]
        if frame.image[0, 0, 0] < 128 or self._prompt is None:
            return [FrameResult(frame, Instances.none(height, width), self._prompt, False)]
        self._red[frame.camera] = self._red.get(frame.camera, 0) + 1
        logits = np.full((1, height, width), -1.0, np.float32)
        logits[:, :, : width // 2] = 1
        found = Instances(
            np.array([[0, 0, width // 2, height]], np.float32),
            np.array([0.75], np.float32),
            np.array([len(self._prompt.phrases) - 1]),
            np.array([self._red[frame.camera]]),
            np.array([TrackState.CONFIRMED], np.uint8),
            Masks(logits, height, width),
        )
        return [FrameResult(frame, found, self._prompt, True)]
