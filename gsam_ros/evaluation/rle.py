"""Masks as COCO's compressed run lengths, checked before pycocotools gets them."""

from __future__ import annotations

from typing import Any

import numpy as np

Rle = dict[str, Any]
"""COCO's compressed run-length encoding: `{"size": [height, width], "counts": str}`."""

_LONGEST_NUMBER = 7  # characters of 5 bits: a run of 32 bits with its sign


class RleError(ValueError):
    """A mask that can't be one; the message says why, and who catches it says which."""


def check_rle(mask: Rle) -> None:
    """Refuse a mask that pycocotools, which checks little, would crash on or misread.

    Raises:
        RleError: it has no pixels, `counts` is no compressed text, or its runs don't fill the size.
    """
    height, width = mask["size"]
    if min(height, width) < 1:
        raise RleError(f"its mask has {width}x{height} pixels")
    lengths = _run_lengths(mask["counts"])
    pixels = height * width
    if ((lengths < 0) | (lengths > pixels)).any() or lengths.sum() != pixels:
        raise RleError(f"the runs of its mask don't make up its {width}x{height} pixels")


def _run_lengths(counts: str) -> np.ndarray:
    """[R] int64 lengths of the runs, as pycocotools' `rleFrString` reads them.

    A character holds 5 bits of a number, the lowest first; its sixth says that the number goes on,
    and the fifth of the last character is the sign. From the fourth run on a number is the
    difference to the last run but one.
    """
    digits = np.frombuffer(counts.encode("utf-8", "surrogatepass"), np.uint8).astype(
        np.int64
    ) - ord("0")
    ends = np.flatnonzero(digits & 32 == 0)
    if not len(ends) or ends[-1] != len(digits) - 1 or ((digits < 0) | (digits > 63)).any():
        raise RleError(f"the counts of its mask are no run lengths: {counts[:20]!r}")
    starts = np.append(0, ends[:-1] + 1)
    sizes = ends - starts + 1
    if sizes.max() > _LONGEST_NUMBER:
        raise RleError(f"the counts of its mask hold a run of more than 32 bits: {counts[:20]!r}")
    places = np.arange(len(digits)) - np.repeat(starts, sizes)
    numbers = np.add.reduceat((digits & 31) << (5 * places), starts)
    numbers -= np.where(digits[ends] & 16, 1 << (5 * sizes), 0)
    for first in (1, 2):
        numbers[first::2] = np.cumsum(numbers[first::2])
    return numbers
