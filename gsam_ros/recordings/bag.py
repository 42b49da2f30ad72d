"""rosbag2 read without ROS."""

from __future__ import annotations

import sqlite3
import struct
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw  # rosbags brings it
import zstandard
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.rosbag2.errors import ReaderError
from rosbags.typesys import Stores, TypesysError, get_typestore
from rosbags.typesys.store import Typestore

from gsam_ros.recordings.message_types import MessageTypeError, typestore
from gsam_ros.recordings.salvage import (
    STORAGE_ENDINGS,
    ForeignError,
    Salvage,
    SalvageError,
    is_compressed,
)

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError
else:
    from backports.zstd import ZstdError  # rosbags brings it

_DAMAGE = (
    apsw.Error,  # while messages are read from sqlite3 files
    AnyReaderError,
    AssertionError,
    EOFError,  # of a compressed file
    KeyError,  # a kind of definition that it does not know
    ReaderError,
    RuntimeError,  # lz4
    TypeError,  # metadata.yaml holds something else than numbers
    TypesysError,
    ValueError,  # the same; bytes that are no UTF-8
    ZstdError,
    sqlite3.Error,
    struct.error,
)
"""What rosbags lets through when a storage file holds other bytes than it should."""

_OF_ADDRESSES = "#?%"
_COMPRESSED = b"\x28\xb5\x2f\xfd"  # RFC 8878; CDR begins with a 0


class BagError(RuntimeError):
    """A recording that can't be read or written; the message names it and says what is wrong."""


@dataclass(frozen=True)
class Record:
    """One message of a bag.

    Attributes:
        topic: its name.
        time: nanoseconds, when it was recorded.
        data: CDR bytes, as they went over the wire.
    """

    topic: str
    time: int
    data: bytes


class BagReader:
    """A recording that is open for reading.

    Attributes:
        path: the bag's folder or file.
        topics: topic name to message type, for example `sensor_msgs/msg/Image`.
        damage: what is missing of a recording that was cut off or is damaged inside, as far as it
            was read; empty where it is whole.
    """

    def __init__(self, path: Path, reader: AnyReader | Salvage, salvage: bool = False) -> None:
        self.path = path
        self.topics = {c.topic: c.msgtype for c in reader.connections}
        self.damage = reader.told if isinstance(reader, Salvage) else ""
        self._salvage = salvage and not isinstance(reader, Salvage)
        self._reader: Any = reader
        self._unreadable: Counter[str] = Counter()

    @property
    def start(self) -> int:
        """Nanoseconds, when the first message was recorded."""
        return int(self._reader.start_time)

    @property
    def seconds(self) -> float:
        """From the first message to the last."""
        return float(self._reader.duration) / 1e9

    def count(self, topics: Collection[str]) -> int:
        """How many messages `topics` have together."""
        return sum(int(c.msgcount) for c in self._reader.connections if c.topic in topics)

    def records(self, topics: Collection[str]) -> Iterator[Record]:
        """The messages of `topics` in the order of their recording.

        Raises:
            BagError: the file is damaged, and was not opened to salvage what can be read behind
                that; what stood before was yielded.
        """
        before: Counter[str] = Counter()
        try:
            for record in self._records(topics):
                before[record.topic] += 1
                yield record
            return
        except _DAMAGE as error:
            told = f"{self.path} is damaged: {error}"
            if not self._salvage:
                raise BagError(told) from error
        self._reader, self._salvage = _salvage(self.path), False
        self.damage = f"{told}; {self._reader.told}"
        for record in self._records(topics):
            before[record.topic] -= 1
            if before[record.topic] < 0:
                yield record

    def _records(self, topics: Collection[str]) -> Iterator[Record]:
        chosen = [c for c in self._reader.connections if c.topic in topics]
        if chosen:
            for connection, time, data in self._reader.messages(chosen):
                yield Record(connection.topic, time, _plain(data))

    def messages(self, topic: str) -> Iterator[Any]:
        """The messages of `topic`, decoded, in order.

        Raises:
            BagError: as `records`, and for bytes that are no message of the topic's type.
        """
        for record in self.records([topic]):
            yield self.decode(record)

    def readable(self, topic: str) -> Iterator[Any]:
        """Those messages of `topic` that can be decoded, in order; `problems` counts the others.

        Raises:
            BagError: as `records`.
        """
        for record in self.records([topic]):
            try:
                message = self.decode(record)
            except BagError:
                self._unreadable[topic] += 1
                continue
            yield message

    @property
    def problems(self) -> list[str]:
        """What could not be read so far, in words."""
        told = [self.damage] if self.damage else []
        for topic, count in self._unreadable.items():
            told.append(f"{self.path}: {count} messages of {topic} are damaged and left out")
        return told

    def decode(self, record: Record) -> Any:
        """The message in `record`.

        Raises:
            BagError: the bytes are no message of the topic's type.
        """
        try:
            return self._reader.deserialize(record.data, self.topics[record.topic])
        except (AnyReaderError, KeyError, SalvageError) as error:
            raise BagError(
                f"{self.path}: a message of {record.topic} is damaged: {error}"
            ) from error


@contextmanager
def open_bag(path: Path, salvage: bool = False) -> Iterator[BagReader]:
    """Open a rosbag2 for reading: its folder, or its only storage file (.mcap, .db3).

    Args:
        path: of the recording.
        salvage: read what can be read of one that was cut off or is damaged inside, and say so in
            `damage`.

    Raises:
        BagError: there is none, it is empty, or its storage was cut off or damaged.
    """
    reader = _open(path, salvage)
    try:
        yield BagReader(path, reader, salvage)
    finally:
        reader.close()


def _plain(data: bytes) -> bytes:
    """The message in a record.

    rosbag2 may compress each message by itself, and only metadata.yaml tells that: a recorder that
    is killed leaves none.
    """
    if data[:4] != _COMPRESSED:
        return data
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except zstandard.ZstdError:  # whoever decodes it says that it is damaged
        return data


def is_bag(path: Path) -> bool:
    """Whether a rosbag2 lies there, whole or not."""
    if path.is_dir():
        return any(_is_storage(p) or p.name == "metadata.yaml" for p in path.iterdir())
    return _is_storage(path)


def _is_storage(path: Path) -> bool:
    return path.suffix in STORAGE_ENDINGS or is_compressed(path)


def _open(path: Path, salvage: bool) -> AnyReader | Salvage:
    if not path.exists():
        raise BagError(f"{path} does not exist: give a recording or the folder of a run")
    _check_name(path)
    try:
        reader = AnyReader([path], default_typestore=_types_of_old_bags())
        reader.open()
        _check_counts(reader)
    except FileNotFoundError as error:
        if not salvage or not is_bag(path):
            raise BagError(f"{path} is no rosbag2 recording: it holds no metadata.yaml") from error
        return _salvage(path)
    except _DAMAGE as error:
        if not salvage:
            raise BagError(
                f"{path} can't be read ({error}): was its recording cut off? "
                "`ros2 bag reindex` may help"
            ) from error
        return _salvage(path)
    return reader


def _check_counts(reader: AnyReader) -> None:
    """Refuse what metadata.yaml has in place of numbers, which rosbags takes as it is.

    Raises:
        ReaderError: it does.
    """
    for connection in reader.connections:
        count: Any = connection.msgcount
        if not isinstance(count, int):
            reader.close()
            raise ReaderError(f"its metadata counts {count!r} messages")


def _check_name(path: Path) -> None:
    """Refuse what rosbags would take for a part of an address and not of an SQLite file's name."""
    files = path.iterdir() if path.is_dir() else [path]
    for file in files:
        strange = [letter for letter in _OF_ADDRESSES if letter in str(file)]
        if file.suffix == ".db3" and strange:
            raise BagError(
                f"{file} can't be read: SQLite recordings can't have {' and '.join(strange)} in "
                "their path: rename the file or the folder"
            )


def _salvage(path: Path) -> Salvage:
    try:
        return Salvage(path, _types_of_old_bags())
    except ForeignError as error:
        raise BagError(str(error)) from error
    except SalvageError as error:
        raise BagError(
            f"{path} was cut off or damaged, and no message of it can be read: {error}"
        ) from error


def _types_of_old_bags() -> Typestore:
    """For bags that don't carry their definitions: sqlite3 ones of ROS 2 Humble and before."""
    try:
        return typestore()
    except MessageTypeError:  # installed without ROS; the common messages are known all the same
        return get_typestore(Stores.ROS2_HUMBLE)
