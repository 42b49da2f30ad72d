"""Masks as the model gives them: low-resolution logits, turned into pixels where someone asks.

A model's mask covers the whole image at a quarter of the model's own resolution; that of a small
object may come from a crop around it. Only the part of an object's own region is ever enlarged, so
the price of pixels follows the objects' size and not the image's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

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
        return Masks(self.logits[index], self.height, self.width, closeups)

    @cached_property
    def regions(self) -> list[Region]:
        """Each mask at the image's resolution, cut to where it may be positive."""
        closeups = self.closeups or (None,) * len(self)
        return [
            self._enlarge_closeup(closeup)
            if closeup
            else self._enlarge(logits, self.height, self.width)
            for logits, closeup in zip(self.logits, closeups, strict=True)
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
        best = np.zeros((self.height, self.width), np.float32)
        for value, region in zip(values, self.regions, strict=True):
            window = region.window
            wins = region.logits > best[window]
            best[window][wins] = region.logits[wins]
            image[window][wins] = value
        return image

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
        vertical = _interpolation(top, bottom, logits.shape[0], height)
        horizontal = _interpolation(left, right, logits.shape[1], width)
        return Region(top, left, vertical @ logits.astype(np.float32, copy=False) @ horizontal.T)


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


def _interpolation(start: int, stop: int, cell_count: int, size: int) -> np.ndarray:
    """[stop - start, cell_count] float32: the weight of each cell in each pixel."""
    position = (np.arange(start, stop) + 0.5) * (cell_count / size) - 0.5
    position = np.clip(position, 0, cell_count - 1)
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, cell_count - 1)
    fraction = (position - lower).astype(np.float32)
    weights = np.zeros((stop - start, cell_count), np.float32)
    pixel = np.arange(stop - start)
    np.add.at(weights, (pixel, lower), 1 - fraction)
    np.add.at(weights, (pixel, upper), fraction)
    return weights


def _encode(region: Region, height: int, width: int) -> str:
    """The run lengths of one mask, found in its own window instead of the whole image.

    COCO counts pixels column by column: background, object, background, ...
    """
    inside = np.zeros((region.logits.shape[1], region.logits.shape[0] + 2), np.int8)
    inside[:, 1:-1] = region.logits.T > 0
    change = np.diff(inside, axis=1)
    edges = []
    for direction in (1, -1):
        column, row = np.nonzero(change == direction)
        edges.append((region.left + column) * height + region.top + row)
    starts, ends = edges
    # A run that reaches the foot of a column may go on at the head of the next.
    apart = starts[1:] != ends[:-1]
    starts, ends = starts[np.r_[True, apart][: len(starts)]], ends[np.r_[apart, True][: len(ends)]]
    borders = np.stack([starts, ends], axis=1).ravel()
    if not len(borders) or borders[-1] < height * width:
        borders = np.append(borders, height * width)
    counts = np.diff(borders, prepend=0)
    runs = {"size": [height, width], "counts": counts.tolist()}
    return coco_mask.frPyObjects(runs, height, width)["counts"].decode("ascii")
