"""Camera images out of bags, as arrays."""

from __future__ import annotations

from collections.abc import Container, Iterator

import numpy as np

from gsam_ros.bridge.compressed_images import decode_compressed_image
from gsam_ros.bridge.images import decode_image
from gsam_ros.evaluation.bag import BagError, BagReader
from gsam_ros.evaluation.objects import stamp_of
from gsam_ros.evaluation.sources.image_topics import COMPRESSED
from gsam_ros.pipeline.runner import BadFrameError


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
    for message in bag.messages(topic):
        stamp = stamp_of(message.header)
        if stamps is not None and stamp not in stamps:
            continue
        try:
            yield stamp, decode(message)
        except BadFrameError as error:
            raise BagError(
                f"{bag.path}: the image of {topic} at {stamp / 1e9:.3f} s can't be read: {error}"
            ) from error
