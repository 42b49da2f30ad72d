"""Batches of pictures for the demo segmenter."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsam_ros.training.scenes import draw_scene, film_still
from gsam_ros.training.segmenter.forward import Prompts
from gsam_ros.training.segmenter.loss import TARGET_SIZE
from gsam_ros.training.segmenter.model import IMAGE_SIZE
from gsam_ros.training.segmenter.pixels import boxes_around, shrink, squeeze, squeeze_masks
from gsam_ros.training.segmenter.prompts import box_in, click
from gsam_ros.world.clips import draw_clip
from gsam_ros.world.stills import draw_still

STILL_SIZES = ((192, 256), (256, 256), (240, 320), (320, 256))
"""Height and width that pictures are drawn at, so that every squeeze of a camera is met."""
MIN_PIXELS = 40
"""An object with fewer visible pixels of the 256 x 256 image is not asked for."""
FILMED = 0.4
"""Share of the pictures that are frames out of clips: with things that have no name, and with
things that hide one another more than a picture's ever do."""
FILMED_FRAME, FILMED_EVENTS = 9, 0.75
"""Which frame that is, and the chance that something has happened to a thing of it."""
ROOMS = 0.3
"""Share of the pictures that show rooms like the recordings', with all that stands in them."""


@dataclass(frozen=True)
class Stills:
    """N pictures with B objects asked for in all."""

    pixels: Tensor
    """uint8 [N, 256, 256, 3] RGB."""
    image: Tensor
    """[B] which picture the object is in."""
    prompts: Prompts
    """Boxes as a detector might give them, or clicked points."""
    boxes: Tensor
    """[B, 4] true boxes."""
    masks: Tensor
    """uint8 [B, 128, 128], 255 = all covered."""
    told: Tensor
    """[K] the pictures of which the truth tells every object, the others show some besides."""
    anything: Tensor
    """float16 [K, 6, 64, 64] of these, see `Heads.image_loss`."""


def still_batch(
    rng: np.random.Generator, images: int, objects: int, pointed: float = 0.0
) -> Stills:
    """`images` pictures, of each up to `objects` objects; `pointed`: chance of points for boxes."""
    pixels, image, boxes, whole, told, anything = [], [], [], [], [], []
    for number in range(images):
        kind = rng.random()
        if kind < FILMED:
            picture, covered = _draw_filmed(rng, objects)
        elif kind < FILMED + ROOMS:
            picture, covered = _draw_room(rng)
        else:
            picture, covered = _draw_picture(rng)
        around = boxes_around(covered)
        pixels.append(picture)
        if kind >= FILMED + ROOMS:
            told.append(number)
            anything.append(_anything(covered, around))
        large = np.flatnonzero((covered > 127).sum((1, 2)) >= MIN_PIXELS)
        chosen = rng.permutation(large)[:objects]
        image += [number] * len(chosen)
        boxes.append(around[chosen])
        whole.append(covered[chosen])
    true, masks = np.concatenate(boxes), np.concatenate(whole)
    pointed_at = rng.random() < pointed
    prompts = click(rng, masks) if pointed_at else box_in(rng, true)
    size = IMAGE_SIZE // 4
    return Stills(
        torch.from_numpy(np.stack(pixels)),
        torch.tensor(image),
        prompts,
        torch.from_numpy(true),
        torch.from_numpy(shrink(masks, TARGET_SIZE)),
        torch.tensor(told, dtype=torch.long),
        torch.from_numpy(np.reshape(np.array(anything, np.float16), (-1, 6, size, size))),
    )


def _draw_picture(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture [256, 256, 3] and the masks [N, 256, 256] of all N >= 1 objects in it."""
    height, width = STILL_SIZES[rng.integers(len(STILL_SIZES))]
    while True:
        still = draw_still(rng, height, width)
        if len(still.boxes):
            return squeeze(still.image), squeeze_masks(still.masks)


def _draw_room(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A camera's picture [256, 256, 3] of a room and the masks [N, 256, 256] of N >= 1 things."""
    while True:
        still = film_still(rng, draw_scene(rng), IMAGE_SIZE, IMAGE_SIZE)
        if len(still.boxes):
            return still.image, squeeze_masks(still.masks)


def _draw_filmed(
    rng: np.random.Generator, objects: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A frame [256, 256, 3] of a clip and the masks [N, 256, 256] of the things it follows."""
    while True:
        clip = draw_clip(
            rng,
            FILMED_FRAME + 1,
            IMAGE_SIZE,
            IMAGE_SIZE,
            objects,
            events=FILMED_EVENTS,
            every=FILMED_FRAME,
        )
        if (clip.masks[-1].sum((1, 2)) >= MIN_PIXELS).any():
            return clip.images[-1], squeeze_masks(clip.masks[-1])


def _anything(masks: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float16]:
    """[6, 64, 64] targets for the finest level out of all objects of a picture."""
    size = IMAGE_SIZE // 4
    target = np.zeros((6, size, size), np.float16)
    centre = (np.arange(size, dtype=np.float32) + 0.5) / size
    owner = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    for number, (mask, box) in enumerate(zip(masks, boxes / IMAGE_SIZE, strict=True), start=1):
        owner[mask > 127] = number
        inside = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA) > 127
        target[0][inside] = 1
        across = np.stack([centre - box[0], box[2] - centre])
        down = np.stack([centre - box[1], box[3] - centre])
        for channel, distance in ((2, across[0]), (4, across[1])):
            target[channel][inside] = np.broadcast_to(distance, (size, size))[inside]
        for channel, distance in ((3, down[0]), (5, down[1])):
            target[channel][inside] = np.broadcast_to(distance[:, None], (size, size))[inside]
    edge = cv2.morphologyEx(owner, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    target[1] = cv2.resize(edge.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return target
