"""Objects of one frame as a bag tells them: the truth, or an answer to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from gsam_ros.evaluation.rle import Rle, RleError, check_rle
from gsam_ros.recordings.bag import BagError, BagReader
from gsam_ros.recordings.stamps import stamp_of


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
