"""Putting sprites into pictures, with the truth about which pixel belongs to which object."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Owner = NDArray[np.int16]
"""[H, W] index of the object in front at each pixel, -1 where there is none."""

OPAQUE = 128
"""Alpha from which on a pixel counts as the object's."""


def overlap(
    height: int, width: int, sprite: Image, x: int, y: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices (rows, columns) of the picture and of the sprite that cover each other.

    `x`, `y` are the picture's column and row of the sprite's top left pixel and may be negative.
    """
    top, left = max(y, 0), max(x, 0)
    bottom, right = (
        max(min(y + sprite.shape[0], height), top),
        max(min(x + sprite.shape[1], width), left),
    )
    there = (slice(top, bottom), slice(left, right))
    return there, (slice(top - y, bottom - y), slice(left - x, right - x))


def paste(image: Image, owner: Owner | None, sprite: Image, x: int, y: int, index: int) -> None:
    """Draw an RGBA sprite over `image` in place; `owner` gets `index` where it is opaque."""
    there, here = overlap(image.shape[0], image.shape[1], sprite, x, y)
    patch = sprite[here]
    if patch.size == 0:
        return
    alpha = patch[..., 3]
    below = image[there]
    weight = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB)
    above = cv2.multiply(np.ascontiguousarray(patch[..., :3]), weight, scale=1 / 255)
    image[there] = cv2.add(above, cv2.multiply(below, 255 - weight, scale=1 / 255))
    if owner is not None:
        owner[there][alpha >= OPAQUE] = index


def warp_sprite(
    sprite: Image, centre: tuple[float, float], matrix: NDArray[np.float64]
) -> tuple[Image, int, int]:
    """Sprite turned and scaled by `matrix` [2, 2] about its middle, which comes to lie at `centre`.

    `centre` is (x, y) in the picture's pixels. Returns the RGBA patch and the picture's column and
    row of its top left pixel, as `paste` wants them.
    """
    half = np.array([sprite.shape[1], sprite.shape[0]]) / 2
    reach = np.abs(matrix) @ half + 1
    left, top = (int(edge) for edge in np.floor(centre - reach))
    width, height = (int(np.ceil(2 * r)) + 2 for r in reach)
    shift = np.array(centre) - (left, top) - 0.5 - matrix @ (half - 0.5)
    affine = np.concatenate([matrix, shift[:, None]], 1)
    return cv2.warpAffine(sprite, affine, (width, height), flags=cv2.INTER_LINEAR), left, top


def paste_shadow(
    image: Image, sprite: Image, x: int, y: int, dx: int, dy: int, depth: float
) -> None:
    """Darken `image` in place by the soft shadow of a sprite at (x, y), moved by (dx, dy) pixels.

    `depth` in [0, 1] is the share of light that the shadow's middle loses.
    """
    pad = max(2, min(sprite.shape[:2]) // 6)
    alpha = cv2.copyMakeBorder(sprite[..., 3], pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    soft = cv2.blur(alpha, (pad, pad))
    there, here = overlap(image.shape[0], image.shape[1], soft, x + dx - pad, y + dy - pad)
    if soft[here].size == 0:
        return
    keep = cv2.convertScaleAbs(soft[here], alpha=depth)
    keep = cv2.cvtColor(255 - keep, cv2.COLOR_GRAY2RGB)
    image[there] = cv2.multiply(image[there], keep, scale=1 / 255)


def boxes_of(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Tight boxes [N, 4] (x0, y0, x1, y1; the far sides exclusive) of masks [N, H, W].

    An empty mask gives (0, 0, 0, 0).
    """
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
        box[:] = left, top, left + width, top + height
    return boxes


def add_noise(rng: np.random.Generator, image: Image, sigma: float) -> Image:
    """`image` with sensor noise of standard deviation `sigma` in grey levels, a new array."""
    # The sum of two bytes is triangular, near enough to a bell, and ten times as fast to draw.
    count = image.size
    raw = np.frombuffer(rng.bytes(2 * count), np.uint8)
    first, second = raw[:count].reshape(image.shape), raw[count:].reshape(image.shape)
    scale = sigma / 104.2  # that sum's own standard deviation: 255 / sqrt(6)
    noise = cv2.addWeighted(first, scale, second, scale, 0, dtype=cv2.CV_32F)
    return cv2.addWeighted(image, 1, noise, 1, -255 * scale, dtype=cv2.CV_8U)
