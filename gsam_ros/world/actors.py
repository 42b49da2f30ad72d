"""The cast of the demo recording and the ways they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.backgrounds import draw_surface
from gsam_ros.world.compose import OPAQUE
from gsam_ros.world.sprites import Light, draw_sprite
from gsam_ros.world.vocabulary import COLOURS, HELD_OUT, SEEN, SHAPES, Pair

Way = Callable[[float], tuple[float, float, float]]
"""From seconds to the foot point's (x, y, z) in the world frame, metres."""

_SPRITE = 192


@dataclass(frozen=True)
class Actor:
    """A thing in the scene: a flat picture that always faces the camera."""

    identity: int
    """1 and up for the vocabulary's objects, 0 for the pillar that only hides others."""
    pair: Pair | None
    pictures: tuple[NDArray[np.uint8], ...]
    """RGBA, each half as large as the one before."""
    height: float
    """Metres from top to bottom of the picture."""
    foot: float
    """Metres from the picture's middle down to the lowest point of the thing."""
    way: Way
    sway: float
    """Amplitude of its rocking, radians."""


def draw_cast(
    rng: np.random.Generator, light: Light, held_out: int = 3, others: Sequence[Pair] = SEEN
) -> list[Actor]:
    """Nine objects and a pillar: every shape once, but two red mugs.

    `held_out` of the pairs are held out, the rest come from `others`. Every object has a depth of
    its own. Four cross the others' paths, two stand still, and three go out of both cameras' views
    and come back: one of the mugs among them, so that a tracker must tell it from its twin.
    """
    twin: Pair = ("red", "mug")
    unseen = [pair for pair in HELD_OUT if pair[1] != twin[1]]
    pairs = [twin, twin, *(unseen[i] for i in rng.choice(len(unseen), held_out, replace=False))]
    for shape in rng.permutation(SHAPES):
        if all(shape != taken for _, taken in pairs):
            colours = {colour for colour, _ in pairs}
            fitting = [p for p in others if p[1] == shape]
            # Where only a held-out pair is left of the free colours, two shapes share one.
            free = [p for p in fitting if p[0] not in colours & set(COLOURS)] or fitting
            pairs.append(free[rng.integers(len(free))])
    makers = [
        _visitor,
        _crosser,
        _visitor,
        _crosser,
        _stander,
        _visitor,
        _crosser,
        _crosser,
        _stander,
    ]
    depths = 2.6 + 0.3 * rng.permutation(len(pairs)) + rng.uniform(-0.05, 0.05, len(pairs))
    sides = np.linspace(-0.5, 0.5, len(pairs))[rng.permutation(len(pairs))]
    cast = [
        _object(rng, number, pair, light, make(rng, float(depth), float(side * depth)))
        for number, (pair, make, depth, side) in enumerate(
            zip(pairs, makers, depths, sides, strict=True), start=1
        )
    ]
    cast.append(_pillar(rng))
    return cast


def _object(rng: np.random.Generator, number: int, pair: Pair, light: Light, way: Way) -> Actor:
    picture = draw_sprite(rng, pair[1], pair[0], _SPRITE, light)
    height = rng.uniform(0.68, 0.95)
    rows = np.flatnonzero((picture[..., 3] >= OPAQUE).any(1))
    foot = height * ((rows[-1] + 1) / _SPRITE - 0.5)
    return Actor(number, pair, _pyramid(picture), height, foot, way, rng.uniform(0.0, 0.12))


def _pyramid(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    pictures = [picture]
    for _ in range(2):
        size = (pictures[-1].shape[1] // 2, pictures[-1].shape[0] // 2)
        pictures.append(cv2.resize(pictures[-1], size, interpolation=cv2.INTER_AREA))
    return tuple(pictures)


def _pillar(rng: np.random.Generator) -> Actor:
    surface = draw_surface(rng, 400, 72)
    sheen = np.sin(np.linspace(0.5, np.pi - 0.3, 72)).astype(np.float32)  # round, lit from a side
    surface = (surface * sheen[:, None]).astype(np.uint8)
    picture = np.dstack([surface, np.full((400, 72), 255, np.uint8)])
    picture = cv2.copyMakeBorder(picture, 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    place = (2.45, rng.uniform(-0.6, 0.6), 0.0)
    return Actor(0, None, _pyramid(picture), 1.1, 0.54, lambda _: place, 0.0)


def _stander(rng: np.random.Generator, depth: float, home: float) -> Way:
    return lambda _: (depth, home, 0.0)


def _crosser(rng: np.random.Generator, depth: float, home: float) -> Way:
    """To and fro, sometimes hopping."""
    reach, period = 0.5 * depth * rng.uniform(0.75, 1.0), rng.uniform(8, 14)
    phase = float(np.arcsin(np.clip(home / reach, -1, 1)))
    hop = rng.uniform(0.2, 0.5) if rng.random() < 0.5 else 0.0
    pace = rng.uniform(2.5, 4)

    def way(t: float) -> tuple[float, float, float]:
        y = reach * np.sin(2 * np.pi * t / period + phase)
        return depth, float(y), float(hop * abs(np.sin(pace * t)))

    return way


def _visitor(rng: np.random.Generator, depth: float, home: float) -> Way:
    """Out of view on its own side once in about 10 s, for about 3 s."""
    gone = np.copysign(0.9 * depth + 2.0, home)
    period, start = rng.uniform(9, 11), rng.uniform(2.5, 5)

    def way(t: float) -> tuple[float, float, float]:
        since = (t - start) % period if t >= start else 0.0
        out = np.clip(min(since, 5.5 - since) / 1.6, 0, 1)
        out = out * out * (3 - 2 * out)  # starts and stops gently
        return depth, float(home + (gone - home) * out), 0.0

    return way
