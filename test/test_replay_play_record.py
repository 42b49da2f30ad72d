"""The player and the recorder as processes of their own, over DDS, with a node that answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gsam_ros.processes import Child, ProcessError
from gsam_ros.recordings.bag import open_bag
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.message_types import typestore
from gsam_ros.replay.commands import RECORDER_READY
from gsam_ros.replay.family import Family

FAKE_NODE = str(Path(__file__).with_name("replay_fake_node.py"))
FRAMES = 40
PLAY = [
    "--frames",
    "/front/image=/gsam/front/frame_status",
    "--prompt",
    "/prompt",
    "--labels",
    "/gsam/front/label_info",
    "--rate",
    "20",
]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 VGA images at 10 Hz, a prompt at the start and another in the middle."""
    types = typestore().types
    stamp, header = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    pixels = np.zeros(480 * 640 * 3, np.uint8)
    path = tmp_path_factory.mktemp("bags") / "sample"
    with BagWriter(path) as writer:
        writer.add_topic("/front/image", "sensor_msgs/msg/Image")
        writer.add_topic("/prompt", "std_msgs/msg/String")
        for i in range(FRAMES):
            time = 10**18 + i * 10**8
            if i % 20 == 0:
                text = types["std_msgs/msg/String"]("red mug." if i == 0 else "green ball. cup.")
                writer.write("/prompt", time - 1, text)
            head = header(stamp(*divmod(time, 10**9)), "front")
            image = types["sensor_msgs/msg/Image"](head, 480, 640, "rgb8", 0, 1920, pixels)
            writer.write("/front/image", time, image)
    return path


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with Family(tmp_path / "logs") as processes:
        yield processes


def start_fake_node(family: Family, *arguments: str) -> Child:
    """The fake node, which is no module of the package."""
    return family.start("node", FAKE_NODE, *arguments)


def test_every_answer_is_recorded_under_the_right_prompt(
    family: Family, bag: Path, tmp_path: Path
) -> None:
    start_fake_node(family)
    recorder = family.start(
        "recorder",
        "-m",
        "gsam_ros.replay.record",
        str(tmp_path / "result"),
        "--below",
        "/gsam",
        "--expect",
        "/gsam/front/instances",
    )
    family.wait_for(recorder, RECORDER_READY, 30)
    family.wait_for(family.start("player", "-m", "gsam_ros.replay.play", str(bag), *PLAY))
    family.stop(recorder)
    with open_bag(bag) as sample, open_bag(tmp_path / "result") as result:
        sent = [image.header.stamp for image in sample.messages("/front/image")]
        answers = list(result.messages("/gsam/front/instances"))
        statuses = list(result.messages("/gsam/front/frame_status"))
        labels = [len(m.class_map) for m in result.messages("/gsam/front/label_info")]
        assert set(result.topics) == {
            "/gsam/front/instances",
            "/gsam/front/frame_status",
            "/gsam/front/label_info",
        }
    assert [a.header.stamp for a in answers] == sent
    assert [a.prompt_version for a in answers] == [1] * 20 + [2] * 20
    assert len(statuses) == FRAMES
    assert labels == [1, 2]


def test_an_impatient_ctrl_c_leaves_a_whole_recording(
    family: Family, bag: Path, tmp_path: Path
) -> None:
    """A terminal and ros2 launch may both send the signal, and people press the keys twice."""
    start_fake_node(family)
    result = tmp_path / "result"
    command = ("-m", "gsam_ros.replay.record", str(result), "--below", "/gsam", "--expect")
    recorder = family.start("recorder", *command, "/gsam/front/instances")
    family.wait_for(recorder, RECORDER_READY, 30)
    family.wait_for(family.start("player", "-m", "gsam_ros.replay.play", str(bag), *PLAY))
    end = time.monotonic() + 15
    while recorder.status is None and not (result / "metadata.yaml").exists():
        os.kill(recorder.pid, signal.SIGINT)
        time.sleep(0.005)
        assert time.monotonic() < end
    with open_bag(result) as recorded:
        assert recorded.count(["/gsam/front/instances"]) == FRAMES


def test_where_no_terminal_is_progress_is_told_in_lines(family: Family, bag: Path) -> None:
    """ros2 launch shows nothing but whole lines, and a bar is one line."""
    start_fake_node(family)
    player = family.start("player", "-m", "gsam_ros.replay.play", str(bag), *PLAY)
    family.wait_for(player)
    told = player.log.read_text()
    assert f"{FRAMES} of {FRAMES} frames answered\n" in told
    assert "\r" not in told


def test_a_node_that_stops_to_answer_is_named(family: Family, bag: Path) -> None:
    start_fake_node(family, "--mute-after", "5")
    player = family.start(
        "player",
        "-m",
        "gsam_ros.replay.play",
        str(bag),
        *PLAY,
        "--patience",
        "2",
        "--window",
        "8",
    )
    with pytest.raises(ProcessError, match="8 of 13 frames stay unanswered on /gsam/front/frame_s"):
        family.wait_for(player)


def test_a_node_that_falls_over_is_told_with_its_last_words(family: Family, bag: Path) -> None:
    start_fake_node(family, "--crash-after", "5")
    player = family.start("player", "-m", "gsam_ros.replay.play", str(bag), *PLAY)
    with pytest.raises(ProcessError, match=r"(?s)node ended with status 3.*falls over"):
        family.wait_for(player)


def test_without_a_node_the_player_says_who_is_missing(family: Family, bag: Path) -> None:
    player = family.start(
        "player", "-m", "gsam_ros.replay.play", str(bag), *PLAY, "--patience", "1"
    )
    with pytest.raises(ProcessError, match=r"nobody subscribes /front/image, /prompt, nobody"):
        family.wait_for(player)


def test_a_topic_that_the_bag_lacks_is_named(family: Family, bag: Path) -> None:
    player = family.start(
        "player", "-m", "gsam_ros.replay.play", str(bag), "--frames", "/left/image=/x"
    )
    with pytest.raises(ProcessError, match="has no topic /left/image; it has /front/image, /promp"):
        family.wait_for(player)


def test_the_recorder_never_writes_over_a_recording(family: Family, bag: Path) -> None:
    recorder = family.start(
        "recorder", "-m", "gsam_ros.replay.record", str(bag), "--below", "/gsam"
    )
    with pytest.raises(ProcessError, match="sample exists already"):
        family.wait_for(recorder)


def test_children_are_gone_after_an_error(tmp_path: Path) -> None:
    children = []

    def interrupted_run() -> None:
        with Family(tmp_path) as family:
            children.append(start_fake_node(family))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_run()
    assert children[0].status is not None
