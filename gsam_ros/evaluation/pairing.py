"""Truth and answers side by side, frame by frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.truth import Expected, expect
from gsam_ros.prompts import parse_phrases


@dataclass(frozen=True)
class PromptChange:
    """A prompt and the moment (nanoseconds) from which it was in force."""

    time: int
    phrases: tuple[str, ...]

    @staticmethod
    def of(time: int, text: str) -> PromptChange:
        """A prompt as it was typed.

        Raises:
            PromptError: the text names nothing.
        """
        return PromptChange(time, parse_phrases(text))


@dataclass(frozen=True)
class PairedFrame:
    """One frame: what was expected, under which prompt, and what was answered."""

    expected: Expected
    answer: FrameObjects
    phrases: tuple[str, ...]


def pair_up(
    truth: Iterable[FrameObjects], answers: Iterable[FrameObjects], prompts: Sequence[PromptChange]
) -> list[PairedFrame]:
    """Join truth and answers on camera and stamp.

    Frames without truth or without an answer are left out (`frames.py` counts those), and so are
    frames from before the first prompt, when nothing was asked.

    Args:
        truth: of all cameras, in any order.
        answers: likewise; the last one counts where a frame was answered twice.
        prompts: in the order of their times.
    """
    answered = {(a.camera, a.stamp): a for a in answers}
    times = [p.time for p in prompts]
    pairs = []
    for objects in truth:
        answer = answered.get((objects.camera, objects.stamp))
        in_force = bisect_right(times, objects.stamp) - 1
        if answer is not None and in_force >= 0:
            phrases = prompts[in_force].phrases
            pairs.append(PairedFrame(expect(objects, phrases), answer, phrases))
    return pairs
