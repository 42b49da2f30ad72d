"""Single pictures with their truth, for training and measuring the detector and the segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.backgrounds import draw_background
from gsam_ros.world.compose import OPAQUE, boxes_of, paste, paste_shadow
from gsam_ros.world.exposure import draw_exposure
from gsam_ros.world.placement import find_place
from gsam_ros.world.sprites import draw_light, draw_sprite, shadow_offset
from gsam_ros.world.vocabulary import SEEN, Pair


@dataclass(frozen=True)
class Still:
    """A picture and the objects in it, N in all, in the order they were painted."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB."""
    boxes: NDArray[np.float32]
    """[N, 4] pixels (x0, y0, x1, y1) around the visible part, far sides exclusive."""
    masks: NDArray[np.bool_]
    """[N, H, W] visible pixels; no two masks share one."""
    shape: tuple[str, ...]
    colour: tuple[str, ...]
    visible: NDArray[np.float32]
    """[N] share of the object's pixels to be seen, from `placement.MIN_VISIBLE` to 1."""


def draw_still(
    rng: np.random.Generator,
    height: int = 192,
    width: int = 256,
    pairs: Sequence[Pair] = SEEN,
    max_objects: int = 8,
    share: tuple[float, float] = (0.12, 0.40),
) -> Still:
    """Draw a new picture of 1 to `max_objects` objects out of `pairs`.

    The longer side of an object takes from `share[0]` to `share[1]` of the picture's height: 1/90
    to 1/27 makes objects of 12 to 40 pixels in a picture of 1080 rows. Objects may hide one
    another and be cut by the border; one that would leave itself or another less than
    `placement.MIN_VISIBLE` visible is moved, and left undrawn if no free place turns up. So every
    object of the vocabulary in the picture is in the truth. Each picture has one light, white
    balance, blur and noise. Now and then several objects share a shape or a colour.
    """
    image = draw_background(rng, height, width)
    owner = np.full((height, width), -1, np.int16)
    light = draw_light(rng)
    shadow = rng.uniform(0.15, 0.5) if rng.random() < 0.7 else 0.0
    drawn: list[Pair] = []
    full: list[int] = []
    for pair in _choose(rng, pairs, int(rng.integers(1, max_objects + 1))):
        size = round(height * _draw_share(rng, *share))
        sprite = draw_sprite(rng, pair[1], pair[0], size, light)
        place = find_place(rng, owner, sprite, full)
        if place is None:
            continue
        if shadow:
            dx, dy = shadow_offset(light, size)
            paste_shadow(image, sprite, *place, dx, dy, shadow)
        paste(image, owner, sprite, *place, len(drawn))
        drawn.append(pair)
        full.append(int(np.count_nonzero(sprite[..., 3] >= OPAQUE)))

    masks = owner[None] == np.arange(len(drawn), dtype=np.int16)[:, None, None]
    visible = masks.sum((1, 2)) / np.maximum(np.array(full), 1)
    return Still(
        draw_exposure(rng).apply(rng, image),
        boxes_of(masks),
        masks,
        tuple(shape for _, shape in drawn),
        tuple(colour for colour, _ in drawn),
        visible.astype(np.float32),
    )


def _draw_share(rng: np.random.Generator, least: float, most: float) -> float:
    """Share of the height, small ones oftener than large ones."""
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def _choose(rng: np.random.Generator, pairs: Sequence[Pair], count: int) -> list[Pair]:
    chosen = [pairs[int(i)] for i in rng.integers(len(pairs), size=count)]
    if rng.random() < 0.4:
        which = int(rng.integers(2))
        alike = [pair for pair in pairs if pair[which] == chosen[0][which]]
        for i in range(1, min(count, 1 + int(rng.integers(1, 4)))):
            chosen[i] = alike[rng.integers(len(alike))]
    return chosen
