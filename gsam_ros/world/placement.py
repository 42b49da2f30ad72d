"""Where a new object may stand so that everything stays visible enough to be named."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.compose import OPAQUE, Owner, overlap

MIN_VISIBLE = 0.3
"""Share of every object that neither the border nor another object hides."""
_TRIES = 8


def find_place(
    rng: np.random.Generator, owner: Owner, sprite: NDArray[np.uint8], full: list[int]
) -> tuple[int, int] | None:
    """Top left pixel (x, y) for `sprite`, painted over what `owner` [H, W] records, or None.

    `full[i]` is the number of pixels of object i were nothing in its way. A place is good if the
    new object and all older ones keep `MIN_VISIBLE` of their pixels. One sprite in five may stick
    out over the border.
    """
    height, width = owner.shape
    size = sprite.shape[0]
    opaque = sprite[..., 3] >= OPAQUE
    total = np.count_nonzero(opaque)
    left_over = np.bincount(owner[owner >= 0], minlength=len(full))
    needed = MIN_VISIBLE * np.array(full)
    for _ in range(_TRIES):
        spill = size * 0.35 if rng.random() < 0.2 else 0.0
        x = int(rng.uniform(-spill, max(width - size + spill, 1)))
        y = int(rng.uniform(-spill, max(height - size + spill, 1)))
        there, here = overlap(height, width, sprite, x, y)
        inside = opaque[here]
        if np.count_nonzero(inside) < MIN_VISIBLE * total:
            continue
        behind = owner[there][inside]
        hidden = np.bincount(behind[behind >= 0], minlength=len(full))
        if (left_over - hidden >= needed).all():
            return x, y
    return None
