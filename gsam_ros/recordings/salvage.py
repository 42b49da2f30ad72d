"""What can still be read of a recording that was cut off or damaged.

A recorder that is killed, a disk that is full or a copy that stops leaves a storage file without
its end, and often no metadata.yaml. The messages before that are whole all the same: an mcap file
is read chunk by chunk from its beginning (a damaged chunk is left out), an sqlite3 file row by row
until the first page that is not there.
"""

from __future__ import annotations

import sqlite3
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import yaml
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import CRCValidationError, breakup_chunk
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from gsam_ros.recordings.message_types import MessageTypeError, parsed_definition

STORAGE_ENDINGS = (".mcap", ".db3")
_OF_ROS_2 = ("cdr", "")  # encodings of messages
_NAMES = {"ros1": "ROS 1"}
_MAGIC = 8  # bytes at the beginning of an mcap file
_BAD_CHUNK = (
    CRCValidationError,
    McapError,
    RuntimeError,  # lz4
    UnicodeDecodeError,
    struct.error,
    zstandard.ZstdError,
)


class SalvageError(RuntimeError):
    """Nothing can be read; the message says why."""


class ForeignError(SalvageError):
    """The messages are not of ROS 2; the message names the file and says of what they are."""


@dataclass(frozen=True)
class Topic:
    """A topic, in the words of `rosbags.interfaces.Connection`."""

    topic: str
    msgtype: str
    msgcount: int = 0


class _Found(NamedTuple):
    """A message in a storage file."""

    topic: str
    time: int
    data: bytes


class Salvage:
    """Reads like rosbags' `AnyReader`, from files without an end.

    The files are read once to know what is in them, and again for every look at the messages.

    Attributes:
        connections: the topics.
        start_time: nanoseconds, of the first message.
        duration: nanoseconds, from the first message to the last.
        told: what is there and what is missing, for people.

    Raises:
        SalvageError: there is no message at all.
    """

    def __init__(self, path: Path, known: Typestore) -> None:
        """Read the storage files of a recording.

        Args:
            path: its folder, or one storage file.
            known: types of recordings that don't carry their own definitions.
        """
        self._path = path
        self._files = _storage_files(path)
        decompressed = {file.name for file in self._files}
        self._compressed = [
            file
            for file in sorted(path.glob("*.zstd"))
            if is_compressed(file) and file.stem not in decompressed
        ]
        self._topics: dict[str, Topic] = {}
        self._definitions: dict[str, tuple[str, bytes]] = {}
        self._undefined: dict[str, str] = {}
        self._foreign: Counter[str] = Counter()
        self._notes: list[str] = []
        counts: Counter[str] = Counter()
        self.start_time, end = 2**63 - 1, 0
        for message in self._messages():
            counts[message.topic] += 1
            self.start_time = min(self.start_time, message.time)
            end = max(end, message.time)
        if self._foreign and not counts:
            kinds = " and ".join(_NAMES.get(kind, kind) for kind in self._foreign)
            raise ForeignError(f"{path} is an MCAP of {kinds} messages, not of ROS 2")
        if not counts:
            raise SalvageError("; ".join(self._notes) or "it holds no message")
        self.duration = end - self.start_time
        self.connections = [
            replace(topic, msgcount=counts[name]) for name, topic in self._topics.items()
        ]
        self._types = self._typestore(known)
        self.told = self._summary(sum(counts.values()))

    def messages(self, connections: Collection[Topic]) -> Iterator[tuple[Topic, int, bytes]]:
        """(topic, nanoseconds, CDR bytes) in the order in which they lie in the files."""
        chosen = {topic.topic: topic for topic in connections}
        for message in self._messages():
            if message.topic in chosen:
                yield chosen[message.topic], message.time, message.data

    def deserialize(self, data: bytes, kind: str) -> Any:
        """The message in CDR bytes.

        Raises:
            SalvageError: they are no message of that type.
        """
        try:
            return self._types.deserialize_cdr(data, kind)
        except SerdeError as error:
            raise SalvageError(str(error)) from error
        except KeyError as error:
            told = f"the recording does not define {error.args[0]}"
            raise SalvageError(self._undefined.get(kind, told)) from error

    def close(self) -> None:
        """Nothing stays open between two looks."""

    def _messages(self) -> Iterator[_Found]:
        self._notes.clear()
        self._foreign.clear()
        for file in self._files:
            yield from (self._mcap if file.suffix == ".mcap" else self._sqlite)(file)
        for kind, count in self._foreign.items():
            self._notes.append(f"{count} messages of {_NAMES.get(kind, kind)} are left out")
        for file in self._compressed:
            self._notes.append(f"{file.name} is left out, decompress it with `zstd -d`")

    def _mcap(self, file: Path) -> Iterator[_Found]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        size = file.stat().st_size
        damaged, ended = 0, False
        with file.open("rb") as stream:
            if len(stream.read(_MAGIC)) < _MAGIC:
                self._notes.append(f"{file.name} holds no recording")
                return
            end = _MAGIC
            while (payload := _record(stream)) is not None:
                opcode, data = payload
                if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                    ended = True
                    break
                try:
                    records = _parsed(opcode, data)
                except _BAD_CHUNK:
                    damaged += 1
                    records = []
                messages = []
                for record in records:
                    if isinstance(record, Schema):
                        schemas[record.id] = record
                    elif isinstance(record, Channel):
                        channels[record.id] = record
                        self._add(record, schemas)
                    elif (channel := channels.get(record.channel_id)) is None:
                        continue
                    elif channel.message_encoding in _OF_ROS_2:
                        messages.append(record)
                    else:
                        self._foreign[channel.message_encoding] += 1
                for message in sorted(messages, key=lambda message: message.log_time):
                    topic = channels[message.channel_id].topic
                    yield _Found(topic, message.log_time, message.data)
                end = stream.tell()
        if damaged:
            self._notes.append(f"{damaged} damaged chunks of {file.name} are left out")
        if not ended:
            self._notes.append(_share(file.name, end, size))

    def _add(self, channel: Channel, schemas: dict[int, Schema]) -> None:
        schema = schemas.get(channel.schema_id)
        if schema is not None and channel.message_encoding in _OF_ROS_2:
            self._topics.setdefault(channel.topic, Topic(channel.topic, schema.name))
            self._definitions.setdefault(schema.name, (schema.encoding, schema.data))

    def _sqlite(self, file: Path) -> Iterator[_Found]:
        rows = 0
        try:
            # What a recorder that died had not moved into the file yet lies in a log beside it;
            # without one, a file that nobody changes needs no locks.
            log = file.with_name(file.name + "-wal").is_file()
            how = "mode=ro" if log else "immutable=1"
            database = sqlite3.connect(f"{file.resolve().as_uri()}?{how}", uri=True)
            try:
                # SQLite refuses a file that is shorter than its header says, unless the user is
                # about to repair it, which this tells. Nothing is written.
                database.execute("PRAGMA writable_schema=ON")
                names = {}
                for number, name, kind in database.execute("SELECT id, name, type FROM topics"):
                    names[number] = name
                    self._topics.setdefault(name, Topic(name, kind))
                query = "SELECT topic_id, timestamp, data FROM messages"
                for number, time, data in database.execute(query):
                    if number in names:
                        rows += 1
                        yield _Found(names[number], time, data)
            finally:
                database.close()
        except sqlite3.Error as error:
            self._notes.append(f"{file.name} ends after {rows} messages ({error})")

    def _typestore(self, known: Typestore) -> Typestore:
        """The definitions in the files; those of `known` where they carry none that is whole."""
        types: dict[str, Any] = {}
        for name, (encoding, data) in self._definitions.items():
            try:
                types.update(parsed_definition(name, encoding, data))
            except MessageTypeError as error:  # told where a message of that type is wanted
                self._undefined[name] = str(error)
        for name, kind in known.fielddefs.items():
            types.setdefault(name, kind)
        store = get_typestore(Stores.EMPTY)
        store.register(types)
        return store

    def _summary(self, count: int) -> str:
        total = _promised(self._path)
        of_total = f" of {total}" if total else ""
        missing = "" if (self._path / "metadata.yaml").is_file() else " and has no metadata.yaml"
        what = "was cut off or damaged" + (missing if self._path.is_dir() else "")
        return (
            f"{self._path} {what}: {count}{of_total} messages can be read, "
            f"{self.duration / 1e9:.1f} s; {'; '.join(self._notes) or 'its files are whole'}"
        )


def is_compressed(file: Path) -> bool:
    """Whether this is a storage file that rosbag2 compressed as a whole."""
    return file.suffix == ".zstd" and file.with_suffix("").suffix in STORAGE_ENDINGS


def _storage_files(path: Path) -> list[Path]:
    """Storage files of a recording in the order in which they were written.

    Raises:
        SalvageError: there are none.
    """
    files = [path] if path.is_file() else list(path.iterdir())
    found = [file for file in files if file.suffix in STORAGE_ENDINGS]
    if found:
        return sorted(found, key=lambda file: (len(file.name), file.name))  # _9 before _10
    if compressed := sorted(file.name for file in files if is_compressed(file)):
        whole = path.is_file() or (path / "metadata.yaml").is_file()
        missing = "" if whole else " and metadata.yaml is missing"
        # `ros2 bag reindex` does not find such files (ros2/rosbag2#990).
        raise SalvageError(
            f"its files are compressed ({compressed[0]}){missing}: decompress them (`zstd -d`)"
        )
    raise SalvageError("it holds no .mcap and no .db3 file")


def _record(stream: Any) -> tuple[int, bytes] | None:
    """The next record of an mcap file, (opcode, content); None where it is not whole."""
    head = stream.read(9)
    if len(head) < 9:
        return None
    opcode, length = struct.unpack("<BQ", head)
    data = stream.read(min(length, 2**32))
    return (opcode, data) if len(data) == length else None


def _parsed(opcode: int, data: bytes) -> list[Any]:
    """The schemas, channels and messages in a record."""
    stream = ReadDataStream(BytesIO(data))
    if opcode == Opcode.CHUNK:
        return breakup_chunk(Chunk.read(stream), validate_crc=True)
    if opcode == Opcode.SCHEMA:
        return [Schema.read(stream)]
    if opcode == Opcode.CHANNEL:
        return [Channel.read(stream)]
    if opcode == Opcode.MESSAGE:
        return [Message.read(stream, len(data))]
    return []


def _share(name: str, end: int, size: int) -> str:
    return f"{100 * end / max(size, 1):.0f} % of the {size / 1e6:.1f} MB of {name} are whole"


def _promised(path: Path) -> int:
    """How many messages the recording's metadata tells of; 0 where there is none."""
    try:
        told = yaml.safe_load((path / "metadata.yaml").read_text())
        return int(told["rosbag2_bagfile_information"]["message_count"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return 0
