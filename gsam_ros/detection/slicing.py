"""Where a large image is cut into tiles (SAHI, Akyon et al., arXiv 2202.06934).

The model shrinks an image to the size that it was trained on, and small objects vanish. A tile is
shrunk less, or not at all. The grid is that of the `sahi` package, and a test holds it against it.
"""

from __future__ import annotations

import numpy as np

from gsam_ros.detection.settings import SliceSettings

_MARGIN = 3
"""Pixels from the tile's border at which a box counts as cut: detectors don't hit it exactly."""

Size = tuple[int, int]
"""(height, width) in pixels."""


def views(size: Size, seen: Size, edge: int, settings: SliceSettings) -> np.ndarray:
    """The parts of an image that the model looks at, each by itself.

    Args:
        size: of the image.
        seen: of the image as the model would see it whole.
        edge: the shorter side of what the model takes as it is.
        settings: whether and how to cut.

    Returns:
        [V, 4] int64 (x0, y0, x1, y1) in pixels of the image, far sides exclusive.
    """
    whole = np.array([[0, 0, size[1], size[0]]])
    if settings.mode == "never":
        return whole
    if settings.mode == "auto" and min(size) <= settings.shrink * min(seen):
        return whole
    height = min(settings.height or edge, size[0])
    width = min(settings.width or edge * 4 // 3, size[1])
    if (height, width) == size:
        return whole
    cut = tiles(size, (height, width), settings.overlap)
    return np.concatenate([whole, cut]) if settings.full_image else cut


def tiles(size: Size, tile: Size, overlap: float) -> np.ndarray:
    """The tiles of an image, row by row.

    All have the same size; those at the far borders are moved back into the image.

    Args:
        size: of the image.
        tile: of a tile, no side larger than the image's.
        overlap: share of a tile that its neighbour sees as well.

    Returns:
        [T, 4] int64 (x0, y0, x1, y1), far sides exclusive.
    """
    rows = _starts(size[0], tile[0], overlap)
    columns = _starts(size[1], tile[1], overlap)
    corners = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2)
    return np.concatenate([corners, corners + np.array([tile[1], tile[0]])], 1)


def _starts(length: int, tile: int, overlap: float) -> np.ndarray:
    """First pixel of each tile along one side."""
    step = tile - int(overlap * tile)
    count = -(-(length - tile) // step) + 1
    return np.minimum(np.arange(count) * step, length - tile)


def cut_off(boxes: np.ndarray, view: np.ndarray, size: Size) -> np.ndarray:
    """[N] bool, whether a box may be a piece of an object that goes on outside of its tile.

    It ends within a few pixels of a border of the tile that is not the image's own.

    Args:
        boxes: [N, 4] xyxy in pixels of the image.
        view: [4] the tile in which they were found.
        size: of the image.
    """
    inner = view != (0, 0, size[1], size[0])
    return ((np.abs(boxes - view) <= _MARGIN) & inner).any(1)
