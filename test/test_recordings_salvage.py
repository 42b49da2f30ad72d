"""Recordings that were cut off: what is whole is read, and it is told how much that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from standalone_trackers import RedFinder

from gsam_ros.instances import Frame
from gsam_ros.recordings.bag import BagError, Record, open_bag
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.message_types import typestore
from gsam_ros.recordings.result_messages import header_message, image_message
from gsam_ros.recordings.salvage import Salvage
from gsam_ros.recordings.sources import open_source
from gsam_ros.standalone.track import track

COUNT = 60
IMAGE = "sensor_msgs/msg/Image"
THING = "my_msgs/msg/Thing"


def messages() -> list[tuple[int, bytes]]:
    """Times and bytes of images that don't compress, so that a bag of them has several chunks."""
    rng = np.random.default_rng(0)
    return [
        (
            i * 10**8,
            bytes(
                typestore().serialize_cdr(
                    image_message(
                        header_message(i * 10**8, "cam"),
                        rng.integers(0, 256, (120, 160, 3), np.uint8),
                        "rgb8",
                    ),
                    IMAGE,
                )
            ),
        )
        for i in range(COUNT)
    ]


@pytest.fixture(scope="module")
def images() -> list[tuple[int, bytes]]:
    return messages()


@pytest.fixture
def mcap(tmp_path: Path, images: list[tuple[int, bytes]]) -> Path:
    path = tmp_path / "bag"
    with BagWriter(path) as writer:
        writer.add_topic("/cam/image", IMAGE)
        for time, data in images:
            writer.write_raw("/cam/image", time, data)
    return path


@pytest.fixture
def sqlite(tmp_path: Path, images: list[tuple[int, bytes]]) -> Path:
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/cam/image", IMAGE, typestore=typestore())
        for time, data in images:
            writer.write(connection, time, data)
    return path


def storage(bag: Path) -> Path:
    [file] = [file for file in bag.iterdir() if file.suffix in (".mcap", ".db3")]
    return file


def cut(bag: Path, share: float) -> None:
    file = storage(bag)
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])


def stamps(bag: Path) -> tuple[list[int], list[str]]:
    """Stamps of the frames that can be read, in units of 0.1 s, and what was told."""
    source = open_source(bag)
    frames = [item for item in source.items() if isinstance(item, Frame)]
    assert source.length >= len(frames)
    return [frame.stamp // 10**8 for frame in frames], source.problems


@pytest.mark.parametrize("kind", ["mcap", "sqlite"])
@pytest.mark.parametrize("metadata", [True, False])
def test_what_was_recorded_before_the_cut_is_read(
    kind: str, metadata: bool, request: pytest.FixtureRequest
) -> None:
    bag: Path = request.getfixturevalue(kind)
    cut(bag, 0.6)
    if not metadata:  # as a recorder leaves it that is killed
        (bag / "metadata.yaml").unlink()
    found, problems = stamps(bag)
    assert found == list(range(len(found)))
    assert 0.3 * COUNT < len(found) <= 0.6 * COUNT
    [problem] = problems
    promised = f" of {COUNT}" if metadata else ""
    assert f"was cut off or damaged{'' if metadata else ' and has no metadata.yaml'}" in problem
    assert f": {len(found)}{promised} messages can be read" in problem


@pytest.mark.parametrize("kind", ["mcap", "sqlite"])
def test_a_whole_recording_without_metadata_is_read_to_its_end(
    kind: str, request: pytest.FixtureRequest
) -> None:
    bag: Path = request.getfixturevalue(kind)
    (bag / "metadata.yaml").unlink()
    assert stamps(bag)[0] == list(range(COUNT))
    assert stamps(storage(bag)) == (list(range(COUNT)), [])  # the file alone is a whole recording


@pytest.mark.parametrize("name", ["run#1", "which?", "50%41"])
def test_sqlite_recordings_with_letters_of_addresses_in_their_path(
    sqlite: Path, tmp_path: Path, name: str
) -> None:
    """rosbags would look for a file of another name; the salvage finds it."""
    bag = sqlite.rename(tmp_path / name)
    for salvage in (True, False):
        for place in (bag, storage(bag)):
            with (
                pytest.raises(BagError, match=r"can't have \W in their path: rename the file or"),
                open_bag(place, salvage),
            ):
                pass
    assert [topic.msgcount for topic in Salvage(bag, typestore()).connections] == [COUNT]


def test_mcap_recordings_may_have_any_name(mcap: Path, tmp_path: Path) -> None:
    assert stamps(mcap.rename(tmp_path / "run#1")) == (list(range(COUNT)), [])


def test_damage_in_the_middle_costs_what_it_hit(mcap: Path) -> None:
    file = storage(mcap)
    data = bytearray(file.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 4] == b"\x28\xb5\x2f\xfd"]
    assert len(starts) >= 3
    data[starts[1] + 1000 : starts[1] + 1100] = bytes(100)
    data[starts[1] + 4 : starts[1] + 8] = b"\xff" * 4
    file.write_bytes(data)
    found, problems = stamps(mcap)
    missing = sorted(set(range(COUNT)) - set(found))
    assert found == sorted(found)
    assert 10 < len(missing) < 30
    assert missing == list(range(missing[0], missing[-1] + 1))  # one chunk
    assert missing[0] > 0
    assert missing[-1] < COUNT - 1
    [problem] = problems
    assert "is damaged" in problem
    assert "1 damaged chunks of bag.mcap are left out" in problem


def test_damage_inside_an_sqlite_file_costs_what_comes_behind_it(sqlite: Path) -> None:
    file = storage(sqlite)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8 * 4096] = bytes(8 * 4096)
    file.write_bytes(data)
    found, problems = stamps(sqlite)
    assert found == sorted(found)
    assert 0 < len(found) < COUNT
    assert problems
    with pytest.raises(BagError, match=r"is damaged|can't be read"), open_bag(sqlite) as bag:
        list(bag.records(bag.topics))


def test_a_run_on_a_recording_that_was_cut_off_has_results_and_says_so(
    mcap: Path, tmp_path: Path
) -> None:
    cut(mcap, 0.6)
    outcome = track(open_source(mcap), RedFinder(), tmp_path / "out", "mug.", video=False)
    assert 0.3 * COUNT < outcome.frames <= 0.6 * COUNT
    assert outcome.finished
    assert "cut off" in outcome.problems[0]


def test_where_nothing_can_be_read_that_is_an_error(mcap: Path) -> None:
    cut(mcap, 0.001)
    with (
        pytest.raises(BagError, match=r"cut off or damaged, and no message of it can be read: 1 %"),
        open_bag(mcap, salvage=True),
    ):
        pass
    storage(mcap).unlink()
    with (
        pytest.raises(BagError, match=r"can be read: it holds no .mcap and no .db3 file"),
        open_bag(mcap, salvage=True),
    ):
        pass


def write_file(path: Path, images: list[tuple[int, bytes]], *other: tuple[str, str, bytes]) -> Path:
    """An mcap file as other recorders write it: images, and topics that are not known here.

    Args:
        path: of the file.
        images: may be none.
        other: of each of the topics /0, /1 ... encoding, that of its schema, and the schema.
    """
    with path.open("wb") as stream:
        writer = McapWriter(stream, chunk_size=100_000)
        writer.start()
        definition = typestore().generate_msgdef(IMAGE, ros_version=2)[0].encode()
        schema = writer.register_schema(IMAGE, "ros2msg", definition) if images else 0
        channel = writer.register_channel("/cam/image", "cdr", schema) if images else 0
        others = [
            writer.register_channel(f"/{i}", encoding, writer.register_schema(THING, kind, text))
            for i, (encoding, kind, text) in enumerate(other)
        ]
        for time, data in images or [(0, b"")]:
            for thing in others:
                writer.add_message(thing, time, b"\0\1\0\0", time)
            if images:
                writer.add_message(channel, time, data, time)
        writer.finish()
    return path


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("", b"", "has no definition of my_msgs/msg/Thing"),
        ("jsonschema", b"{}", "has no definition of my_msgs/msg/Thing"),
        ("ros2msg", b"\xff }", "definition of my_msgs/msg/Thing is damaged"),
        ("ros2msg", b"int32[<=] x", "definition of my_msgs/msg/Thing is damaged"),
        ("ros2idl", b"strict nonsense", "definition of my_msgs/msg/Thing is damaged"),
        ("ros2msg", b"other_msgs/Gone x", "does not define other_msgs/msg/Gone"),
    ],
)
def test_a_topic_that_nobody_can_read_costs_no_other_topic(
    kind: str, text: bytes, reason: str, images: list[tuple[int, bytes]], tmp_path: Path
) -> None:
    path = write_file(tmp_path / "bag.mcap", images, ("cdr", kind, text))
    path.write_bytes(path.read_bytes()[: int(0.8 * path.stat().st_size)])
    found, [problem] = stamps(path)
    assert found == list(range(len(found)))
    assert len(found) > 0.6 * COUNT
    assert "Thing" not in problem
    with (
        pytest.raises(BagError, match=rf"message of /0 is damaged: .*{reason}"),
        open_bag(path, salvage=True) as bag,
    ):
        next(bag.messages("/0"))


def test_idl_of_rosbag2_is_understood(images: list[tuple[int, bytes]], tmp_path: Path) -> None:
    idl = "module my_msgs { module msg { struct %s; }; };\n"
    parts = {"Thing": "Thing { my_msgs::msg::Part p; }", "Part": "Part { octet b; }"}
    text = "".join(f"{'=' * 80}\nIDL: my_msgs/msg/{n}\n{idl % t}" for n, t in parts.items())
    path = write_file(tmp_path / "bag.mcap", images, ("cdr", "ros2idl", text.encode()))
    path.write_bytes(path.read_bytes()[: int(0.8 * path.stat().st_size)])
    with open_bag(path, salvage=True) as bag:
        message = next(bag.records(["/0"]))
        assert bag.decode(Record("/0", message.time, b"\0\1\0\0\7")).p.b == 7


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([("protobuf", "protobuf", b"\x0a\x05hello\xff")], "protobuf messages, not of ROS 2"),
        ([("ros1", "ros1msg", b"Header header")], "ROS 1 messages, not of ROS 2"),
        ([("json", "", b""), ("cbor", "", b"")], "json and cbor messages, not of ROS 2"),
    ],
)
def test_recordings_of_other_messages_are_called_what_they_are(
    others: list[tuple[str, str, bytes]], told: str, tmp_path: Path
) -> None:
    path = write_file(tmp_path / "bag.mcap", [], *others)
    with pytest.raises(BagError, match=rf"bag\.mcap is an MCAP of {told}"):
        open_source(path)


def test_other_messages_beside_those_of_ros_2_are_left_out(
    images: list[tuple[int, bytes]], tmp_path: Path
) -> None:
    path = write_file(tmp_path / "bag.mcap", images, ("json", "jsonschema", b"{}"))
    found, [problem] = stamps(path)
    assert found == list(range(COUNT))
    assert f"{COUNT} messages of json are left out" in problem


def test_a_damaged_definition_of_a_known_message_is_not_needed(mcap: Path) -> None:
    file = storage(mcap)
    data = file.read_bytes()
    for field in (b"uint8 is_bigendian", b"uint32 step"):
        data = data.replace(field, b"\xff" * len(field))
    assert data != file.read_bytes()
    file.write_bytes(data)
    assert stamps(mcap)[0] == list(range(COUNT))


@pytest.mark.parametrize("count", ["abc", "[1]", "\xff"])
def test_metadata_that_is_damaged_is_not_needed(sqlite: Path, count: str) -> None:
    file = sqlite / "metadata.yaml"
    told = file.read_text().replace(f"message_count: {COUNT}", f"message_count: {count}")
    file.write_text(told, encoding="latin-1")
    found, problems = stamps(sqlite)
    assert found == list(range(COUNT))
    assert f"{COUNT} messages can be read" in problems[0]


@pytest.mark.parametrize("storage_plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_messages_that_are_compressed_each_need_no_metadata(
    images: list[tuple[int, bytes]], tmp_path: Path, storage_plugin: StoragePlugin
) -> None:
    bag = tmp_path / "bag"
    writer = Writer(bag, version=9, storage_plugin=storage_plugin)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/cam/image", IMAGE, typestore=typestore())
        for time, data in images:
            writer.write(connection, time, data)
    assert stamps(bag) == (list(range(COUNT)), [])
    (bag / "metadata.yaml").unlink()
    assert stamps(bag)[0] == list(range(COUNT))
    assert stamps(storage(bag)) == (list(range(COUNT)), [])
    cut(bag, 0.5)
    found, problems = stamps(bag)
    assert 0 < len(found) < COUNT
    assert found == list(range(len(found)))
    assert "was cut off or damaged" in problems[0]


def test_compressed_files_without_metadata_are_called_what_they_are(
    images: list[tuple[int, bytes]], tmp_path: Path
) -> None:
    bag = tmp_path / "bag"
    writer = Writer(bag, version=9, storage_plugin=StoragePlugin.SQLITE3)
    writer.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/cam/image", IMAGE, typestore=typestore())
        writer.write(connection, *images[0])
    assert len(stamps(bag)[0]) == 1
    (bag / "metadata.yaml").unlink()
    complaint = r"compressed \(bag\.db3\.zstd\)%s: decompress them \(`zstd -d`\)"
    with pytest.raises(BagError, match=complaint % " and metadata.yaml is missing"):
        open_source(bag)
    with pytest.raises(BagError, match=complaint % ""):
        open_source(bag / "bag.db3.zstd")
    # A recorder that is killed has compressed all files but the last.
    write_file(bag / "bag_1.mcap", images)
    found, [problem] = stamps(bag)
    assert len(found) == COUNT
    assert "bag.db3.zstd is left out, decompress it" in problem
