"""What is wrong with an answer, and which frames of a run are worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gsam_ros.evaluation.metrics.tracking import mistakes
from gsam_ros.evaluation.pairing import PairedFrame


@dataclass(frozen=True)
class Mistakes:
    """What is wrong with the answer to one frame.

    Attributes:
        missed: rows of the truth.
        false: rows of the answer.
    """

    missed: list[int]
    false: list[int]

    def __len__(self) -> int:
        return len(self.missed) + len(self.false)

    @staticmethod
    def of(frame: PairedFrame) -> Mistakes:
        """As `metrics.tracking.mistakes` counts them."""
        return Mistakes(*mistakes(frame))

    def told(self, frame: PairedFrame) -> str:
        """In words: "missed: red mug (3); false: blue ball #7"."""
        expected = frame.expected
        missed = [
            f"{frame.phrases[expected.phrase_index[i]]} ({expected.objects.ids[i]})"
            for i in self.missed
        ]
        false = [f"{frame.answer.phrases[i]} #{frame.answer.ids[i]}" for i in self.false]
        parts = [
            f"{name}: {', '.join(which)}"
            for name, which in (("missed", missed), ("false", false))
            if which
        ]
        return "; ".join(parts) or "no mistake"


def changed(first: Mistakes, second: Mistakes) -> int:
    """Objects that one of two runs alone found, and false alarms that one has more."""
    found_by_one = set(first.missed) ^ set(second.missed)
    return len(found_by_one) + abs(len(first.false) - len(second.false))


def outstanding(frames: Sequence[PairedFrame], weights: Sequence[int], count: int) -> list[int]:
    """The weightiest frames, spread over the run.

    The time from the first frame to the last is cut into `count` equal stretches; each gives the
    frame of any camera that weighs most, the earliest of equals. A stretch in which no frame weighs
    anything gives none.

    Args:
        frames: of all cameras, in any order.
        weights: one per frame, for example its mistakes.
        count: the most frames to choose.

    Returns:
        Positions in `frames`, in the order of the stamps.
    """
    stamps = np.array([frame.answer.stamp for frame in frames])
    begin, end = int(stamps.min()), int(stamps.max())
    stretch = (stamps - begin) * count // (end - begin + 1)
    chosen = []
    for number in range(count):
        inside = np.flatnonzero(stretch == number).tolist()
        best = max(inside, key=lambda i: (weights[i], -stamps[i]), default=None)
        if best is not None and weights[best] > 0:
            chosen.append(best)
    return chosen
