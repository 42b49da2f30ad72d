"""Objects without a name: textured blobs, shards and bars, to learn masks of any thing from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.backgrounds import draw_blob, draw_surface


def draw_blob_sprite(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """A textured thing of random outline and any colour, RGBA uint8 [size, size, 4]."""
    corners = 0 if rng.random() < 0.5 else int(rng.integers(4, 9))
    outline = draw_blob(rng, corners)
    low, high = outline.min(0), outline.max(0)
    outline = (outline - (low + high) / 2) / (high - low).max() * size * 0.96 + size / 2
    return _fill(rng, size, outline)


def draw_bar_sprite(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """A long bar to hide things behind, RGBA uint8 [size, size, 4], upright or lying."""
    half = size * rng.uniform(0.12, 0.25)
    mid, far = size / 2, size * 0.48
    x, y = np.array([-half, half, half, -half]), np.array([-far, -far, far, far])
    corners = (x, y) if rng.random() < 0.7 else (y, x)
    return _fill(rng, size, np.stack(corners, 1) + mid)


def _fill(rng: np.random.Generator, size: int, outline: NDArray) -> NDArray[np.uint8]:
    surface = draw_surface(rng, size, size)
    if rng.random() < 0.5:  # half of them as vivid as the vocabulary's objects
        tinted = surface * rng.uniform(0.15, 1.5, 3)
        surface = np.minimum(tinted, 255).astype(np.uint8)
    mask = np.zeros((size, size), np.uint8)
    fixed = np.round(outline * 8).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, shift=3)
    return np.dstack([surface, mask])
