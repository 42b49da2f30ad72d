"""What a perfect answer to a prompt would be.

The truth topics name every object of the world that shows at least one pixel. Of these

- an object is **wanted** if a phrase of the prompt that is in force at the frame names it and at
  least 25 % of it is visible (covered parts and parts outside the image count as invisible);
- an object that a phrase names but that shows less is **ignored**: finding it is neither hit nor
  miss, because people would not agree on it either;
- every other object is background: an answer there is a false alarm.

A phrase names an object if its words are words of the object: "mug" and "red" both name a red mug,
"crimson cup" too, "blue mug" does not. Where several phrases do, the one that says most wins, then
the one that was typed first. A phrase with a word that the demo world's vocabulary lacks names the
objects that carry exactly that phrase.

The prompt in force at a frame is the last one recorded before it. An answer that still follows an
older prompt is therefore wrong, and counts as that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.world.vocabulary import COLOURS, SHAPES, colour_words, shape_words

VISIBLE_ENOUGH = 0.25
"""The least visible share of an object that has to be found."""

_ATTRIBUTE = {word: colour for colour in COLOURS for word in colour_words(colour)} | {
    word: shape for shape in SHAPES for word in shape_words(shape)
}


@dataclass(frozen=True)
class Expected:
    """What the objects of one frame are to a prompt.

    Attributes:
        objects: the truth of the frame.
        phrase_index: [N] int64, the phrase that names each object; -1 for background.
        ignored: [N] bool, named but hardly visible.
    """

    objects: FrameObjects
    phrase_index: np.ndarray
    ignored: np.ndarray

    @property
    def wanted(self) -> np.ndarray:
        """[N] bool: has to be found."""
        return (self.phrase_index >= 0) & ~self.ignored


def expect(objects: FrameObjects, phrases: Sequence[str], exact: bool = False) -> Expected:
    """Apply the rule above to one frame.

    Args:
        objects: the truth.
        phrases: of the prompt.
        exact: a phrase names what is called just so, capitals aside: for a truth of somebody else,
            whose words mean what they mean there.
    """
    which = _same_phrase if exact else naming_phrase
    index = np.array([which(name, phrases) for name in objects.phrases], np.int64)
    return Expected(objects, index, (index >= 0) & (objects.scores < VISIBLE_ENOUGH))


def naming_phrase(name: str, phrases: Sequence[str]) -> int:
    """Which of `phrases` names an object called `name`, for example "red mug"; -1 if none does."""
    named = [(len(phrase.split()), -i) for i, phrase in enumerate(phrases) if names(phrase, name)]
    return -max(named)[1] if named else -1


def _same_phrase(name: str, phrases: Sequence[str]) -> int:
    """Which of `phrases` is `name`, capitals aside; -1 if none is."""
    called = [phrase.casefold() for phrase in phrases]
    return called.index(name.casefold()) if name.casefold() in called else -1


def names(phrase: str, name: str) -> bool:
    """Whether `phrase` names an object called `name`."""
    words, own_words = _attributes(phrase), _attributes(name)
    if words is None or own_words is None:
        return phrase.casefold() == name.casefold()
    return words <= own_words


def _attributes(phrase: str) -> frozenset[str] | None:
    """The colours and shapes that a phrase speaks of; None if it holds another word."""
    words = phrase.casefold().split()
    if not words or any(word not in _ATTRIBUTE for word in words):
        return None
    return frozenset(_ATTRIBUTE[word] for word in words)
