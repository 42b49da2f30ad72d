"""Truth out of a bag: the sample recording's, or topics of somebody else's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from gsam_ros.evaluation.objects import FrameObjects, filled_boxes, read_objects
from gsam_ros.evaluation.pairing import PromptChange
from gsam_ros.evaluation.run_results import RunResults
from gsam_ros.evaluation.truths.truth_data import (
    Truth,
    TruthError,
    camera_of,
    check_boxes,
    check_frames,
    check_ids,
    image_size,
)
from gsam_ros.instances import TrackState
from gsam_ros.prompts import PromptError
from gsam_ros.recordings.bag import BagReader, open_bag
from gsam_ros.recordings.result_messages import DETECTIONS, INSTANCES
from gsam_ros.recordings.result_topics import NODE
from gsam_ros.recordings.sources.image_topics import COMPRESSED, RAW
from gsam_ros.recordings.sources.image_topics import camera_of as filmed_by
from gsam_ros.recordings.stamps import stamp_of

PROMPT_TOPIC = "/prompt"
_ENDINGS = ("/truth", "/ground_truth", "/instances", "/detections")


def bag_truth(
    path: Path, results: RunResults, topics: Sequence[str] = (), camera: str | None = None
) -> Truth:
    """The truth in a bag.

    By default that is in topics `NAME/truth` of type InstanceArray; where there are none, in the
    only InstanceArray or Detection2DArray of each camera. `NAME` is the camera.

    Args:
        path: of the bag.
        results: of the run.
        topics: where the truth is.
        camera: of the run, which alone the bag is to speak of; None: of all that have its names.

    Raises:
        BagError: the bag can't be read.
        TruthError: it has no truth, or one of another size or of other cameras, or one that tells
            of a frame, or shows an object in a frame, twice.
    """
    with open_bag(path, salvage=True) as bag:
        chosen = {topic: camera_name(topic) for topic in _topics(bag, topics)}
        if camera is not None:
            chosen = _of_one(chosen, camera_of(results, camera, path).name, path)
        own = all(topic.endswith("/truth") for topic in chosen)
        boxes_only = any(bag.topics[topic] == DETECTIONS for topic in chosen)
        told: list[tuple[FrameObjects, str]] = []
        images = {}
        for topic, name in chosen.items():
            told += [(one, f"{path}: {topic}") for one in _objects(bag, topic, results, name)]
            stamps = _image_stamps(bag, camera_name(topic))
            if stamps:
                images[name] = stamps
        prompts = _prompts(bag) if own else None
        problems = tuple(bag.problems)
        seconds = bag.seconds
    check_frames((objects.camera, objects.stamp, place) for objects, place in told)
    for objects, place in told:
        check_ids(objects, f"{place} at {objects.stamp / 1e9:.3f} s")
    frames = tuple(objects for objects, _ in told)
    return Truth(path, frames, not own, boxes_only, images, prompts, seconds, problems=problems)


def camera_name(topic: str) -> str:
    """The camera that a topic of truth or results is about.

    >>> camera_name("/left/truth"), camera_name("/gsam_node/left/instances")
    ('left', 'left')
    """
    for ending in _ENDINGS:
        topic = topic.removesuffix(ending)
    return topic.removeprefix(NODE).strip("/")


def _topics(bag: BagReader, wanted: Sequence[str]) -> list[str]:
    kinds = (INSTANCES, DETECTIONS)
    for topic in wanted:
        if bag.topics.get(topic) not in kinds:
            kind = bag.topics.get(topic)
            told = f"is of type {kind}" if kind else f"is not there; it has {_all(bag)}"
            raise TruthError(
                f"{bag.path}: {topic} {told}; truth is of type {INSTANCES} or {DETECTIONS}"
            )
    if wanted:
        return list(wanted)
    marked = [t for t, kind in bag.topics.items() if t.endswith("/truth") and kind in kinds]
    if marked:
        return sorted(marked)
    for kind in kinds:
        found = sorted(topic for topic, own in bag.topics.items() if own == kind)
        if found and len({camera_name(topic) for topic in found}) == len(found):
            return found
    raise TruthError(
        f"{bag.path} has no truth: no topic NAME/truth of type {INSTANCES} among {_all(bag)}"
    )


def _all(bag: BagReader) -> str:
    return ", ".join(bag.topics) or "no topics at all"


def _of_one(topics: dict[str, str], camera: str, path: Path) -> dict[str, str]:
    """Of topics with their cameras' names, the one of `camera`, or the only one under that name."""
    own = {topic: camera for topic, name in topics.items() if name == camera}
    if not own and len(topics) > 1:
        raise TruthError(
            f"{path} is given as of the camera {camera!r}, and has truth in {', '.join(topics)}: "
            "say which of them it is (--truth-topic)"
        )
    return own or dict.fromkeys(topics, camera)


def _objects(bag: BagReader, topic: str, results: RunResults, name: str) -> Iterator[FrameObjects]:
    """The frames of a topic, as of the camera `name`."""
    if bag.topics[topic] == INSTANCES:
        yield from read_objects(bag, topic, name)
        return
    camera = next((c for c in results.cameras if c.name == name), results.cameras[0])
    size = image_size(camera, bag.path)
    ids: dict[str, int] = {}
    for message in bag.readable(topic):
        found = message.detections
        boxes = np.array([_box(d.bbox) for d in found], np.float32).reshape(-1, 4)
        check_boxes(boxes, size, bag.path)
        yield FrameObjects(
            name,
            stamp_of(message.header),
            # Without an id nothing says that it is the object of another frame.
            np.array([ids.setdefault(d.id or f"#{len(ids)}", len(ids)) for d in found], np.int64),
            tuple(d.results[0].hypothesis.class_id if d.results else "" for d in found),
            np.ones(len(found), np.float32),
            boxes,
            filled_boxes(boxes, *size),
            np.full(len(found), TrackState.CONFIRMED, np.uint8),
        )


def _box(box: object) -> tuple[float, float, float, float]:
    centre = box.center.position  # type: ignore[attr-defined]
    half_x, half_y = box.size_x / 2, box.size_y / 2  # type: ignore[attr-defined]
    return centre.x - half_x, centre.y - half_y, centre.x + half_x, centre.y + half_y


def _prompts(bag: BagReader) -> tuple[PromptChange, ...] | None:
    """The prompts of the bag that could be used, in order; None where it has none."""
    if PROMPT_TOPIC not in bag.topics:
        return None
    changes = []
    for record in bag.records([PROMPT_TOPIC]):
        try:
            changes.append(PromptChange.of(record.time, bag.decode(record).data))
        except PromptError:
            continue  # as for the node, which rejected it: the one before stayed in force
    return tuple(changes)


def _image_stamps(bag: BagReader, camera: str) -> tuple[int, ...]:
    """Stamps of a camera's images in nanoseconds, read without decoding the pixels.

    A header comes first in its message: 4 bytes that tell the byte order, then the seconds and
    the nanoseconds.
    """
    for topic, kind in bag.topics.items():
        if kind not in (RAW, COMPRESSED) or filmed_by(topic) != camera:
            continue
        stamps = []
        for record in bag.records([topic]):
            order: Literal["little", "big"] = "little" if record.data[1] & 1 else "big"
            seconds = int.from_bytes(record.data[4:8], order, signed=True)
            stamps.append(seconds * 10**9 + int.from_bytes(record.data[8:12], order))
        return tuple(stamps)
    return ()
