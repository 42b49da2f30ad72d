"""Single pictures with their truth, for training and measuring the detector and the segmenter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.backgrounds import draw_background
from gsam_ros.world.compose import OPAQUE, boxes_of, paste, paste_shadow
from gsam_ros.world.exposure import draw_exposure
from gsam_ros.world.placement import MIN_VISIBLE, find_place
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

    return _still(draw_exposure(rng).apply(rng, image), owner, drawn, full)


def draw_stills(
    rng: np.random.Generator,
    frames: int,
    height: int,
    width: int,
    pairs: Sequence[Pair] = SEEN,
    objects: int = 8,
    share: tuple[float, float] = (1 / 90, 1 / 27),
) -> Iterator[Still]:
    """Draw what a camera that stands still sees of small objects, every other one moving.

    A moving object goes straight on, by up to half of its size per frame, from anywhere within the
    picture; it may leave, and then it is not in the truth of that frame.

    Args:
        rng: where chance comes from.
        frames: how many.
        height: of each, in pixels.
        width: of each, in pixels.
        pairs: what the objects are chosen from.
        objects: how many at most; one that finds no free place is left out.
        share: sizes as shares of the height, as of `draw_still`.
    """
    room, light, exposure = draw_background(rng, height, width), draw_light(rng), draw_exposure(rng)
    owner, blank = np.full((height, width), -1, np.int16), np.empty_like(room)
    sprites: list[NDArray[np.uint8]] = []
    starts: list[tuple[int, int]] = []
    steps: list[NDArray[np.float64]] = []
    drawn: list[Pair] = []
    full: list[int] = []
    for pair in (pairs[int(i)] for i in rng.integers(len(pairs), size=objects)):
        size = round(height * _draw_share(rng, *share))
        sprite = draw_sprite(rng, pair[1], pair[0], size, light)
        place = find_place(rng, owner, sprite, full)
        if place is None:
            continue
        paste(blank, owner, sprite, *place, len(drawn))
        sprites.append(sprite)
        starts.append(place)
        steps.append(rng.uniform(-0.5, 0.5, 2) * size * (len(drawn) % 2))
        drawn.append(pair)
        full.append(int(np.count_nonzero(sprite[..., 3] >= OPAQUE)))
    for frame in range(frames):
        image, owner = room.copy(), np.full((height, width), -1, np.int16)
        for index, (sprite, start, step) in enumerate(zip(sprites, starts, steps, strict=True)):
            x, y = np.round(np.add(start, frame * step)).astype(int)
            paste(image, owner, sprite, int(x), int(y), index)
        yield _still(exposure.apply(rng, image), owner, drawn, full)


def _still(
    image: NDArray[np.uint8], owner: NDArray[np.int16], pairs: Sequence[Pair], full: Sequence[int]
) -> Still:
    """The picture with those objects of which enough is to be seen.

    Args:
        image: finished.
        owner: [H, W] index of the object to be seen at each pixel, or -1.
        pairs: what the objects are.
        full: pixels of each were nothing in its way.
    """
    masks = owner[None] == np.arange(len(pairs), dtype=np.int16)[:, None, None]
    visible = (masks.sum((1, 2)) / np.maximum(np.array(full), 1)).astype(np.float32)
    kept = np.flatnonzero(visible >= MIN_VISIBLE).tolist()
    return Still(
        image,
        boxes_of(masks[kept]),
        masks[kept],
        tuple(pairs[i][1] for i in kept),
        tuple(pairs[i][0] for i in kept),
        visible[kept],
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
