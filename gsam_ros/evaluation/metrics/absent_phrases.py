"""Answers to phrases of which nothing is there: what the prompt makes the pipeline see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsam_ros.evaluation.pairing import PairedFrame


@dataclass(frozen=True)
class AbsentFigures:
    """Over all frames and phrases of which no object is in the frame, not even a covered one.

    Attributes:
        chances: such pairs of a frame and a phrase.
        fooled: of them, those with an answer.
        answers: false alarms in them.
    """

    chances: int
    fooled: int
    answers: int


def score_absent(frames: Sequence[PairedFrame]) -> AbsentFigures:
    """Count the answers that nothing can excuse."""
    chances = fooled = answers = 0
    for frame in frames:
        there = {frame.phrases[i].casefold() for i in frame.expected.phrase_index if i >= 0}
        answered = [phrase.casefold() for phrase in frame.answer.phrases]
        for phrase in dict.fromkeys(p.casefold() for p in frame.phrases):
            if phrase not in there:
                chances += 1
                fooled += phrase in answered
                answers += answered.count(phrase)
    return AbsentFigures(chances, fooled, answers)
