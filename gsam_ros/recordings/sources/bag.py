"""Image topics of a rosbag2."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gsam_ros.bridge.compressed_images import decode_compressed_image
from gsam_ros.bridge.images import decode_image
from gsam_ros.instances import Frame
from gsam_ros.pipeline.drops import BadFrameError
from gsam_ros.recordings.bag import (
    BagError,
    BagReader,
    Record,
    is_bag,
    open_bag,
)
from gsam_ros.recordings.sources.image_topics import COMPRESSED, camera_names, choose_topics
from gsam_ros.recordings.sources.source import (
    Item,
    Origin,
    PromptText,
    Source,
    SourceError,
    Unreadable,
)
from gsam_ros.recordings.stamps import stamp_of

__all__ = ["BagSource", "is_bag"]

PROMPT_TOPIC = "/prompt"
_STRING = "std_msgs/msg/String"


class BagSource(Source):
    """Images of one or several topics, raw or compressed, a camera each; prompts if wanted.

    A recording that was cut off is read as far as it goes, and so is one with damage inside.
    """

    def __init__(self, path: Path, topics: Sequence[str] = (), prompts: bool = False) -> None:
        super().__init__()
        self._path = path
        with open_bag(path, salvage=True) as bag:
            self._topics = choose_topics(bag, topics)
            self._names = camera_names(path, self._topics)
            self.cameras = tuple(self._names.values())
            self.length = bag.count(self._topics)
            if not self.length:
                raise SourceError(f"{path} has no message on {', '.join(self._topics)}")
            most = max(bag.count([topic]) for topic in self._topics)
            self.rate = min(max(1.0, (most - 1) / max(bag.seconds, 1e-9)), 1000.0)
            self._prompts = [PROMPT_TOPIC] if prompts else []
            if prompts:
                _check_prompts(bag)

    def items(self, skip: int = 0) -> Iterator[Item]:
        self.problems.clear()
        with open_bag(self._path, salvage=True) as bag:
            told = bag.damage
            if told:
                self.problems.append(told)
            records = bag.records([*self._prompts, *self._topics])
            for count, record in enumerate(records):
                if count >= skip:
                    yield self._item(bag, record)
            if bag.damage != told:
                self.problems.append(bag.damage)

    def identity(self) -> dict[str, Any]:
        files = [self._path] if self._path.is_file() else sorted(self._path.iterdir())
        return {
            "kind": "bag",
            "path": str(self._path.resolve()),
            "topics": list(self._topics),
            "prompts": self._prompts,
            "bytes": sum(file.stat().st_size for file in files),
        }

    def _item(self, bag: BagReader, record: Record) -> Item:
        topic, time = record.topic, record.time
        try:
            message = bag.decode(record)
        except BagError as error:
            reason = f"its bytes are no message of its type: {error.__cause__}"
            return Unreadable(
                self._names.get(topic, self.cameras[0]),
                time,
                Origin(f"{topic}@{time}", time),
                reason,
            )
        if topic not in self._names:
            return PromptText(time, message.data)
        stamp = stamp_of(message.header)
        origin = Origin(f"{topic}@{stamp}", time, message.header.frame_id)
        decode = decode_compressed_image if bag.topics[topic] == COMPRESSED else decode_image
        try:
            # A view of the bag's bytes can't be written to, which torch warns of.
            image = np.require(decode(message), requirements="W")
            return Frame(image, stamp, self._names[topic], origin)
        except BadFrameError as error:
            return Unreadable(self._names[topic], stamp, origin, str(error), error.cause)


def _check_prompts(bag: BagReader) -> None:
    """Refuse a bag that asks for nothing.

    Raises:
        SourceError: it does.
    """
    if bag.topics.get(PROMPT_TOPIC) != _STRING:
        missing = f"no topic {PROMPT_TOPIC} of type {_STRING}"
    elif not bag.count([PROMPT_TOPIC]):
        missing = f"no message on {PROMPT_TOPIC}"
    else:
        return
    raise SourceError(f"{bag.path} has no prompts ({missing}): give a --prompt")
