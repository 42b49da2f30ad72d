"""What cameras see of the demo recording's rooms, for training.

Rooms of their own: no recording and no benchmark has their seeds, and what is in them is never a
colour-shape pair that is held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.clips import MIN_PIXELS, Clip
from gsam_ros.world.compose import boxes_of
from gsam_ros.world.placement import MIN_VISIBLE
from gsam_ros.world.scene import RenderedFrame, Scene
from gsam_ros.world.stills import Still
from gsam_ros.world.vocabulary import SEEN, Pair

FIRST_SEED = 1_000_000
FRAME_PERIOD = 0.1
"""Seconds between two frames."""
_LASTS = 60.0  # seconds of a room out of which frames are taken


def draw_scene(rng: np.random.Generator, pairs: Sequence[Pair] = SEEN) -> Scene:
    """A room of `pairs` in which nothing is held out."""
    return Scene(int(rng.integers(FIRST_SEED, 2**31)), held_out=0, others=pairs)


def film_still(rng: np.random.Generator, scene: Scene, height: int, width: int) -> Still:
    """One frame of any camera at any time, shrunk to `height` x `width` pixels.

    Its truth are the objects of which at least `MIN_VISIBLE` is to be seen.
    """
    frame = scene.render(int(rng.integers(len(scene.cameras))), float(rng.uniform(0, _LASTS)))
    masks = _shrink_masks(frame.masks, height, width)
    kept = np.flatnonzero((frame.visible >= MIN_VISIBLE) & masks.any((1, 2))).tolist()
    return Still(
        _shrink(frame.image, height, width),
        boxes_of(masks[kept]),
        masks[kept],
        tuple(frame.pairs[i][1] for i in kept),
        tuple(frame.pairs[i][0] for i in kept),
        frame.visible[kept],
    )


def resize_still(still: Still, height: int, width: int) -> Still:
    """The picture at `height` x `width` pixels, larger than it was."""
    masks = [
        cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
        for mask in still.masks
    ]
    ratio = np.array([width, height, width, height]) / np.tile(still.image.shape[1::-1], 2)
    image = cv2.resize(still.image, (width, height), interpolation=cv2.INTER_LINEAR)
    return replace(
        still,
        image=image.astype(np.uint8, copy=False),
        boxes=(still.boxes * ratio).astype(np.float32),
        masks=np.stack(masks) if masks else np.zeros((0, height, width), bool),
    )


def film_clip(
    rng: np.random.Generator, frames: int, objects: int, side: int, least: int, every: int = 1
) -> Clip:
    """`frames` frames of one camera, `every` * `FRAME_PERIOD` apart, with `objects` followed.

    Pictures are squeezed to `side` x `side` pixels. Followed are some of the objects that show at
    least `least` pixels in the first frame.
    """
    scene = draw_scene(rng)
    while True:
        camera, start = int(rng.integers(len(scene.cameras))), float(rng.uniform(0, _LASTS))
        first = scene.render(camera, start)
        large = first.ids[_shrink_masks(first.masks, side, side).sum((1, 2)) >= least]
        if len(large) >= objects:
            break
    followed = rng.permutation(large)[:objects]
    times = start + FRAME_PERIOD * every * np.arange(1, frames)
    filmed = [first, *(scene.render(camera, float(t)) for t in times)]
    masks = np.stack([_masks_of(frame, followed, side) for frame in filmed])
    pairs = [scene.pairs[int(i)] for i in followed]
    return Clip(
        np.stack([_shrink(frame.image, side, side) for frame in filmed]),
        masks,
        np.asarray(masks.any((2, 3))),
        tuple(shape for _, shape in pairs),
        tuple(colour for colour, _ in pairs),
    )


def _masks_of(frame: RenderedFrame, ids: NDArray[np.int64], side: int) -> NDArray[np.bool_]:
    """[N, side, side] of the objects `ids` [N]; empty where hardly anything is to be seen."""
    found = np.zeros((len(ids), side, side), bool)
    shrunk = _shrink_masks(frame.masks, side, side)
    for row, identity in enumerate(ids):
        for mask in shrunk[frame.ids == identity]:
            found[row] = mask if np.count_nonzero(mask) >= MIN_PIXELS else False
    return found


def _shrink_masks(masks: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    shrunk = [_shrink(mask.astype(np.uint8) * 255, height, width) > 127 for mask in masks]
    return np.stack(shrunk) if shrunk else np.zeros((0, height, width), bool)


def _shrink(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)
