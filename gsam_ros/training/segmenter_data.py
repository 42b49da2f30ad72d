"""Batches for the demo segmenter: pictures and clips of the demo world, squeezed to 256 x 256.

Every batch is drawn from (seed, kind, number) alone, so a run that is taken up again goes on with
the very batches it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from gsam_ros.training.segmenter_forward import Prompts
from gsam_ros.training.segmenter_loss import TARGET_SIZE
from gsam_ros.training.segmenter_model import IMAGE_SIZE, PIXEL_MEAN, PIXEL_STD
from gsam_ros.training.together import Team
from gsam_ros.world.clips import EVENTS, NAMELESS_SHARE, Clip, draw_clip
from gsam_ros.world.stills import draw_still

STILL_SIZES = ((192, 256), (256, 256), (240, 320), (320, 256))
"""Height and width that pictures are drawn at, so that every squeeze of a camera is met."""
MIN_PIXELS = 40
"""An object with fewer visible pixels of the 256 x 256 image is not asked for."""
POINTED_STILLS, POINTED_CLIPS = 0.4, 0.15
"""Share of the batches in which objects are pointed at, not boxed."""
FILMED = 0.4
"""Share of the pictures that are frames out of clips: with things that have no name, and with
things that hide one another more than a picture's ever do."""
FILMED_FRAME, FILMED_EVENTS = 9, 0.75
"""Which frame that is, and the chance that something has happened to a thing of it."""


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


@dataclass(frozen=True)
class Clips:
    """T frames of V clips with B objects in all; every object is in its clip's first frame."""

    pixels: Tensor
    """uint8 [T, V, 256, 256, 3] RGB."""
    clip: Tensor
    """[B] which clip the object is in."""
    prompts: Prompts
    """Boxes or points in the first frame."""
    boxes: Tensor
    """[T, B, 4] true boxes; zeros where the object is not to be seen."""
    masks: Tensor
    """uint8 [T, B, 128, 128]"""
    present: Tensor
    """bool [T, B]"""
    untaught: int = 0
    """First frames that are only followed, without gradients: memory is then as old as in use."""
    boxed: float = 0.0
    """Share of the frames in which masks out of true boxes are taught besides."""


@dataclass(frozen=True)
class ClipKind:
    """What clips a batch is made of.

    Attributes:
        clips: in a batch.
        frames: of each.
        objects: of each, all followed.
        strides: one is drawn, and only every so many frames of what happens are shown: things have
            then moved farther from one frame to the next than they look alike.
        untaught: see `Clips`.
        hidden: frames for which the first object is out of sight, one less at times; it is back at
            the end, and the second object is its look-alike.
        nameless: chance that an object is a textured blob.
        boxed: share of the frames in which masks out of true boxes are taught besides.
        share: of the batches with clips.
    """

    clips: int
    frames: int
    objects: int
    strides: tuple[int, ...] = (1,)
    untaught: int = 0
    hidden: int = 0
    nameless: float = NAMELESS_SHARE
    boxed: float = 0.0
    share: float = 1.0


def normalise(pixels: Tensor) -> Tensor:
    """float32 [N, 3, 256, 256] out of uint8 [N, 256, 256, 3], as the processor does."""
    mean, std = torch.tensor(PIXEL_MEAN) * 255, torch.tensor(PIXEL_STD) * 255
    return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)


def jitter(rng: np.random.Generator, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move the sides of boxes [N, 4] as a detector does, inside the 256 x 256 image.

    A third of the boxes hardly moves, the rest by some per cent of its size.
    """
    side = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    spread = np.where(rng.random((len(boxes), 1)) < 0.35, 0.01, 0.06)
    moved = boxes + np.clip(rng.normal(0, spread, boxes.shape), -0.15, 0.15) * side
    return np.clip(moved, 0, IMAGE_SIZE).astype(np.float32)


def click(rng: np.random.Generator, masks: NDArray[np.uint8]) -> Prompts:
    """Points on the objects of masks [B, 256, 256], as people click them: 1 to 3 each.

    The first lies well inside; the others, if any, on the object or beside it.
    """
    count = int(rng.choice((1, 2, 3), p=(0.6, 0.25, 0.15)))
    points = np.zeros((len(masks), count, 2), np.float32)
    labels = np.ones((len(masks), count), np.int32)
    for row, mask in enumerate(masks):
        inside = (mask > 127).astype(np.uint8)
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
        near = cv2.dilate(inside, np.ones((25, 25), np.uint8)) - cv2.dilate(
            inside, np.ones((5, 5), np.uint8)
        )
        points[row, 0] = _draw_pixel(rng, depth >= 0.4 * depth.max())
        for column in range(1, count):
            on = rng.random() < 0.5 or not near.any()
            labels[row, column] = int(on)
            points[row, column] = _draw_pixel(rng, inside if on else near)
    return Prompts(torch.from_numpy(points), torch.from_numpy(labels))


def _draw_pixel(rng: np.random.Generator, mask: NDArray) -> tuple[float, float]:
    """One (x, y) where `mask` is not 0."""
    rows, columns = np.nonzero(mask)
    chosen = rng.integers(len(rows))
    return float(columns[chosen]), float(rows[chosen])


def squeeze(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize an image or a mask to 256 x 256."""
    if image.shape[:2] == (IMAGE_SIZE, IMAGE_SIZE):
        return image
    squeezed = cv2.resize(image, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_LINEAR)
    return squeezed.astype(np.uint8, copy=False)


def squeeze_masks(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """uint8 [N, 256, 256] out of bool [N, H, W]; 255 = covered."""
    squeezed = [squeeze(mask.astype(np.uint8) * 255) for mask in masks]
    return np.stack(squeezed) if squeezed else np.zeros((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8)


def boxes_around(masks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[N, 4] boxes, far sides exclusive, around masks [N, H, W] > 127; zeros for empty ones."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks > 127, strict=True):
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def _shrink(masks: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Averages of [N, 256, 256] over blocks: [N, size, size]."""
    small = [cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA) for mask in masks]
    return np.stack(small) if small else np.zeros((0, size, size), np.uint8)


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


def still_batch(
    rng: np.random.Generator, images: int, objects: int, pointed: float = 0.0
) -> Stills:
    """`images` pictures, of each up to `objects` objects; `pointed`: chance of points for boxes."""
    pixels, image, boxes, whole, told, anything = [], [], [], [], [], []
    for number in range(images):
        filmed = rng.random() < FILMED
        picture, covered = _draw_filmed(rng, objects) if filmed else _draw_picture(rng)
        around = boxes_around(covered)
        pixels.append(picture)
        if not filmed:
            told.append(number)
            anything.append(_anything(covered, around))
        large = np.flatnonzero((covered > 127).sum((1, 2)) >= MIN_PIXELS)
        chosen = rng.permutation(large)[:objects]
        image += [number] * len(chosen)
        boxes.append(around[chosen])
        whole.append(covered[chosen])
    true, masks = np.concatenate(boxes), np.concatenate(whole)
    pointed_at = rng.random() < pointed
    prompts = click(rng, masks) if pointed_at else _boxed(jitter(rng, true))
    size = IMAGE_SIZE // 4
    return Stills(
        torch.from_numpy(np.stack(pixels)),
        torch.tensor(image),
        prompts,
        torch.from_numpy(true),
        torch.from_numpy(_shrink(masks, TARGET_SIZE)),
        torch.tensor(told, dtype=torch.long),
        torch.from_numpy(np.reshape(np.array(anything, np.float16), (-1, 6, size, size))),
    )


def _boxed(boxes: NDArray[np.float32]) -> Prompts:
    return Prompts.of_boxes(torch.from_numpy(boxes))


def _draw_picture(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture [256, 256, 3] and the masks [N, 256, 256] of all N >= 1 objects in it."""
    height, width = STILL_SIZES[rng.integers(len(STILL_SIZES))]
    while True:
        still = draw_still(rng, height, width)
        if len(still.boxes):
            return squeeze(still.image), squeeze_masks(still.masks)


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


def clip_batch(rng: np.random.Generator, kind: ClipKind, pointed: float = 0.0) -> Clips:
    """Clips whose objects are all in the first frame; `pointed`: chance of points for boxes."""
    every = int(rng.choice(kind.strides))
    drawn = [_draw_clip_of(rng, kind, every) for _ in range(kind.clips)]
    covered = np.concatenate([clip.masks for clip in drawn], 1).astype(np.uint8) * 255
    boxes = np.stack([boxes_around(frame) for frame in covered])
    pointed_at = rng.random() < pointed
    prompts = click(rng, covered[0]) if pointed_at else _boxed(jitter(rng, boxes[0]))
    return Clips(
        torch.from_numpy(np.stack([clip.images for clip in drawn], 1)),
        torch.arange(kind.clips).repeat_interleave(kind.objects),
        prompts,
        torch.from_numpy(boxes),
        torch.from_numpy(np.stack([_shrink(frame, TARGET_SIZE) for frame in covered])),
        torch.from_numpy(np.concatenate([clip.present for clip in drawn], 1)),
        kind.untaught,
        kind.boxed,
    )


def _draw_clip_of(rng: np.random.Generator, kind: ClipKind, every: int) -> Clip:
    """Draw one in which what is to be hidden is, and is back at the end."""
    while True:
        clip = draw_clip_to_follow(
            rng,
            kind.frames * every,
            kind.objects,
            EVENTS if kind.hidden == 0 else 0.0,
            kind.nameless,
            hidden=kind.hidden * every,
            every=every,
        )
        seen = clip.present[:, 0]
        if kind.hidden == 0 or (np.count_nonzero(~seen) >= kind.hidden - 1 and seen[-1]):
            return clip  # one in three: what is laid upon a thing may not cover all of it


def draw_clip_to_follow(
    rng: np.random.Generator,
    frames: int,
    objects: int,
    events: float = EVENTS,
    nameless: float = NAMELESS_SHARE,
    hidden: int = 0,
    every: int = 1,
) -> Clip:
    """Draw a 256 x 256 clip whose first frame shows all objects large enough to ask for.

    `events`, `nameless`, `hidden` and `every` as in `draw_clip`.
    """
    side = IMAGE_SIZE
    while True:
        clip = draw_clip(
            rng,
            frames,
            side,
            side,
            objects,
            events=events,
            nameless=nameless,
            hidden=hidden,
            every=every,
        )
        if (clip.masks[0].sum((1, 2)) >= MIN_PIXELS).all():
            return clip


class StillBatches(Dataset[Stills]):
    """Batch number i of pictures, for i from `first` to `last`, for one process of a team."""

    def __init__(
        self,
        seed: int,
        first: int,
        last: int,
        images: int,
        objects: int,
        pointed: float = 0.0,
        team: Team | None = None,
    ) -> None:
        self._seed, self._numbers, self._team = seed, range(first, last), team or Team()
        self._images, self._objects, self._pointed = images, objects, pointed

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Stills:
        rng = _chance(self._seed, 0, self._numbers[index], self._team)
        return still_batch(rng, self._images, self._objects, self._pointed)


class MixedBatches(Dataset[Stills | Clips]):
    """Batch number i of clips, or every so often of pictures, for i from `first` to `last`.

    `parts` gives the kinds of clips of each equal part of the run. All processes of a team get
    batches of the same kind, so that none waits for another.
    """

    def __init__(
        self,
        seed: int,
        first: int,
        last: int,
        images: int,
        objects: int,
        parts: Sequence[Sequence[ClipKind]],
        still_share: float,
        team: Team | None = None,
    ) -> None:
        self._seed, self._numbers, self._team = seed, range(first, last), team or Team()
        self._images, self._objects = images, objects
        self._parts, self._still_share, self._total = parts, still_share, last

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> Stills | Clips:
        number = self._numbers[index]
        choice = np.random.default_rng([self._seed, 1, number])
        rng = _chance(self._seed, 2, number, self._team)
        if choice.random() < self._still_share:
            return still_batch(rng, self._images, self._objects, POINTED_STILLS)
        kinds = self._parts[number * len(self._parts) // self._total]
        shares = np.array([kind.share for kind in kinds])
        kind = kinds[choice.choice(len(kinds), p=shares / shares.sum())]
        return clip_batch(rng, kind, POINTED_CLIPS)


def _chance(seed: int, kind: int, number: int, team: Team) -> np.random.Generator:
    return np.random.default_rng([seed, kind, number * team.size + team.place])
