"""Whether two runs on the same recording gave the same results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gsam_ros.evaluation.objects import FrameObjects, read_objects
from gsam_ros.recordings.bag import BagError, BagReader, open_bag


def compare_runs(first: Path, second: Path, cameras: Sequence[str]) -> Iterator[str]:
    """One sentence for every frame whose ids, phrases or boxes differ; none: the runs are equal.

    Boxes have to be equal to the last bit.

    Raises:
        BagError: a bag is damaged or lacks a camera's results.
    """
    for camera in cameras:
        one, other = _by_stamp(first, camera), _by_stamp(second, camera)
        for stamp in sorted(one.keys() | other.keys()):
            if difference := _difference(one.get(stamp), other.get(stamp)):
                yield f"{camera} at {stamp / 1e9:.3f} s: {difference}"


def _difference(one: FrameObjects | None, other: FrameObjects | None) -> str:
    """What differs between two answers to a frame; "" if nothing does."""
    if one is None or other is None:
        return "answered in one run only"
    if one.ids.tolist() != other.ids.tolist():
        return f"ids {one.ids.tolist()} and {other.ids.tolist()}"
    if one.phrases != other.phrases:
        return f"phrases {one.phrases} and {other.phrases}"
    if not np.array_equal(one.boxes, other.boxes):
        return f"boxes differ by up to {np.abs(one.boxes - other.boxes).max():.3g} pixels"
    return ""


def _by_stamp(path: Path, camera: str) -> dict[int, FrameObjects]:
    with open_bag(path) as bag:
        topic = result_topic(bag, camera, "instances")
        return {objects.stamp: objects for objects in read_objects(bag, topic, camera)}


def result_topic(recorded: BagReader, camera: str, name: str) -> str:
    """The topic of the result bag that holds a camera's results of one kind.

    Raises:
        BagError: there is none.
    """
    ending = f"/{camera}/{name}" if camera else f"/{name}"
    for topic in recorded.topics:
        if topic.endswith(ending):
            return topic
    raise BagError(
        f"{recorded.path} has no topic that ends in {ending}; it has {', '.join(recorded.topics)}"
    )
