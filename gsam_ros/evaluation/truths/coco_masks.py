"""Segmentations of COCO as compressed run lengths, checked before pycocotools gets them.

It checks next to nothing itself: a coordinate that is no number takes all memory, and run lengths
that don't fit their image end the process.
"""

from __future__ import annotations

import reprlib
from typing import Any

from pycocotools import mask as coco_mask

from gsam_ros.evaluation.rle import Rle, RleError, check_rle

_REACH = 2  # image sizes by which a polygon may leave its image


def coco_rle(segmentation: list[Any] | dict[str, Any], size: tuple[int, int]) -> Rle:
    """Polygons, runs or compressed runs as compressed runs.

    Args:
        segmentation: as it stands in a COCO file.
        size: (height, width) of its image.

    Raises:
        RleError: it is none of these, or does not fit the image.
    """
    if isinstance(segmentation, list):
        for polygon in segmentation:
            _check_polygon(polygon, size)
        return _compressed(coco_mask.merge(coco_mask.frPyObjects(segmentation, *size)))
    told, counts = segmentation.get("size"), segmentation.get("counts")
    if told != list(size):
        raise RleError(
            f"its mask has the size {reprlib.repr(told)}, and its image [height, width] = "
            f"{list(size)}"
        )
    if isinstance(counts, list):
        _check_runs(counts, size)
        return _compressed(coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size))
    if not isinstance(counts, str):
        raise RleError(f"its counts are {reprlib.repr(counts)}, and neither a list nor a text")
    mask = {"size": list(size), "counts": counts}
    check_rle(mask)
    return mask


def _check_polygon(polygon: Any, size: tuple[int, int]) -> None:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise RleError(
            f"a polygon is {reprlib.repr(polygon)}, and has to be [x, y, x, y, x, y, ...] of at "
            "least three points"
        )
    reach = _REACH * max(size)
    for value in polygon:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -reach <= value <= max(size) + reach:
            raise RleError(
                f"a polygon goes to {reprlib.repr(value)}, far from its image of "
                f"{size[1]}x{size[0]} pixels"
            )


def _check_runs(counts: list[Any], size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    for value in counts:
        number = isinstance(value, int) and not isinstance(value, bool)
        if not number or not 0 <= value <= pixels:
            raise RleError(f"a run of its mask has the length {reprlib.repr(value)}")
    if sum(counts) != pixels:
        raise RleError(f"the runs of its mask are of {sum(counts)} pixels, its image of {pixels}")


def _compressed(encoded: Any) -> Rle:
    return {
        "size": [int(edge) for edge in encoded["size"]],
        "counts": encoded["counts"].decode("ascii"),
    }
