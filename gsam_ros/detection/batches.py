"""Many images through the model, as many at once as its memory holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch

from gsam_ros.instances import Detections

Look = Callable[[Sequence[torch.Tensor]], list[Detections]]
"""Runs the model on a batch of images [H, W, 3], and answers each."""

_LOG = logging.getLogger(__name__)


class Batches:
    """Cuts lists of images into batches, smaller ones from the moment memory runs out."""

    def __init__(self) -> None:
        self._fits: int | None = None  # images at once, where more were too many

    def by_size(self, images: Sequence[torch.Tensor], batch: int, look: Look) -> list[Detections]:
        """Answer images of any sizes; those of one size go together, so that none is padded."""
        members: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            members.setdefault(tuple(image.shape), []).append(index)
        found = [Detections.none()] * len(images)
        for indices in members.values():
            answers = self.in_turn([images[i] for i in indices], batch, look)
            for index, answer in zip(indices, answers, strict=True):
                found[index] = answer
        return found

    def in_turn(self, images: Sequence[torch.Tensor], batch: int, look: Look) -> list[Detections]:
        """Answer images in their order, at most `batch` at once.

        Raises:
            RuntimeError: a single image is too much, or something else is wrong.
        """
        found: list[Detections] = []
        while len(found) < len(images):
            size = min(batch, self._fits or batch)
            chunk = images[len(found) : len(found) + size]
            try:
                found += look(chunk)
            except RuntimeError as error:
                if len(chunk) == 1 or not _out_of_memory(error):
                    raise
                self._fits = len(chunk) // 2
                _LOG.warning(
                    "%d images at once don't fit into memory: %d from now on; give "
                    "detector.slices.batch accordingly",
                    len(chunk),
                    self._fits,
                )
        return found


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether a device's memory ran out, or the CPU's, which has no exception of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
