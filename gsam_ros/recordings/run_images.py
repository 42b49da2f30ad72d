"""The camera images of a run, as arrays."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import numpy as np

from gsam_ros.bridge.compressed_images import decode_compressed_image
from gsam_ros.bridge.images import decode_image
from gsam_ros.instances import Frame
from gsam_ros.pipeline.drops import BadFrameError
from gsam_ros.recordings.bag import BagError, BagReader, open_bag
from gsam_ros.recordings.run_folder import read_run
from gsam_ros.recordings.sources import SourceError, open_source
from gsam_ros.recordings.sources.image_topics import COMPRESSED, RAW, camera_of
from gsam_ros.recordings.stamps import stamp_of


class NoImageError(BagError):
    """Images that are wanted and are not in the recording; the message names it and the first."""


def frames_of(place: Path, camera: str, stamps: Container[int]) -> Iterator[tuple[int, np.ndarray]]:
    """(stamp in nanoseconds, [H, W, 3] uint8 RGB) of some images of one camera.

    Args:
        place: the bag that was played, or the folder of a run of `gsam track`, which knows its
            source.
        camera: its name.
        stamps: of the images to decode.

    Raises:
        NoImageError: there are no images of the camera.
        BagError: they can't be read.
    """
    run = read_run(place) if place.is_dir() else None
    if run:
        yield from _from_source(place, run, camera, stamps)
        return
    with open_bag(place, salvage=True) as bag:
        topics = [t for t, kind in bag.topics.items() if kind in (RAW, COMPRESSED)]
        own = [topic for topic in topics if camera_of(topic) == camera and bag.count([topic])]
        if not own:
            told = f"it has images on {', '.join(topics)}" if topics else "it has no images at all"
            raise NoImageError(f"{place} has no images of the camera {camera!r}: {told}")
        raw_first = sorted(own, key=lambda topic: bag.topics[topic] == COMPRESSED)
        yield from read_images(bag, raw_first[0], stamps)


def check_found(place: Path, camera: str, wanted: Iterable[int], found: Container[int]) -> None:
    """Refuse to go on without an image that is needed.

    Args:
        place: where it was looked for, see `frames_of`.
        camera: its name.
        wanted: stamps of images.
        found: stamps of those that were there.

    Raises:
        NoImageError: one was not.
    """
    for stamp in wanted:
        if stamp not in found:
            raise NoImageError(
                f"{place} has no image of the camera {camera!r} at {stamp / 1e9:.3f} s, of which "
                "the run has results: give with --images the recording that the run was made of"
            )


def read_images(
    bag: BagReader, topic: str, stamps: Container[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """(stamp in nanoseconds, [H, W, 3] uint8 RGB) of a topic's images, raw or compressed.

    Args:
        bag: the recording.
        topic: of the images.
        stamps: the images to decode; by default all.

    Raises:
        BagError: the bag is damaged, or an image can't be decoded.
    """
    decode = decode_compressed_image if bag.topics[topic] == COMPRESSED else decode_image
    for message in bag.readable(topic):
        stamp = stamp_of(message.header)
        if stamps is not None and stamp not in stamps:
            continue
        try:
            yield stamp, decode(message)
        except BadFrameError as error:
            raise BagError(
                f"{bag.path}: the image of {topic} at {stamp / 1e9:.3f} s can't be read: {error}"
            ) from error


def _from_source(
    place: Path, run: dict, camera: str, stamps: Container[int]
) -> Iterator[tuple[int, np.ndarray]]:
    told = run["source"]
    if "path" not in told:
        raise BagError(f"the images of {place} came from a camera and are gone")
    try:
        source = open_source(told["path"], told.get("topics", ()))
        for item in source.items():
            # An only camera may have got the name that the truth has for it.
            own = len(source.cameras) == 1 or item.camera == camera  # type: ignore[union-attr]
            if isinstance(item, Frame) and own and item.stamp in stamps:
                yield item.stamp, item.image
    except SourceError as error:
        raise BagError(f"the images of {place} can't be read: {error}") from error
