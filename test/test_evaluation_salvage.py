"""Recordings that were cut off: what is whole is read, and it is told how much that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from evaluation_trackers import RedFinder
from rosbags.rosbag2 import StoragePlugin, Writer

from gsam_ros.evaluation.bag import BagError, open_bag
from gsam_ros.evaluation.bag_writer import BagWriter
from gsam_ros.evaluation.message_types import typestore
from gsam_ros.evaluation.result_messages import header_message, image_message
from gsam_ros.evaluation.salvage import Salvage
from gsam_ros.evaluation.sources import open_source
from gsam_ros.evaluation.track import track
from gsam_ros.instances import Frame

COUNT = 60
IMAGE = "sensor_msgs/msg/Image"


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
