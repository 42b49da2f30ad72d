"""Truth and answers side by side, frame by frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gsam_ros.evaluation.expected import Expected, expect
from gsam_ros.evaluation.objects import FrameObjects
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
    """One frame: what was expected, under which prompt, and what was answered.

    Attributes:
        expected: the truth, and what of it the prompt asks for.
        answer: what was found.
        phrases: of the prompt.
        boxes_only: the truth has no masks: its masks are its boxes, filled, and overlap is that of
            boxes.
    """

    expected: Expected
    answer: FrameObjects
    phrases: tuple[str, ...]
    boxes_only: bool = False


def pair_up(
    truth: Iterable[FrameObjects],
    answers: Iterable[FrameObjects],
    prompts: Sequence[PromptChange] | Mapping[int, tuple[str, ...]],
    exact: bool = False,
    boxes_only: bool = False,
) -> list[PairedFrame]:
    """Join truth and answers on camera and stamp.

    Frames without truth or without an answer are left out (`run_score` counts those), and so are
    frames from before the first prompt, when nothing was asked.

    Args:
        truth: of all cameras, in any order.
        answers: likewise; the last one counts where a frame was answered twice.
        prompts: what was asked for: in the order of their times, or by the version that an answer
            names.
        exact: as of `expect`.
        boxes_only: as of `PairedFrame`.
    """
    answered = {(a.camera, a.stamp): a for a in answers}
    pairs = []
    for objects in truth:
        answer = answered.get((objects.camera, objects.stamp))
        phrases = _in_force(prompts, answer) if answer is not None else None
        if answer is not None and phrases is not None:
            expected = expect(objects, phrases, exact)
            pairs.append(PairedFrame(expected, answer, phrases, boxes_only))
    return pairs


def _in_force(
    prompts: Sequence[PromptChange] | Mapping[int, tuple[str, ...]], answer: FrameObjects
) -> tuple[str, ...] | None:
    """What was asked for when a frame was taken; None before the first prompt."""
    if isinstance(prompts, Mapping):
        return prompts.get(answer.prompt_version)
    number = bisect_right([prompt.time for prompt in prompts], answer.stamp) - 1
    return prompts[number].phrases if number >= 0 else None
