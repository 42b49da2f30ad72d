"""Specks that SAM 2 puts far from an object, where something looks alike."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from gsam_ros.masks import Closeup
from gsam_ros.tracking.segmenters.interface import Segmentation


def without_fragments(logits: np.ndarray, least: float) -> np.ndarray:
    """A mask without its small parts; one speck across the image would make its box worthless.

    An object that is seen in pieces, left and right of a pole, keeps those that count. The `sam2`
    package does likewise in `fill_holes_in_mask_scores`, there by a number of cells.

    Args:
        logits: [h, w] float32, object where > 0.
        least: share of the mask's area that a connected part (8 neighbours) needs to stay.

    Returns:
        [h, w] logits, the sign turned where a part is dropped; `logits` itself where none is.
    """
    inside = (logits > 0).view(np.uint8)
    count, labels, parts, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    if count <= 2:  # what is not the object, and one part
        return logits
    areas = parts[:, cv2.CC_STAT_AREA]
    areas[0] = 0
    dropped = areas < min(least * areas.sum(), areas.max())
    dropped[0] = False
    return np.where(dropped[labels], -logits, logits)


def whole_parts(masks: Segmentation, least: float) -> tuple[np.ndarray, tuple[Closeup | None, ...]]:
    """N >= 1 masks without their fragments: [N, h, w] logits on the CPU, and [N] close-ups."""
    coarse = masks.logits.cpu().numpy()
    closeups = tuple(
        closeup and replace(closeup, logits=without_fragments(closeup.logits, least))
        for closeup in masks.each_closeup
    )
    logits = [
        mask if closeup else without_fragments(mask, least)
        for mask, closeup in zip(coarse, closeups, strict=True)
    ]
    return np.stack(logits), closeups
