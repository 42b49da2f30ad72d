"""What the demo segmenter is trained on, batch by batch.

Every batch is drawn from (seed, kind, number) alone, so a run that is taken up again goes on with
the very batches it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from gsam_ros.training.segmenter.clips import ClipKind, Clips, clip_batch
from gsam_ros.training.segmenter.stills import Stills, still_batch
from gsam_ros.training.together import Team

POINTED_STILLS, POINTED_CLIPS = 0.4, 0.15
"""Share of the batches in which objects are pointed at, not boxed."""


class StillBatches(Dataset[Stills]):
    """Batch number i of pictures, for i from `first` to `last`, for one process of a team."""

    def __init__(
        self,
        seed: int,
        first: int,
        last: int,
        images: int,
        objects: int,
        pointed: float = 0.0,
        team: Team | None = None,
    ) -> None:
        self._seed, self._numbers, self._team = seed, range(first, last), team or Team()
        self._images, self._objects, self._pointed = images, objects, pointed

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Stills:
        rng = _chance(self._seed, 0, self._numbers[index], self._team)
        return still_batch(rng, self._images, self._objects, self._pointed)


class MixedBatches(Dataset[Stills | Clips]):
    """Batch number i of clips, or every so often of pictures, for i from `first` to `last`.

    `parts` gives the kinds of clips of each equal part of the run. All processes of a team get
    batches of the same kind, so that none waits for another.
    """

    def __init__(
        self,
        seed: int,
        first: int,
        last: int,
        images: int,
        objects: int,
        parts: Sequence[Sequence[ClipKind]],
        still_share: float,
        team: Team | None = None,
    ) -> None:
        self._seed, self._numbers, self._team = seed, range(first, last), team or Team()
        self._images, self._objects = images, objects
        self._parts, self._still_share, self._total = parts, still_share, last

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Stills | Clips:
        number = self._numbers[index]
        choice = np.random.default_rng([self._seed, 1, number])
        rng = _chance(self._seed, 2, number, self._team)
        if choice.random() < self._still_share:
            return still_batch(rng, self._images, self._objects, POINTED_STILLS)
        kinds = self._parts[number * len(self._parts) // self._total]
        shares = np.array([kind.share for kind in kinds])
        kind = kinds[choice.choice(len(kinds), p=shares / shares.sum())]
        return clip_batch(rng, kind, POINTED_CLIPS)


def _chance(seed: int, kind: int, number: int, team: Team) -> np.random.Generator:
    return np.random.default_rng([seed, kind, number * team.size + team.place])
