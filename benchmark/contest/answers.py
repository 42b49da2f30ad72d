"""What every contender gives, whatever it is made of.

Light to import, since the memory of the contenders' processes counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pycocotools import mask as coco_mask

RATE = 10.0
"""Frames per second of the sample recording."""


def stamp_of(index: int) -> int:
    """Nanoseconds at which frame `index` is taken."""
    return round(index * 1e9 / RATE)


@dataclass(frozen=True)
class Answer:
    """The objects of one frame, N of them.

    Attributes:
        ids: [N] int64, the same object under the same number.
        phrases: N names, as the contender tells them.
        scores: [N] float32.
        masks: [N, H, W] bool, at the image's own size: what a user wants in the end, and where
            every contender's clock stops.
    """

    ids: np.ndarray
    phrases: tuple[str, ...]
    scores: np.ndarray
    masks: np.ndarray

    @staticmethod
    def nothing(height: int, width: int) -> Answer:
        """An answer without objects."""
        empty = np.zeros((0, height, width), bool)
        return Answer(np.zeros(0, np.int64), (), np.zeros(0, np.float32), empty)

    def encoded(self) -> EncodedAnswer:
        """The same with run lengths for masks; an object without a pixel is left out."""
        there = np.flatnonzero(self.masks.any((1, 2)))
        return EncodedAnswer(
            self.ids[there],
            tuple(self.phrases[i] for i in there),
            self.scores[there].astype(np.float32),
            tuple(coco_mask.encode(np.asfortranarray(self.masks[i], np.uint8)) for i in there),
        )


@dataclass(frozen=True)
class EncodedAnswer:
    """An `Answer` that is small enough to send: masks as COCO's compressed run lengths."""

    ids: np.ndarray
    phrases: tuple[str, ...]
    scores: np.ndarray
    masks: tuple[dict[str, Any], ...]


class Contender(Protocol):
    """One way from frames and a prompt to named, segmented objects with ids."""

    needs_whole_video: bool
    """Whether `prepare` has to see every frame before the first is answered."""

    def begin(self, prompt: str) -> None:
        """Start on a new scene; nothing of the one before is left."""

    def prepare(self, image: np.ndarray) -> None:
        """Take in one frame of the scene ahead of time."""

    def answer(self, images: Sequence[np.ndarray]) -> list[Answer]:
        """Answer the next frames ([H, W, 3] uint8 RGB) of the scene."""
