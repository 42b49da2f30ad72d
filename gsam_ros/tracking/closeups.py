"""Small objects seen from close by: SAM 2 on a crop around them.

A whole image shows an object of 12 pixels among 1920 as one or two cells of SAM 2's mask. A crop a
few times its size shows it well, for the price of one more pass of the image encoder, which
neighbours share. Its mask comes from the box at the place where it is expected: memories of so
small an object hold next to nothing. (SAHI, arXiv 2202.06934, does the same for detection.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch

from gsam_ros.masks import Closeup, Masks
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.crops import CropSizes, choose_crops
from gsam_ros.tracking.propagation import encode_images, segment_boxes
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.settings import TrackerSettings

_SIZES = CropSizes(alone=4.0, shared=8.0, crowded=8.0)  # see benchmark/closeups.py
_SURE = 8.0  # logit of a cell that a mask covers


def is_small(boxes: np.ndarray, sizes: np.ndarray, edge: int, limit: float) -> np.ndarray:
    """Which boxes are too small for the whole image: [N] bool.

    Args:
        boxes: [N, 4] xyxy pixels.
        sizes: [N, 2] or [2] (height, width) of their images.
        edge: of the square that the model sees, in its pixels.
        limit: the longer side in those pixels that is large enough.
    """
    scale = edge / np.asarray(sizes, np.float32)[..., ::-1]
    return ((boxes[:, 2:] - boxes[:, :2]) * scale).max(1, initial=0) < limit


def segment_crops(
    model: SegmentationModel,
    images: Sequence[np.ndarray | None],
    image_index: np.ndarray,
    boxes: np.ndarray,
    most: int,
    crop_sizes: CropSizes = _SIZES,
) -> tuple[Segmentation | None, np.ndarray]:
    """Masks of small objects from their boxes, each on a crop.

    Args:
        model: supplies the operations.
        images: [H, W, 3] uint8 RGB; those with an object are there.
        image_index: [N] which image each object lies in.
        boxes: [N, 4] xyxy pixels.
        most: crops that may be used of each image, so that no camera takes another's.
        crop_sizes: in longer sides of objects.

    Returns:
        The masks of those that a crop shows, as close-ups (`logits` are of the crops, too); and
        [N] bool, which these are.
    """
    shown_in = np.full(len(boxes), -1)
    windows: list[np.ndarray] = []
    pixels: list[np.ndarray] = []
    for index in np.unique(image_index):
        rows = np.flatnonzero(image_index == index)
        image = images[index]
        assert image is not None
        crops, which = choose_crops(boxes[rows], image.shape[:2], most, crop_sizes)
        shown_in[rows] = np.where(which < 0, -1, which + len(windows))
        for left, top, right, bottom in crops:
            windows.append(np.array([left, top, right, bottom]))
            pixels.append(np.ascontiguousarray(image[top:bottom, left:right]))
    shown = shown_in >= 0
    if not pixels:
        return None, shown
    own = np.stack(windows)[shown_in[shown]]
    corner, extent = np.tile(own[:, :2], 2), np.tile(own[:, 2:] - own[:, :2], 2)
    fractions = torch.tensor((boxes[shown] - corner) / extent, dtype=torch.float32).clamp(0, 1)
    features = encode_images(model, pixels)
    masks = segment_boxes(model, features, shown_in[shown].tolist(), fractions)
    closeups = tuple(
        Closeup(logits, *(int(edge) for edge in window))
        for logits, window in zip(masks.logits.cpu().numpy(), own, strict=True)
    )
    return replace(masks, closeups=closeups), shown


def segment_close(
    model: SegmentationModel,
    images: Sequence[np.ndarray | None],
    image_index: np.ndarray,
    boxes: np.ndarray,
    most: int,
) -> tuple[Segmentation | None, np.ndarray]:
    """`segment_crops`, with `logits` that cover the whole images as those of other masks do."""
    masks, shown = segment_crops(model, images, image_index, boxes, most)
    if masks is None:
        return None, shown
    coarse = []
    for index, closeup in zip(image_index[shown], masks.closeups, strict=True):
        image = images[index]
        assert image is not None
        assert closeup is not None
        coarse.append(seen_from_afar(closeup, image.shape[:2], closeup.logits.shape))
    logits = torch.from_numpy(np.stack(coarse)).to(masks.logits.device)
    return replace(masks, logits=logits), shown


def segment_small_and_others(
    model: SegmentationModel,
    features: ImageFeatures,
    views: Sequence[View],
    image_index: Sequence[int],
    boxes: np.ndarray,
    settings: TrackerSettings,
) -> Segmentation:
    """Masks of N >= 1 objects from their boxes: small ones on crops, as far as those go.

    Args:
        model: supplies the operations.
        features: of the views' images.
        views: the frames of a step.
        image_index: [N] which view each object lies in.
        boxes: [N, 4] xyxy pixels.
        settings: say what is small, and how many crops may be used.
    """
    owner = np.array(image_index, np.int64)
    sizes = np.array([views[index].size for index in owner])
    small = is_small(boxes, sizes, model.image_size, settings.closeup_below)
    small &= np.array([views[index].image is not None for index in owner])
    images = [view.image for view in views]
    crops = settings.closeup_crops
    close, shown = segment_close(model, images, owner[small], boxes[small], crops)
    rest = np.ones(len(boxes), bool)
    rest[np.flatnonzero(small)[shown]] = False
    parts = [close] if close else []
    if rest.any():
        fractions = boxes[rest] / np.tile(sizes[rest][:, ::-1], 2)
        tensor = torch.tensor(fractions, dtype=torch.float32)
        parts.append(segment_boxes(model, features, owner[rest].tolist(), tensor))
    order = np.concatenate([np.flatnonzero(~rest), np.flatnonzero(rest)])
    if (order[:-1] < order[1:]).all():
        return Segmentation.concatenate(parts)
    return Segmentation.concatenate(parts)[torch.from_numpy(order).to(model.device).argsort()]


def adopt_small(
    model: SegmentationModel,
    features: ImageFeatures,
    view: View,
    mask: np.ndarray,
    settings: TrackerSettings,
) -> Segmentation | None:
    """A given mask [H, W] (bool) of a small object as a close-up, taken at its word.

    What SAM 2 remembers of it comes from the mask's box, on the same crop.

    Returns:
        N = 1 masks; None where the object is not small, or no crop shows it.
    """
    box = np.array(cv2.boundingRect(mask.astype(np.uint8)), np.float32)
    box[2:] += box[:2]
    if not is_small(box[None], np.array(view.size), model.image_size, settings.closeup_below)[0]:
        return None
    seen = segment_small_and_others(model, features, [view], [0], box[None], settings)
    [closeup] = seen.each_closeup
    if closeup is None:
        return None
    part = mask[closeup.top : closeup.bottom, closeup.left : closeup.right].astype(np.float32)
    cells = closeup.logits.shape[::-1]
    smaller = cells[0] < part.shape[1]
    share = cv2.resize(part, cells, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    given = replace(closeup, logits=(2 * share - 1) * _SURE)
    coarse = torch.from_numpy(seen_from_afar(given, view.size, closeup.logits.shape))[None]
    return replace(
        seen,
        logits=coarse.to(seen.logits),
        presence=torch.full_like(seen.presence, _SURE),
        closeups=(given,),
    )


def seen_from_afar(closeup: Closeup, size: tuple[int, int], cells: tuple[int, ...]) -> np.ndarray:
    """A close-up's mask on the grid of the whole image's masks.

    Args:
        closeup: of a small object.
        size: (height, width) of the image.
        cells: (h, w) of the grid.

    Returns:
        [h, w] float32 logits by the share of each cell that the object covers; the cell with most
        of it is the object's in any case.
    """
    logits = np.full(cells, -_SURE, np.float32)
    [region] = Masks(closeup.logits[None], *size, (closeup,)).regions
    inside = region.logits > 0
    if not inside.any():
        return logits
    rows, columns = np.nonzero(inside)
    y = (region.top + rows) * cells[0] // size[0]
    x = (region.left + columns) * cells[1] // size[1]
    covered = np.zeros(cells, np.float32)
    np.add.at(covered, (y, x), np.float32(cells[0] * cells[1] / (size[0] * size[1])))
    logits = np.clip(2 * covered - 1, -1, 1).astype(np.float32) * _SURE
    if not (logits > 0).any():
        logits.flat[covered.argmax()] = 1.0
    return logits
