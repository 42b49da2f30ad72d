"""Single pictures with their truth, for training and measuring the detector and the segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.backgrounds import draw_background
from gsam_ros.world.compose import OPAQUE, Owner, add_noise, boxes_of, overlap, paste, paste_shadow
from gsam_ros.world.sprites import Light, draw_light, draw_sprite
from gsam_ros.world.vocabulary import SEEN, Pair

MIN_VISIBLE = 0.3
"""Share of every object that neither the border nor another object hides."""
_TRIES = 8


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
    """[N] share of the object's pixels to be seen, from `MIN_VISIBLE` to 1."""


def draw_still(
    rng: np.random.Generator,
    height: int = 192,
    width: int = 256,
    pairs: Sequence[Pair] = SEEN,
    max_objects: int = 8,
) -> Still:
    """Draw a new picture of 1 to `max_objects` objects out of `pairs`.

    The longer side of an object takes 12 to 40 % of the picture's height. Objects may hide one
    another and be cut by the border; one that would leave itself or another less than
    `MIN_VISIBLE` visible is moved, and left undrawn if no free place turns up. So every object
    of the vocabulary in the picture is in the truth. Each picture has one light, white balance,
    blur and noise. Now and then several objects share a shape or a colour, as look-alikes do.
    """
    image = draw_background(rng, height, width)
    owner = np.full((height, width), -1, np.int16)
    light = draw_light(rng)
    shadow = rng.uniform(0.15, 0.5) if rng.random() < 0.7 else 0.0
    drawn: list[Pair] = []
    full: list[int] = []
    for pair in _choose(rng, pairs, int(rng.integers(1, max_objects + 1))):
        size = round(height * _size(rng))
        sprite = draw_sprite(rng, pair[1], pair[0], size, light)
        place = _find_place(rng, owner, sprite, full)
        if place is None:
            continue
        if shadow:
            _cast(image, sprite, place, light, shadow)
        paste(image, owner, sprite, *place, len(drawn))
        drawn.append(pair)
        full.append(int(np.count_nonzero(sprite[..., 3] >= OPAQUE)))

    masks = owner[None] == np.arange(len(drawn), dtype=np.int16)[:, None, None]
    visible = masks.sum((1, 2)) / np.maximum(np.array(full), 1)
    return Still(
        develop(rng, image),
        boxes_of(masks),
        masks,
        tuple(shape for _, shape in drawn),
        tuple(colour for colour, _ in drawn),
        visible.astype(np.float32),
    )


def develop(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a camera makes of it: exposure, white balance, sometimes blur, always some noise."""
    gain = rng.uniform(0.78, 1.15) * rng.uniform(0.94, 1.06, 3)
    offset = rng.uniform(-8, 10)
    levels = np.arange(256)[:, None] * gain + offset
    table = np.clip(levels, 0, 255).astype(np.uint8)[:, None]
    image = cv2.LUT(image, table)
    blur = rng.random()
    if blur < 0.3:
        image = cv2.GaussianBlur(image, (3, 3), float(rng.uniform(0.4, 0.9)))
    elif blur < 0.4:
        image = cv2.blur(image, (3, 1) if rng.random() < 0.5 else (1, 3))
    return add_noise(rng, image, float(rng.uniform(0.5, 7)))


def _size(rng: np.random.Generator) -> float:
    """Share of the height, small ones oftener than large ones."""
    return float(np.exp(rng.uniform(np.log(0.12), np.log(0.40))))


def _choose(rng: np.random.Generator, pairs: Sequence[Pair], count: int) -> list[Pair]:
    chosen = [pairs[i] for i in rng.integers(len(pairs), size=count)]
    if rng.random() < 0.4:
        which = int(rng.integers(2))
        alike = [pair for pair in pairs if pair[which] == chosen[0][which]]
        for i in range(1, min(count, 1 + int(rng.integers(1, 4)))):
            chosen[i] = alike[rng.integers(len(alike))]
    return chosen


def _find_place(
    rng: np.random.Generator, owner: Owner, sprite: NDArray[np.uint8], full: list[int]
) -> tuple[int, int] | None:
    """Top left pixel (x, y) at which the sprite leaves everything enough visible, or None."""
    height, width = owner.shape
    size = sprite.shape[0]
    opaque = sprite[..., 3] >= OPAQUE
    total = np.count_nonzero(opaque)
    left_over = np.bincount(owner[owner >= 0], minlength=len(full))
    needed = MIN_VISIBLE * np.array(full)
    for _ in range(_TRIES):
        spill = size * 0.35 if rng.random() < 0.2 else 0.0
        x = int(rng.uniform(-spill, max(width - size + spill, 1)))
        y = int(rng.uniform(-spill, max(height - size + spill, 1)))
        there, here = overlap(height, width, sprite, x, y)
        inside = opaque[here]
        if np.count_nonzero(inside) < MIN_VISIBLE * total:
            continue
        behind = owner[there][inside]
        hidden = np.bincount(behind[behind >= 0], minlength=len(full))
        if (left_over - hidden >= needed).all():
            return x, y
    return None


def _cast(
    image: NDArray[np.uint8],
    sprite: NDArray[np.uint8],
    place: tuple[int, int],
    light: Light,
    depth: float,
) -> None:
    reach = sprite.shape[0] * 0.12 / float(light.direction[2])
    dx, dy = (-light.direction[:2] * reach).round().astype(int).tolist()
    paste_shadow(image, sprite, *place, dx, dy, depth)
