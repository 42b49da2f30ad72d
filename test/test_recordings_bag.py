"""Bags go out and come back; what is broken is told by name."""

from pathlib import Path

import pytest

from gsam_ros.recordings.bag import BagError, open_bag
from gsam_ros.recordings.bag_writer import BagWriter, remove_bag
from gsam_ros.recordings.message_types import MessageTypeError, message_folder, typestore

MESSAGES = [(1_000, "red mug."), (2_000, "green ball."), (3_500, "räder.")]


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    path = tmp_path / "bag"
    string = typestore().types["std_msgs/msg/String"]
    with BagWriter(path) as writer:
        writer.add_topic("/prompt", "std_msgs/msg/String")
        writer.add_topic("/empty", "gsam_ros/msg/InstanceArray")
        for time, text in MESSAGES:
            writer.write("/prompt", time, string(text))
    return path


def test_messages_come_back_in_order_with_their_times(bag: Path) -> None:
    with open_bag(bag) as reader:
        records = list(reader.records(["/prompt"]))
        assert [(r.time, reader.decode(r).data) for r in records] == MESSAGES
        assert reader.topics["/empty"] == "gsam_ros/msg/InstanceArray"
        assert list(reader.records(["/empty", "/no_such_topic"])) == []
        assert (reader.start, reader.count(["/prompt"])) == (1_000, 3)
        assert reader.seconds == pytest.approx(2.5e-6, abs=2e-9)


def test_raw_bytes_are_written_as_they_are(bag: Path, tmp_path: Path) -> None:
    with open_bag(bag) as reader, BagWriter(tmp_path / "copy") as writer:
        writer.add_topic("/prompt", "std_msgs/msg/String")
        originals = list(reader.records(["/prompt"]))
        for record in originals:
            writer.write_raw(record.topic, record.time, record.data)
    with open_bag(tmp_path / "copy") as copy:
        assert list(copy.records(["/prompt"])) == originals


def test_own_messages_carry_their_definitions(bag: Path) -> None:
    """A bag must be readable where this package is not installed."""
    text = next(bag.glob("*.mcap")).read_bytes()
    assert b"InstanceArray" in text
    assert b"Instance[] instances" in text


@pytest.mark.parametrize("share", [0.0, 0.3, 0.97])
def test_a_recording_that_was_cut_off_is_named(bag: Path, share: float) -> None:
    storage = next(bag.glob("*.mcap"))
    data = storage.read_bytes()
    storage.write_bytes(data[: int(share * len(data))])
    with (
        pytest.raises(BagError, match=r"bag can't be read .*cut off\? `ros2 bag reindex`"),
        open_bag(bag),
    ):
        pass


def test_damage_in_the_middle_is_named(bag: Path) -> None:
    storage = next(bag.glob("*.mcap"))
    data = bytearray(storage.read_bytes())
    at = data.index(b"\x28\xb5\x2f\xfd")  # the first compressed chunk
    data[at + 8 : at + 24] = bytes(16)
    storage.write_bytes(data)
    with open_bag(bag) as reader, pytest.raises(BagError, match="bag is damaged"):
        list(reader.messages("/prompt"))


def test_what_is_no_bag_is_named(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="nowhere does not exist"), open_bag(tmp_path / "nowhere"):
        pass
    with pytest.raises(BagError, match=r"no rosbag2 recording.*metadata"), open_bag(tmp_path):
        pass


def test_an_error_of_the_reader_s_user_is_not_taken_for_a_bad_bag(bag: Path) -> None:
    with pytest.raises(FileNotFoundError), open_bag(bag):
        (bag / "no_such_file").read_text()


def test_a_recording_is_never_overwritten(bag: Path) -> None:
    with pytest.raises(BagError, match="exists already"):
        BagWriter(bag)


def test_only_recordings_are_removed(bag: Path, tmp_path: Path) -> None:
    remove_bag(tmp_path / "nothing_there")
    (tmp_path / "file").touch()
    with pytest.raises(BagError, match="file is in the way and no recording: it is a file"):
        remove_bag(tmp_path / "file")
    remove_bag(bag)
    assert not bag.exists()
    bag.mkdir()
    (bag / "thesis.tex").touch()
    with pytest.raises(BagError, match=r"in the way and no recording .*thesis.tex"):
        remove_bag(bag)
    assert (bag / "thesis.tex").exists()


def test_missing_definitions_are_named_with_the_places_sought() -> None:
    with pytest.raises(MessageTypeError, match=r"of the package no_such_msgs in any of .*share"):
        message_folder("no_such_msgs")
