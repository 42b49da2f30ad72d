"""Which topics of a bag are camera images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gsam_ros.recordings.bag import BagReader
from gsam_ros.recordings.sources.source import SourceError

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
_DEPTH = ("16UC1", "32FC1")
_ENDINGS = ("/compressed", "/image_rect_color", "/image_rect", "/image_color", "/image_raw",
            "/image_mono", "/image")  # fmt: skip


def choose_topics(bag: BagReader, wanted: Sequence[str]) -> tuple[str, ...]:
    """The image topics to read.

    Args:
        bag: the recording.
        wanted: their names; none: the only one that there is. A topic `X/compressed` beside `X` is
            the same camera once more, and depth images are no camera's where others are there.

    Raises:
        SourceError: a name that is not there or of another type, no image, or several cameras to
            choose from.
    """
    images = {topic: kind for topic, kind in bag.topics.items() if kind in (RAW, COMPRESSED)}
    for topic in wanted:
        if topic in images:
            continue
        if topic in bag.topics:
            raise SourceError(
                f"{bag.path}: {topic} is of type {bag.topics[topic]}, which is no image: "
                f"{_listed(sorted(images))}"
            )
        raise SourceError(f"{bag.path} has no images on {topic}: {_listed(sorted(images))}")
    if wanted:
        return tuple(dict.fromkeys(wanted))
    full = {topic for topic in images if bag.count([topic])}
    if not full:
        empty = f" ({', '.join(sorted(images))} hold no message)" if images else ""
        raise SourceError(f"{bag.path} has no images{empty}; {_topics(bag.topics)}")
    candidates = {t for t in full if t.removesuffix("/compressed") not in full - {t}}
    if len(candidates) > 1:
        candidates = {t for t in candidates if not _is_depth(bag, t)} or candidates
    if len(candidates) > 1:
        raise SourceError(
            f"{bag.path}: choose with --topic, once per camera: {_listed(sorted(full))}"
        )
    return tuple(candidates)


def camera_of(topic: str) -> str:
    """The camera of an image topic, as the node's parameter `cameras` calls it.

    >>> camera_of("/left/image/compressed"), camera_of("/camera/color/image_raw")
    ('left', 'camera/color')
    >>> camera_of("/image"), camera_of("/usb_cam")
    ('', 'usb_cam')
    """
    name = topic
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name.strip("/")


def camera_names(path: Path, topics: Sequence[str]) -> dict[str, str]:
    """Topic to camera.

    Raises:
        SourceError: two topics are of one camera.
    """
    names = {topic: camera_of(topic) for topic in topics}
    if len(set(names.values())) < len(names):
        raise SourceError(
            f"{path}: {' and '.join(topics)} are of one camera: choose one of them with --topic"
        )
    return names


def _is_depth(bag: BagReader, topic: str) -> bool:
    """Whether the first message that can be read says so."""
    message = next(bag.readable(topic), None)
    if message is None:
        return False
    if bag.topics[topic] == RAW:
        return message.encoding in _DEPTH
    return "compressedDepth" in message.format or message.format.startswith(_DEPTH)


def _listed(topics: Sequence[str]) -> str:
    return f"it has images on {', '.join(topics)}" if topics else "it has no images at all"


def _topics(topics: dict[str, str]) -> str:
    if not topics:
        return "it has no topics at all"
    return "its topics are " + ", ".join(f"{name} ({kind})" for name, kind in topics.items())
