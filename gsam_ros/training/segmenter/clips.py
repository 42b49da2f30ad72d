"""Batches of clips for the demo segmenter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gsam_ros.training.scenes import film_clip
from gsam_ros.training.segmenter.forward import Prompts
from gsam_ros.training.segmenter.loss import TARGET_SIZE
from gsam_ros.training.segmenter.model import IMAGE_SIZE
from gsam_ros.training.segmenter.pixels import boxes_around, shrink
from gsam_ros.training.segmenter.prompts import box_in, click
from gsam_ros.training.segmenter.stills import MIN_PIXELS
from gsam_ros.world.clips import EVENTS, NAMELESS_SHARE, Clip, draw_clip


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
        filmed: in the rooms of the demo recording; `hidden` and `nameless` then say nothing.
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
    filmed: bool = False
    boxed: float = 0.0
    share: float = 1.0


def clip_batch(rng: np.random.Generator, kind: ClipKind, pointed: float = 0.0) -> Clips:
    """Clips whose objects are all in the first frame; `pointed`: chance of points for boxes."""
    every = int(rng.choice(kind.strides))
    drawn = [_draw_clip_of(rng, kind, every) for _ in range(kind.clips)]
    covered = np.concatenate([clip.masks for clip in drawn], 1).astype(np.uint8) * 255
    boxes = np.stack([boxes_around(frame) for frame in covered])
    pointed_at = rng.random() < pointed
    prompts = click(rng, covered[0]) if pointed_at else box_in(rng, boxes[0])
    return Clips(
        torch.from_numpy(np.stack([clip.images for clip in drawn], 1)),
        torch.arange(kind.clips).repeat_interleave(kind.objects),
        prompts,
        torch.from_numpy(boxes),
        torch.from_numpy(np.stack([shrink(frame, TARGET_SIZE) for frame in covered])),
        torch.from_numpy(np.concatenate([clip.present for clip in drawn], 1)),
        kind.untaught,
        kind.boxed,
    )


def _draw_clip_of(rng: np.random.Generator, kind: ClipKind, every: int) -> Clip:
    """Draw one in which what is to be hidden is, and is back at the end."""
    if kind.filmed:
        return film_clip(rng, kind.frames, kind.objects, IMAGE_SIZE, MIN_PIXELS, every)
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
