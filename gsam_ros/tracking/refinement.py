"""Masks outlined anew from close by: memory finds an object, a crop shows where it ends.

A mask of SAM 2 has a cell for every four pixels of the square that the model sees, a handful
across most objects. That tells well which object it is and where, and roughly its outline. On a
crop a few times its size the same model draws it several times as finely, from the box around the
mask, for one more pass of the image encoder that neighbours share. (CascadePSP, arXiv 2005.02551,
refines masks on crops likewise, by a network of its own.)

Only what is shown is refined. Memories, and the rules of tracking, go on with the masks of the
whole image: who is followed, and where, is the same with and without.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gsam_ros.masks import Closeup, Masks, Region
from gsam_ros.tracking.closeups import is_small, segment_crops
from gsam_ros.tracking.crops import CropSizes
from gsam_ros.tracking.fragments import whole_parts
from gsam_ros.tracking.segmenters.interface import SegmentationModel
from gsam_ros.tracking.settings import TrackerSettings

_SIZES = CropSizes(alone=2.5, shared=3.5, crowded=12.5)
_SAME = 0.3
"""Least intersection over union of a mask and its refinement: one that has less of it is of
something else, as of the neighbour that a box holds as well."""


def refine(
    model: SegmentationModel,
    images: Sequence[np.ndarray | None],
    masks: Sequence[Masks],
    settings: TrackerSettings,
) -> list[tuple[Closeup | None, ...]]:
    """Finer masks of objects of several images, all crops in one batch.

    Args:
        model: supplies the operations.
        images: [H, W, 3] uint8 RGB; None: nothing is refined there.
        masks: of each image.
        settings: `refine_below` says what is small enough, `refine_crops` how many crops each
            image may have, the smallest objects first.

    Returns:
        For each image [N]: the finer mask, or what the mask has for one already; None where the
        whole image shows the object well enough, no crop is left, or its crop shows something else.
    """
    refined = [list(own.each_closeup) for own in masks]
    chosen = [
        [] if image is None else _small(own, model.image_size, settings.refine_below)
        for image, own in zip(images, masks, strict=True)
    ]
    if any(chosen):
        owner = np.repeat(np.arange(len(chosen)), [len(rows) for rows in chosen])
        boxes = np.concatenate([own.boxes[rows] for own, rows in zip(masks, chosen, strict=True)])
        close, shown = segment_crops(model, images, owner, boxes, settings.refine_crops, _SIZES)
        if close is not None:
            _, closeups = whole_parts(close, settings.least_part)
            rows = np.concatenate(chosen).astype(np.int64)[shown]
            for index, row, closeup in zip(owner[shown], rows, closeups, strict=True):
                if _shows_the_same(masks[index], row, closeup):
                    refined[index][row] = closeup
    return [tuple(own) for own in refined]


def _small(masks: Masks, edge: int, limit: float) -> list[int]:
    """The rows of small masks that come from the whole image."""
    coarse = np.array([closeup is None for closeup in masks.each_closeup], bool)
    small = is_small(masks.boxes, np.array((masks.height, masks.width)), edge, limit)
    return np.flatnonzero(coarse & small & (masks.areas > 0)).tolist()


def _shows_the_same(masks: Masks, row: int, closeup: Closeup | None) -> bool:
    alone = Masks(masks.logits[[row]], masks.height, masks.width, (closeup,))
    return _iou(masks.regions[row], alone.regions[0]) >= _SAME


def _iou(one: Region, other: Region) -> float:
    """Intersection over union of two masks at the image's resolution, within their windows."""
    top, left = (max(edges) for edges in zip(one.bounds[:2], other.bounds[:2], strict=True))
    bottom, right = (min(edges) for edges in zip(one.bounds[2:], other.bounds[2:], strict=True))
    if top >= bottom or left >= right:
        return 0.0
    inside = [region.logits > 0 for region in (one, other)]
    here = inside[0][one.within(top, left, bottom, right)]
    there = inside[1][other.within(top, left, bottom, right)]
    both = np.count_nonzero(here & there)
    either = int(np.count_nonzero(inside[0]) + np.count_nonzero(inside[1]) - both)
    return float(both / max(either, 1))
