"""Prompts for training and measuring the demo detector: phrases and which objects they name.

A prompt is written as a user types it: "red mug. blue ball." Training never names a held-out pair,
nor does it let the pictures tell that red things are never cones (`is_fair`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gsam_ros.training.detector.words import absent_words
from gsam_ros.world.vocabulary import (
    COLOURS,
    HELD_OUT,
    SHAPES,
    UNNAMED,
    Pair,
    colour_words,
    shape_words,
)

MAX_PHRASES = 10
_SWAP_SHARE = 0.6  # of the negative phrases: one attribute away from an object that is there
_NONSENSE_SHARE = 0.12  # of the prompts: they hold a word that names nothing
_PLAIN_WORD_SHARE = 0.65
_COLOURS = tuple(COLOURS)
_HELD_OUT_SHAPE = dict(HELD_OUT)
_HELD_OUT_COLOUR = {shape: colour for colour, shape in HELD_OUT}
_ABSENT_WORDS = tuple(absent_words())


@dataclass(frozen=True)
class Phrase:
    """Words, and what they ask for. None for an attribute that they leave open."""

    text: str
    colour: str | None = None
    shape: str | None = None
    nonsense: bool = False
    """True if a word of it names nothing in the demo world, so that no object fits."""

    def names(self, pair: Pair) -> bool:
        """Whether an object (colour, shape) is one that the phrase asks for."""
        if self.nonsense:
            return False
        return self.colour in (None, pair[0]) and self.shape in (None, pair[1])


@dataclass(frozen=True)
class PromptMix:
    """How prompts ask for what is not there."""

    nothing: float = 0.08
    """Share of the prompts that name nothing that is there."""
    most_of_nothing: int = MAX_PHRASES
    """Phrases that such a prompt has at most."""
    opened: float = 0.0
    """Share of the phrases one attribute away from an object that name one attribute alone."""


def join(phrases: Sequence[Phrase]) -> str:
    """Write the prompt as a user types it."""
    return " ".join(f"{phrase.text}." for phrase in phrases)


def draw_phrases(
    rng: np.random.Generator, present: Sequence[Pair], mix: PromptMix | None = None
) -> list[Phrase]:
    """1 to `MAX_PHRASES` training phrases for a picture of these objects, in random order."""
    mix = mix or PromptMix()
    count = int(rng.integers(1, MAX_PHRASES + 1))
    pairs = list(dict.fromkeys(present))
    rng.shuffle(pairs)
    share = rng.uniform(0.3, 1.0)
    if rng.random() < mix.nothing:
        positives, count = 0, 1 + (count - 1) % mix.most_of_nothing
    else:
        positives = max(round(count * share), 1)
    phrases: dict[tuple[str | None, str | None], Phrase] = {}

    def add(colour: str | None, shape: str | None) -> None:
        phrases.setdefault((colour, shape), _word(rng, colour, shape))

    for colour, shape in pairs[:positives]:
        asked = _open_up(rng, colour, shape)
        if is_fair(*asked, present):
            add(*asked)
        elif colour != UNNAMED:
            add(colour, shape)
    nonsense = [_nonsense(rng)] if rng.random() < _NONSENSE_SHARE else []
    for _ in range(4 * count):
        if len(phrases) + len(nonsense) >= count:
            break
        wrong = _negative(rng, present, mix.opened)
        absent = not any(Phrase("", *wrong).names(pair) for pair in present)
        if absent and is_fair(*wrong, present):
            add(*wrong)
    chosen = [*phrases.values(), *nonsense] or [_nonsense(rng)]
    return [chosen[i] for i in rng.permutation(len(chosen))][:MAX_PHRASES]


def is_fair(colour: str | None, shape: str | None, present: Sequence[Pair]) -> bool:
    """Whether asking for `colour` and `shape` teaches nothing about held-out pairs.

    "red cone" itself is held out. "cone" alone, asked where there are red things, would always
    have to pass them over, as none of them is ever a cone: redness would come to speak against
    cones. So would cones against "red".
    """
    if colour is not None and shape is not None:
        return (colour, shape) not in HELD_OUT
    if shape is not None:
        return all(there != _HELD_OUT_COLOUR[shape] for there, _ in present)
    return colour is None or all(there != _HELD_OUT_SHAPE[colour] for _, there in present)


def draw_test_phrases(
    rng: np.random.Generator,
    present: Sequence[Pair],
    pairs: Sequence[Pair],
    count: int = 6,
) -> list[Phrase]:
    """Plain "colour shape" phrases for a measurement: all pairs present, then absent ones.

    Absent ones are drawn from `pairs`, up to `count` phrases in all, every other one with the
    colour or the shape of an object that is there.
    """
    asked = list(dict.fromkeys(present))
    absent = [pair for pair in pairs if pair not in asked]
    near = [p for p in absent if any((p[0] == q[0]) != (p[1] == q[1]) for q in asked)]
    while len(asked) < count:
        pool = near if len(asked) % 2 and near else absent
        pair = pool[rng.integers(len(pool))]
        if pair not in asked:
            asked.append(pair)
    return [Phrase(f"{asked[i][0]} {asked[i][1]}", *asked[i]) for i in rng.permutation(len(asked))]


def _word(rng: np.random.Generator, colour: str | None, shape: str | None) -> Phrase:
    words = []
    if rng.random() < 0.05:
        words.append(str(rng.choice(["a", "the"])))
    if colour is not None:
        words.append(_choose_word(rng, colour_words(colour)))
    if shape is not None:
        word = _choose_word(rng, shape_words(shape))
        words.append(_plural(word) if rng.random() < 0.05 else word)
    elif rng.random() < 0.3:
        words.append(str(rng.choice(["object", "thing"])))
    return Phrase(" ".join(words), colour, shape)


def _choose_word(rng: np.random.Generator, words: Sequence[str]) -> str:
    if len(words) == 1 or rng.random() < _PLAIN_WORD_SHARE:
        return words[0]
    return words[int(rng.integers(1, len(words)))]


def _plural(word: str) -> str:
    return word + ("es" if word.endswith(("s", "x")) else "s")


def _open_up(
    rng: np.random.Generator, colour: str, shape: str
) -> Pair | tuple[str | None, str | None]:
    """Usually both attributes; now and then the shape or the colour alone."""
    if colour == UNNAMED:
        return None, shape
    draw = rng.random()
    if draw < 0.10:
        return None, shape
    if draw < 0.17:
        return colour, None
    return colour, shape


def _negative(
    rng: np.random.Generator, present: Sequence[Pair], opened: float
) -> tuple[str | None, str | None]:
    """Choose a colour and shape to ask for that are probably not there."""
    colour = _COLOURS[rng.integers(len(_COLOURS))]
    shape = SHAPES[rng.integers(len(SHAPES))]
    if present and rng.random() < _SWAP_SHARE:
        near = present[int(rng.integers(len(present)))]
        if opened and rng.random() < opened:
            return (None, shape) if rng.random() < 0.6 else (colour, None)
        if near[0] != UNNAMED and rng.random() < 0.5:
            return near[0], shape
        return colour, near[1]
    return _open_up(rng, colour, shape)


def _nonsense(rng: np.random.Generator) -> Phrase:
    """Name something that the world has not, or mere letters; sometimes with a known colour."""
    make: Callable[[np.random.Generator], str] = _letters if rng.random() < 0.25 else _absent_word
    text = make(rng)
    if rng.random() < 0.35:
        text = f"{_choose_word(rng, colour_words(_COLOURS[rng.integers(len(_COLOURS))]))} {text}"
    return Phrase(text, nonsense=True)


def _absent_word(rng: np.random.Generator) -> str:
    return _ABSENT_WORDS[rng.integers(len(_ABSENT_WORDS))]


def _letters(rng: np.random.Generator) -> str:
    return "".join(chr(ord("a") + i) for i in rng.integers(26, size=rng.integers(3, 9)))
