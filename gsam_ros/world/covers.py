"""Things without a name that hide a part of what stands behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gsam_ros.world.blobs import draw_bar_sprite, draw_blob_sprite
from gsam_ros.world.compose import Image, Owner, paste
from gsam_ros.world.placement import leaves_enough

COVER = -2
"""What the owner of a pixel is called where a cover is to be seen."""
_TRIES = 8
_LEAST = 8  # pixels of a cover's side


def lay_over(
    rng: np.random.Generator, image: Image, owner: Owner, full: list[int], index: int
) -> None:
    """Lay a bar or a blob on a part of object `index`, at a place where all stay visible enough.

    `full[i]` is the number of pixels of object i were nothing in its way. Nothing is laid where no
    such place turns up.
    """
    rows, columns = np.nonzero(owner == index)
    side = max(np.ptp(rows), np.ptp(columns))
    size = max(round(side * rng.uniform(0.6, 1.4)), _LEAST)
    cover = _draw_cover(rng, size)
    for _ in range(_TRIES):
        under = rng.integers(len(rows))
        x, y = (int(where[under] - rng.uniform(0, size)) for where in (columns, rows))
        if leaves_enough(owner, cover, x, y, full):
            paste(image, owner, cover, x, y, COVER)
            return


def _draw_cover(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    draw = draw_bar_sprite if rng.random() < 0.5 else draw_blob_sprite
    return draw(rng, size)
