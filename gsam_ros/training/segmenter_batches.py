"""Numbered batches for the stages of the segmenter's training.

Every batch is drawn from (seed, kind, number) alone, so a run that is taken up again goes on with
the very batches it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from gsam_ros.training.segmenter_data import (
    HARD_EVENTS,
    Clips,
    Stills,
    clip_batch,
    frame_batch,
    still_batch,
)

POINTED_STILLS, POINTED_CLIPS = 0.5, 0.15
"""Share of the batches in which objects are pointed at, not boxed, in the stages with clips."""
HARD_SHARES = (0.18, 0.27)
"""Of the last stage's batches: pictures, and single frames of clips; the others are clips."""
HARD_LENGTHS = (8, 12, 16)


class StillBatches(Dataset[Stills]):
    """Batch number i of pictures, for i from `first` to `last`."""

    def __init__(self, seed: int, first: int, last: int, images: int, objects: int) -> None:
        self._seed, self._numbers = seed, range(first, last)
        self._images, self._objects = images, objects

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Stills:
        rng = np.random.default_rng([self._seed, 0, self._numbers[index]])
        return still_batch(rng, self._images, self._objects)


class MixedBatches(Dataset[Stills | Clips]):
    """Batch number i of clips, or every so often of pictures, for i from `first` to `last`.

    `lengths` gives the frames of the clips, one value for each equal part of the run.
    """

    def __init__(
        self,
        seed: int,
        first: int,
        last: int,
        images: int,
        clips: int,
        objects: int,
        lengths: Sequence[int],
        still_share: float,
    ) -> None:
        self._seed, self._numbers = seed, range(first, last)
        self._images, self._clips, self._objects = images, clips, objects
        self._lengths, self._still_share, self._total = lengths, still_share, last

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Stills | Clips:
        number = self._numbers[index]
        rng = np.random.default_rng([self._seed, 1, number])
        if rng.random() < self._still_share:
            return still_batch(rng, self._images, self._objects + 1, POINTED_STILLS)
        part = number * len(self._lengths) // self._total
        length = self._lengths[part]
        return clip_batch(rng, self._clips, length, self._objects, POINTED_CLIPS)


class HardBatches(Dataset[Stills | Clips]):
    """Batches of the last stage: clips full of events, their frames alone, and pictures.

    A batch does not depend on how many there will be, so a run may be made longer at any time
    before its rates begin to fall.
    """

    def __init__(self, seed: int, first: int, last: int) -> None:
        self._seed, self._numbers = seed, range(first, last)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Stills | Clips:
        rng = np.random.default_rng([self._seed, 2, self._numbers[index]])
        stills, frames = HARD_SHARES
        kind = rng.random()
        if kind < stills:
            return still_batch(rng, 8, 5, POINTED_STILLS)
        if kind < stills + frames:
            return frame_batch(rng, 5, 2, 4, POINTED_CLIPS)
        length = int(rng.choice(HARD_LENGTHS))
        return clip_batch(rng, 1, length, 4, POINTED_CLIPS, HARD_EVENTS)
