"""rosbag2 written without ROS."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from gsam_ros.recordings.bag import BagError
from gsam_ros.recordings.message_types import typestore

_NO_LIMIT = QosTime(sec=9223372036, nsec=854775807)  # how rosbag2 spells it

LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _NO_LIMIT,
    _NO_LIMIT,
    QosLiveliness.AUTOMATIC,
    _NO_LIMIT,
    avoid_ros_namespace_conventions=False,
)
"""Offered with topics whose last message a late subscriber must still get."""


class BagWriter:
    """Writes an mcap rosbag2 of this package's messages; complete once its context is left."""

    def __init__(self, path: Path) -> None:
        """Open a new bag.

        Args:
            path: folder to make; it must not exist.

        Raises:
            BagError: the folder exists already or can't be made.
        """
        if path.exists():
            raise BagError(f"{path} exists already")
        self.path = path
        self._types = typestore()
        self._topics: dict[str, Connection] = {}
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        # Inside the mcap file, which every reader of mcap understands. Halves what images take.
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        try:
            self._writer.open()
        except OSError as error:
            raise BagError(f"{path} can't be written: {error.strerror}") from error

    def add_topic(self, topic: str, message_type: str, qos: Qos | None = None) -> None:
        """Announce `topic` with its type, for example `sensor_msgs/msg/Image`."""
        self._topics[topic] = self._writer.add_connection(
            topic,
            message_type,
            typestore=self._types,
            offered_qos_profiles=[qos] if qos else [],
        )

    def write(self, topic: str, time: int, message: Any) -> None:
        """Write a message object of the typestore; `time` in nanoseconds."""
        kind = self._topics[topic].msgtype
        self.write_raw(topic, time, self._types.serialize_cdr(message, kind))

    def write_raw(self, topic: str, time: int, data: bytes | memoryview) -> None:
        """Write CDR bytes as they are; `time` in nanoseconds."""
        self._writer.write(self._topics[topic], time, data)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()


def remove_bag(path: Path) -> None:
    """Delete a recording, if it is one; anything else that lies at `path` stays.

    Raises:
        BagError: something else lies there.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise BagError(f"{path} is in the way and no recording: it is a file")
    strangers = [p.name for p in path.iterdir() if p.suffix not in (".mcap", ".db3", ".yaml")]
    if strangers:
        raise BagError(f"{path} is in the way and no recording (it holds {strangers[0]})")
    shutil.rmtree(path)
