"""What the demo world is made of, and the words that name it."""

from __future__ import annotations

from itertools import product

Pair = tuple[str, str]
"""A kind of object: (colour, shape)."""

SHAPES: tuple[str, ...] = ("ball", "box", "cylinder", "cone", "ring", "mug", "star", "cross")

NOVEL_SHAPES: tuple[str, ...] = ("house", "tree", "crown")
"""Shapes that the bundled detector has never seen, and whose names it has learnt to mean nothing:
what it is fine-tuned on in examples and tests."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (206, 30, 38),
    "green": (36, 150, 62),
    "blue": (38, 84, 208),
    "yellow": (244, 214, 40),
    "orange": (244, 122, 18),
    "purple": (138, 56, 178),
    "white": (240, 240, 238),
    "black": (34, 34, 38),
}
"""Colour name to its RGB centre; sprites vary around it without crossing into a neighbour."""

UNNAMED = "unnamed"
"""In place of a colour name: any colour that none of the names fits."""

SHAPE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "ball": ("sphere",),
    "box": ("cube",),
    "cylinder": ("can",),
    "cone": ("pylon",),
    "ring": ("donut",),
    "mug": ("cup",),
    "star": ("asterisk",),
    "cross": ("plus",),
}

COLOUR_SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("crimson",),
    "green": ("emerald",),
    "blue": ("navy",),
    "yellow": ("golden",),
    "orange": ("tangerine",),
    "purple": ("violet",),
    "white": ("ivory",),
    "black": ("ebony",),
}

HELD_OUT: tuple[Pair, ...] = (
    ("red", "cone"),
    ("green", "star"),
    ("blue", "mug"),
    ("yellow", "box"),
    ("orange", "ring"),
    ("purple", "cylinder"),
    ("white", "ball"),
    ("black", "cross"),
)
"""Pairs that training never draws nor names: every colour once, every shape once.

They measure whether the detector puts words together or has learnt whole phrases by heart.
"""

PAIRS: tuple[Pair, ...] = tuple(product(COLOURS, SHAPES))

SEEN: tuple[Pair, ...] = tuple(pair for pair in PAIRS if pair not in HELD_OUT)
"""The other 56 pairs."""

UNNAMED_PAIRS: tuple[Pair, ...] = tuple((UNNAMED, shape) for shape in SHAPES)
"""Every shape in colours without a name: what a shape looks like whatever its colour."""


def shape_words(shape: str) -> tuple[str, ...]:
    """Every word for `shape`, its own name first."""
    return (shape, *SHAPE_SYNONYMS[shape])


def colour_words(colour: str) -> tuple[str, ...]:
    """Every word for `colour`, its own name first."""
    return (colour, *COLOUR_SYNONYMS[colour])


def phrase_of(pair: Pair) -> str:
    """The plain phrase for a pair: ``("red", "mug")`` gives ``"red mug"``."""
    return f"{pair[0]} {pair[1]}"


def phrases_of(pair: Pair) -> tuple[str, ...]:
    """Every phrase "colour shape" that names `pair`, synonyms included, the plain one first."""
    colour, shape = pair
    return tuple(f"{c} {s}" for c, s in product(colour_words(colour), shape_words(shape)))
