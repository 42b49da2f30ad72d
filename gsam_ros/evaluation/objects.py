"""Objects of one frame as a bag tells them: the truth, or an answer to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from gsam_ros.evaluation.bag import BagError, BagReader

Rle = dict[str, Any]
"""COCO's compressed run-length encoding: `{"size": [height, width], "counts": str}`."""

_LONGEST_NUMBER = 7  # characters of 5 bits: a run of 32 bits with its sign


class RleError(ValueError):
    """A mask that can't be one; the message says why, and who catches it says which."""


@dataclass(frozen=True)
class FrameObjects:
    """What one InstanceArray says of one frame.

    Attributes:
        camera: name of the camera.
        stamp: nanoseconds, of the image.
        ids: [N] int64, track ids; of the truth: which object of the world.
        phrases: N names.
        scores: [N] float32 in [0, 1]; of the truth: the visible share of the object.
        boxes: [N, 4] float32 xyxy, pixels, around the visible part.
        masks: N run-length encodings of the visible part.
        states: [N] uint8, `gsam_ros.instances.TrackState`.
        prompt_version: the prompt that was answered; 0: none, or a truth.
    """

    camera: str
    stamp: int
    ids: np.ndarray
    phrases: tuple[str, ...]
    scores: np.ndarray
    boxes: np.ndarray
    masks: tuple[Rle, ...]
    states: np.ndarray
    prompt_version: int = 0

    def __len__(self) -> int:
        return len(self.phrases)


def stamp_of(header: Any) -> int:
    """Nanoseconds of a std_msgs/Header."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def objects_of(message: Any, camera: str) -> FrameObjects:
    """A gsam_ros/InstanceArray as plain data."""
    found = message.instances
    boxes = np.zeros((len(found), 4), np.float32)
    for row, instance in zip(boxes, found, strict=True):
        centre, box = instance.bbox.center.position, instance.bbox
        row[:] = (
            centre.x - box.size_x / 2,
            centre.y - box.size_y / 2,
            centre.x + box.size_x / 2,
            centre.y + box.size_y / 2,
        )
    return FrameObjects(
        camera,
        stamp_of(message.header),
        np.array([i.track_id for i in found], np.int64),
        tuple(i.phrase for i in found),
        np.array([i.score for i in found], np.float32),
        boxes,
        tuple({"size": [i.mask.height, i.mask.width], "counts": i.mask.counts} for i in found),
        np.array([i.state for i in found], np.uint8),
        int(message.prompt_version),
    )


def read_objects(bag: BagReader, topic: str, camera: str) -> Iterator[FrameObjects]:
    """The frames of an InstanceArray topic, in the order of their recording.

    Raises:
        BagError: the bag is damaged, or an object is none that could be scored. Single messages
            that are damaged get left out, and are counted there.
    """
    for message in bag.readable(topic):
        objects = objects_of(message, camera)
        try:
            _check(objects)
        except RleError as error:
            raise BagError(
                f"{bag.path}: {topic} at {objects.stamp / 1e9:.3f} s: {error}"
            ) from error
        yield objects


def _check(objects: FrameObjects) -> None:
    """Refuse masks that can't be read, and figures that can't be compared."""
    for number, mask in enumerate(objects.masks):
        try:
            check_rle(mask)
        except RleError as error:
            raise RleError(f"instances[{number}]: {error}") from error
    sizes = {tuple(mask["size"]) for mask in objects.masks}
    if len(sizes) > 1:
        told = " and ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise RleError(f"masks of one image have {told} pixels")
    if not (np.isfinite(objects.boxes).all() and np.isfinite(objects.scores).all()):
        raise RleError("a box or a score is no finite number")


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


def filled_boxes(boxes: np.ndarray, height: int, width: int) -> tuple[Rle, ...]:
    """Masks of [N, 4] xyxy boxes, for a truth that has no masks, so that it can be drawn."""
    if not len(boxes):
        return ()
    corners = np.clip(boxes, 0, (width, height, width, height)).astype(np.float64)
    corners[:, 2:] -= corners[:, :2]
    encoded = coco_mask.frPyObjects(corners, height, width)
    return tuple(
        {"size": [height, width], "counts": rle["counts"].decode("ascii")} for rle in encoded
    )


def some_of(objects: FrameObjects, rows: np.ndarray) -> FrameObjects:
    """The objects chosen by an index or boolean array."""
    chosen = np.arange(len(objects))[rows].tolist()
    return replace(
        objects,
        ids=objects.ids[rows],
        phrases=tuple(objects.phrases[i] for i in chosen),
        scores=objects.scores[rows],
        boxes=objects.boxes[rows],
        masks=tuple(objects.masks[i] for i in chosen),
        states=objects.states[rows],
    )
