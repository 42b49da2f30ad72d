"""Masks as the model gives them: low-resolution logits, turned into pixels where someone asks.

A model's mask covers the whole image at a quarter of the model's own resolution; that of a small
object may come from a crop around it. Only the part of an object's own region is ever enlarged, so
the price of pixels follows the objects' size and not the image's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from pycocotools import mask as coco_mask


@dataclass(frozen=True)
class Region:
    """The window of one mask: `logits[y, x]` belongs to pixel `(left + x, top + y)`."""

    top: int
    left: int
    logits: np.ndarray  # [h, w] float32, object where > 0

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.logits.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Top, left, bottom and right of the window; the last two are not in it."""
        height, width = self.logits.shape
        return self.top, self.left, self.top + height, self.left + width

    def within(self, top: int, left: int, bottom: int, right: int) -> tuple[slice, slice]:
        """Where these pixels, all of them in the window, lie in `logits`."""
        return (
            slice(top - self.top, bottom - self.top),
            slice(left - self.left, right - self.left),
        )


@dataclass(frozen=True)
class Closeup:
    """A mask on a part of the image.

    Attributes:
        logits: [h, w] float32; object where > 0. They cover the part, at any resolution.
        left: of the part, pixels of the image.
        top: likewise.
        right: likewise; the first column that is not in it.
        bottom: likewise; the first row that is not in it.
    """

    logits: np.ndarray
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Masks:
    """Masks of N objects of one image.

    Attributes:
        logits: [N, h, w] float32; object where > 0. They cover the whole image, at any resolution.
        height: of the image, pixels.
        width: of the image, pixels.
        closeups: [N] what stands in for `logits`, None where nothing does; empty: nowhere.
    """

    logits: np.ndarray
    height: int
    width: int
    closeups: tuple[Closeup | None, ...] = ()
    _empty: Region = field(
        default=Region(0, 0, np.zeros((0, 0), np.float32)), repr=False, compare=False
    )

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: np.ndarray) -> Masks:
        """The masks chosen by an index or boolean array."""
        rows = np.arange(len(self))[index]
        closeups = tuple(self.closeups[row] for row in rows) if self.closeups else ()
        chosen = Masks(self.logits[index], self.height, self.width, closeups)
        if "regions" in vars(self):  # what is enlarged already
            vars(chosen)["regions"] = [self.regions[row] for row in rows]
        return chosen

    @property
    def each_closeup(self) -> tuple[Closeup | None, ...]:
        """[N], also where nothing stands in for any of the logits."""
        return self.closeups or (None,) * len(self)

    @cached_property
    def regions(self) -> list[Region]:
        """Each mask at the image's resolution, cut to where it may be positive."""
        return [
            self._enlarge_closeup(closeup)
            if closeup
            else self._enlarge(logits, self.height, self.width)
            for logits, closeup in zip(self.logits, self.each_closeup, strict=True)
        ]

    @cached_property
    def boxes(self) -> np.ndarray:
        """[N, 4] float32 xyxy in pixels, tight around each mask; zeros where a mask is empty."""
        boxes = np.zeros((len(self), 4), np.float32)
        for row, region in enumerate(self.regions):
            inside = region.logits > 0
            rows, columns = _occupied(inside)
            if len(rows):
                boxes[row] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
                boxes[row] += (region.left, region.top, region.left, region.top)
        return boxes

    @cached_property
    def areas(self) -> np.ndarray:
        """[N] int64 pixels of each mask."""
        return np.array([np.count_nonzero(r.logits > 0) for r in self.regions], np.int64)

    def pixels(self) -> np.ndarray:
        """[N, height, width] bool."""
        pixels = np.zeros((len(self), self.height, self.width), bool)
        for mask, region in zip(pixels, self.regions, strict=True):
            mask[region.window] = region.logits > 0
        return pixels

    def paint(self, values: np.ndarray, dtype: type[np.generic]) -> np.ndarray:
        """[height, width] image with `values[i]` where mask i is; 0 elsewhere.

        Where masks overlap, a pixel goes to the one that is surest of it.
        """
        image = np.zeros((self.height, self.width), dtype)
        for value, region, wins in zip(values, self.regions, self._wins, strict=True):
            np.copyto(image[region.window], dtype(value), where=wins)
        return image

    @cached_property
    def _wins(self) -> list[np.ndarray]:
        """Of each region [h, w] bool, where it is surer of a pixel than all before it."""
        bounds = np.array([region.bounds for region in self.regions]).reshape(-1, 4)
        corner = np.maximum(bounds[:, None, :2], bounds[None, :, :2])
        opposite = np.minimum(bounds[:, None, 2:], bounds[None, :, 2:])
        meet = (corner < opposite).all(-1)
        wins: list[np.ndarray] = []
        for number, region in enumerate(self.regions):
            own = region.logits > 0
            for other in np.flatnonzero(meet[number, :number]):
                shared = *corner[number, other].tolist(), *opposite[number, other].tolist()
                rival = self.regions[other]
                here, there = region.within(*shared), rival.within(*shared)
                own[here] &= region.logits[here] > rival.logits[there]
            wins.append(own)
        return wins

    def rle(self) -> list[str]:
        """COCO compressed run-length encodings (`counts`) of size [height, width]."""
        return [_encode(region, self.height, self.width) for region in self.regions]

    def _enlarge_closeup(self, part: Closeup) -> Region:
        region = self._enlarge(part.logits, part.bottom - part.top, part.right - part.left)
        return Region(part.top + region.top, part.left + region.left, region.logits)

    def _enlarge(self, logits: np.ndarray, height: int, width: int) -> Region:
        """Bilinear interpolation with half-pixel centres (torch's `align_corners=False`).

        It is separable, so a window of the image is two small matrix products. A pixel can only be
        positive within one cell of a positive logit, which bounds the window exactly.
        """
        rows, columns = _occupied(logits > 0)
        if not len(rows):
            return self._empty
        top, bottom = _pixels_near(rows, logits.shape[0], height)
        left, right = _pixels_near(columns, logits.shape[1], width)
        vertical, upper = _interpolation(top, bottom, logits.shape[0], height)
        horizontal, inner = _interpolation(left, right, logits.shape[1], width)
        cells = logits[upper, inner].astype(np.float32, copy=False)
        return Region(top, left, vertical @ cells @ horizontal.T)


def _occupied(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices, ascending, of the rows and of the columns that hold any true cell."""
    return np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))


def _pixels_near(cells: np.ndarray, cell_count: int, size: int) -> tuple[int, int]:
    """The half-open range of pixels whose interpolation reaches any of `cells` (ascending)."""
    scale = size / cell_count
    return (
        max(0, int(np.floor((cells[0] - 0.5) * scale - 0.5))),
        min(size, int(np.ceil((cells[-1] + 1.5) * scale + 0.5))),
    )


def _interpolation(start: int, stop: int, cell_count: int, size: int) -> tuple[np.ndarray, slice]:
    """What pixels from `start` to `stop` are made of.

    Returns:
        [stop - start, n] float32, the weight of each of n cells in each pixel, and which cells.
    """
    weights, lower = _weights(cell_count, size)
    cells = slice(int(lower[start]), int(lower[stop - 1]) + 2)
    return weights[start:stop, cells], cells


@lru_cache(maxsize=64)
def _weights(cell_count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The weight of each cell in each pixel.

    Returns:
        [size, cell_count] float32, and [size] the first of the two cells of each pixel.
    """
    position = (np.arange(size) + 0.5) * (cell_count / size) - 0.5
    position = np.clip(position, 0, cell_count - 1)
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, cell_count - 1)
    fraction = (position - lower).astype(np.float32)
    weights = np.zeros((size, cell_count), np.float32)
    pixel = np.arange(size)
    np.add.at(weights, (pixel, lower), 1 - fraction)
    np.add.at(weights, (pixel, upper), fraction)
    return weights, lower


def _encode(region: Region, height: int, width: int) -> str:
    """The run lengths of one mask, found in its own window instead of the whole image.

    COCO counts pixels column by column: background, object, background, ...
    """
    tall, wide = region.logits.shape
    inside = np.zeros((tall + 2, wide), bool)
    np.greater(region.logits, 0, out=inside[1:-1])
    row, column = np.divmod(np.flatnonzero(inside[1:] != inside[:-1]), max(wide, 1))
    # Sorted, they are the begins and ends of runs in turn.
    borders = np.sort((region.left + column) * height + region.top + row)
    # A run that reaches the foot of a column may go on at the head of the next.
    differs = borders[1:] != borders[:-1]
    borders = borders[
        np.append(True, differs)[: len(borders)] & np.append(differs, True)[: len(borders)]
    ]
    if not len(borders) or borders[-1] < height * width:
        borders = np.append(borders, height * width)
    counts = np.diff(borders, prepend=0)
    runs = {"size": [height, width], "counts": counts.tolist()}
    return coco_mask.frPyObjects(runs, height, width)["counts"].decode("ascii")
