"""This project's pipeline as a contender: what `gsam track` runs, without files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gsam_ros.instances import Frame
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.settings import with_texts

from .answers import Answer, stamp_of
from .contenders import Models


class Ours:
    """Streaming; nothing is tuned, except by `--set`."""

    needs_whole_video = False

    def __init__(self, models: Models, changes: Sequence[str] = ()) -> None:
        """Load the models."""
        names = [
            f"detector.model={models.detector}",
            f"segmenter.model={models.segmenter}",
            f"device={models.device}",
        ]
        self._tracker = GroundedTracker(with_texts(Settings(), [*names, *changes]))
        self._next = 0
        self.stages: dict[str, list[float]] = {}  # milliseconds, of the newest frames

    def begin(self, prompt: str) -> None:
        self._tracker.reset()
        self._tracker.set_prompt(prompt)
        self._next = 0

    def prepare(self, image: np.ndarray) -> None:
        """Nothing is needed ahead of time."""

    def answer(self, images: Sequence[np.ndarray]) -> list[Answer]:
        answers = []
        self.stages = {}
        for image in images:
            [result] = self._tracker.step([Frame(image, stamp_of(self._next))])
            self._next += 1
            for stage, milliseconds in result.stage_ms.items():
                self.stages.setdefault(stage, []).append(milliseconds)
            found = result.instances
            classes = result.prompt.classes if result.prompt else ()
            answers.append(
                Answer(
                    found.track_id,
                    tuple(classes[i] for i in found.phrase_index),
                    found.scores,
                    found.masks.pixels(),
                )
            )
        return answers
