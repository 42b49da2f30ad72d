"""Short clips with their truth, for training and measuring the segmenter's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.backgrounds import draw_background
from gsam_ros.world.blobs import draw_bar_sprite, draw_blob_sprite
from gsam_ros.world.compose import OPAQUE, paste, paste_shadow, warp_sprite
from gsam_ros.world.exposure import draw_exposure
from gsam_ros.world.motion import (
    Track,
    draw_camera,
    draw_cover,
    draw_crossing,
    draw_track,
    leave,
    vanish,
)
from gsam_ros.world.placement import find_place
from gsam_ros.world.sprites import Light, draw_light, draw_sprite, shadow_offset
from gsam_ros.world.vocabulary import SEEN, Pair

MIN_PIXELS = 16
"""An object of fewer visible pixels counts as absent, and its mask is empty."""
NAMELESS: Pair = ("", "")
EVENTS = 0.55
"""Chance that something happens to a followed thing of a clip."""
NAMELESS_SHARE = 0.4
"""Chance that it is a thing without a name."""
_BORDER = 0.3  # background beyond the picture's border, as a share of its size


@dataclass(frozen=True)
class Clip:
    """T pictures and N followed objects. All of them are there in frame 0."""

    images: NDArray[np.uint8]
    """[T, H, W, 3] RGB."""
    masks: NDArray[np.bool_]
    """[T, N, H, W] visible pixels; no two masks of a frame share one."""
    present: NDArray[np.bool_]
    """[T, N] whether the object is to be seen, the same as a mask that is not empty."""
    shape: tuple[str, ...]
    """[N] names; "" for a thing that the vocabulary has no word for."""
    colour: tuple[str, ...]


@dataclass
class _Stage:
    """What is in a clip so far, in painting order."""

    owner: NDArray[np.int16]
    sprites: list[NDArray[np.uint8]] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    full: list[int] = field(default_factory=list)


def draw_clip(
    rng: np.random.Generator,
    frames: int,
    height: int = 256,
    width: int = 256,
    objects: int = 3,
    events: float = EVENTS,
    nameless: float = NAMELESS_SHARE,
    hidden: int = 0,
    every: int = 1,
) -> Clip:
    """Draw a new clip of `frames` pictures in which `objects` things are followed.

    A thing is one of the pairs of training, or with probability `nameless` a textured blob. It
    moves, turns, stretches and changes size under a moving camera; with probability `events` it
    also leaves and comes back, vanishes for a while, or is passed over by something in front.
    Around them are up to three things that nobody follows, half of them copies of a followed one.
    Truth covers the followed things only, and every one of them is to be seen in frame 0.

    With `hidden` > 0 a large thing lies on the first followed one for about that many frames, and
    the second one is of the first one's colour and shape. With `every` > 1 only the first of so
    many frames is filmed, as by a slow camera; `frames` and `hidden` are counted before that.

    Raises ValueError where `objects` do not fit into the picture.
    """
    while True:
        clip = _draw(rng, frames, (height, width), objects, SEEN, events, nameless, hidden, every)
        if clip.present[0].all():  # all but one in a hundred: an event can begin too early
            return clip


def _draw(
    rng: np.random.Generator,
    frames: int,
    size: tuple[int, int],
    objects: int,
    pairs: Sequence[Pair],
    events: float,
    nameless: float,
    hidden: int,
    every: int,
) -> Clip:
    light = draw_light(rng)
    stage = _Stage(np.full(size, -1, np.int16))
    named: list[Pair] = []
    for _ in range(objects):
        pair = NAMELESS if rng.random() < nameless else pairs[int(rng.integers(len(pairs)))]
        if named and (rng.random() < 0.2 or (hidden > 0 and len(named) == 1)):
            pair = named[-1]
        _add(rng, stage, pair, light, frames)
        named.append(pair)
    for _ in range(int(rng.integers(0, 4))):
        twin = named[rng.integers(objects)]
        pair = twin if rng.random() < 0.5 else pairs[int(rng.integers(len(pairs)))]
        _add(rng, stage, pair, light, frames)
    shuffled = rng.permutation(len(stage.sprites))  # followed or not, any may be in front
    if frames > 1:
        for index in range(objects):
            if rng.random() < events:
                _disturb(rng, stage, index, named[index], light)
    if hidden > 0:
        side = max(stage.sprites[0].shape[:2])
        stage.sprites.append(_draw_thing(rng, NAMELESS, round(2.2 * side), light))
        cover = draw_cover(rng, stage.tracks[0], 1.7 * side, hidden, *size)
        stage.tracks.append(cover)
    covers = range(len(shuffled), len(stage.sprites))
    order = [*_in_front(stage, shuffled, objects), *covers]
    return _film(rng, stage, order, named, light, range(0, frames, every))


def _add(rng: np.random.Generator, stage: _Stage, pair: Pair, light: Light, frames: int) -> None:
    height, width = stage.owner.shape
    size = height * float(np.exp(rng.uniform(np.log(0.1), np.log(0.45))))
    while size >= 8:
        sprite = _draw_thing(rng, pair, round(size), light)
        place = find_place(rng, stage.owner, sprite, stage.full)
        if place is not None:
            break
        size *= 0.8
    else:
        raise ValueError(f"{len(stage.sprites) + 1} objects do not fit into {width}x{height}")
    blank = np.empty((height, width, 3), np.uint8)
    paste(blank, stage.owner, sprite, *place, len(stage.sprites))
    middle = (place[0] + sprite.shape[1] / 2, place[1] + sprite.shape[0] / 2)
    stage.sprites.append(sprite)
    stage.full.append(int(np.count_nonzero(sprite[..., 3] >= OPAQUE)))
    stage.tracks.append(draw_track(rng, frames, middle, height, width))


def _draw_thing(rng: np.random.Generator, pair: Pair, size: int, light: Light) -> NDArray[np.uint8]:
    if pair == NAMELESS:
        return draw_blob_sprite(rng, size)
    return draw_sprite(rng, pair[1], pair[0], size, light)


def _in_front(stage: _Stage, order: NDArray[np.int64], objects: int) -> list[int]:
    """The painting `order`, or that of placement if it hides a followed thing in frame 0."""
    height, width = stage.owner.shape
    blank, owner = np.empty((height, width, 3), np.uint8), np.full_like(stage.owner, -1)
    for index in order:
        _put(blank, owner, stage, int(index), 0, None)
    seen = np.bincount(owner[owner >= 0], minlength=len(order))[:objects]
    if (seen >= np.maximum(0.3 * np.array(stage.full[:objects]), MIN_PIXELS)).all():
        return [int(index) for index in order]
    return list(range(len(order)))


def _disturb(rng: np.random.Generator, stage: _Stage, index: int, pair: Pair, light: Light) -> None:
    """Let something happen to a followed thing: it leaves, vanishes, or is passed over.

    What passes over it is a bar, a blob, or an object: one like it as often as not.
    """
    height, width = stage.owner.shape
    track, size = stage.tracks[index], stage.sprites[index].shape[0]
    kind = rng.integers(5)
    if kind == 0:
        leave(rng, track, size, height, width)
    elif kind == 1:
        vanish(rng, track)
    else:
        cover = max(round(size * rng.uniform(0.8, 1.8)), 12)
        reach = 0.75 * (size + cover)
        if kind == 2:
            sprite = draw_bar_sprite(rng, cover)
        elif kind == 3:
            sprite = _draw_thing(rng, NAMELESS, cover, light)
        else:
            other = SEEN[int(rng.integers(len(SEEN)))]
            sprite = _draw_thing(rng, pair if rng.random() < 0.5 else other, cover, light)
        stage.sprites.append(sprite)
        stage.tracks.append(draw_crossing(rng, track, reach, height, width))


def _put(
    image: NDArray[np.uint8],
    owner: NDArray[np.int16],
    stage: _Stage,
    index: int,
    frame: int,
    camera: NDArray[np.float64] | None,
    shadow: tuple[Light, float] | None = None,
) -> None:
    track, sprite = stage.tracks[index], stage.sprites[index]
    if not track.shown[frame]:
        return
    centre, matrix = track.centre[frame], track.matrix[frame]
    if camera is not None:
        centre, matrix = camera[:, :2] @ centre + camera[:, 2], camera[:, :2] @ matrix
    patch, x, y = warp_sprite(sprite, (float(centre[0]), float(centre[1])), matrix)
    if shadow is not None:
        dx, dy = shadow_offset(shadow[0], sprite.shape[0])
        paste_shadow(image, patch, x, y, dx, dy, shadow[1])
    paste(image, owner, patch, x, y, index)


def _film(
    rng: np.random.Generator,
    stage: _Stage,
    order: list[int],
    named: list[Pair],
    light: Light,
    filmed: range,
) -> Clip:
    height, width = stage.owner.shape
    pad = round(_BORDER * height)
    room = draw_background(rng, height + 2 * pad, width + 2 * pad)
    cameras = draw_camera(rng, filmed.stop, height, width)[:: filmed.step]
    exposure = draw_exposure(rng)
    shadow = (light, rng.uniform(0.15, 0.5)) if rng.random() < 0.5 else None
    images = np.empty((len(filmed), height, width, 3), np.uint8)
    masks = np.empty((len(filmed), len(named), height, width), bool)
    ids = np.arange(len(named), dtype=np.int16)[:, None, None]
    for row, (frame, camera) in enumerate(zip(filmed, cameras, strict=True)):
        view = camera.copy()
        view[:, 2] -= camera[:, :2] @ (pad, pad)  # the room's own pixels start at (-pad, -pad)
        image = cv2.warpAffine(room, view, (width, height), borderMode=cv2.BORDER_REPLICATE)
        owner = np.full((height, width), -1, np.int16)
        for index in order:
            _put(image, owner, stage, index, frame, camera, shadow)
        masks[row] = owner == ids
        images[row] = exposure.apply(rng, image)
    present = masks.sum((2, 3)) >= MIN_PIXELS
    masks &= present[..., None, None]
    return Clip(
        images,
        masks,
        present,
        tuple(shape for _, shape in named),
        tuple(colour for colour, _ in named),
    )
