"""The node's beginning and end: what comes early, what can't be loaded, live mode, two cameras."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from gsam_ros.msg import FrameStatus
from node_faults import png_header
from node_harness import BEST_EFFORT, Client, World, grey, picture
from random_checkpoints import save_sam2
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header, String
from vision_msgs.msg import Detection2DArray

from gsam_ros.bridge.stamps import nanoseconds, to_time
from gsam_ros.checkpoints import locate

pytestmark = pytest.mark.alone

_PROMPT = 6.0  # seconds; 0.5 to 2 on a quiet machine, and no machine that tests is one


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("node_start"))


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with world.client() as client:
        yield client


def test_while_it_loads_the_node_answers_and_keeps_the_newest_prompt(
    world: World, client: Client
) -> None:
    client.listen_to_results()
    client.prompts.publish(String(data="a latched cup."))  # nobody is there yet
    with world.gsam_node(mode="lossless", device="cpu"):
        client.wait_for_state("configuring")
        answer = client.set_prompt("red mug. blue box.")
        assert client.state() == "configuring", "it was ready before it was asked"
        assert answer.success
        assert "kept" in answer.message
        assert list(answer.phrases) == ["red mug", "blue box"]
        assert not client.set_prompt("...").success
        client.health("models", lambda s: s.level == b"\1" and s.message)
        client.wait_for_state("active")
        [labels] = client.wait_for("/gsam_node/label_info", 1)
        assert [c.class_name for c in labels.class_map] == ["red mug", "blue box"]
        client.health("models", lambda s: s.level == b"\0" and "on cpu" in s.message)


def test_a_latched_prompt_from_before_the_start_counts(world: World, client: Client) -> None:
    client.listen_to_results()
    client.prompts.publish(String(data="white ring."))
    with world.gsam_node(device="cpu", prompt="'red mug.'"):
        labels = client.wait_for("/gsam_node/label_info", 1)
        client.wait(lambda: labels[-1].class_map[0].class_name == "white ring", "the prompt")
        client.health("camera", lambda s: s.level == b"\1" and "no image on /image" in s.message)
        client.wait_for_log(" s; nobody publishes on it")  # how many depends on the load


def test_what_cannot_be_loaded_fails_the_transition_and_can_be_put_right(
    world: World, client: Client, tmp_path: Path
) -> None:
    empty, corrupt = tmp_path / "empty", tmp_path / "corrupt"
    empty.mkdir()
    corrupt.mkdir()
    for file in Path(locate("demo-segmenter")).iterdir():
        (corrupt / file.name).write_bytes(file.read_bytes())
    (corrupt / "model.safetensors").write_bytes(b"\xff" * 1000)
    wrong = [
        ("detector.model", "no-such-model", "there is no model 'no-such-model'"),
        ("detector.model", str(empty), "holds no config.json"),
        ("segmenter.model", str(corrupt), "can't be loaded"),
        ("segmenter.model", str(empty / "sam2.pt"), "there is no file"),
        ("segmenter.image_size", 250, "segmenter.image_size is 250: give a multiple of 32"),
        ("segmenter.memories", 9, "segmenter.memories is 9"),
        ("device", "cuda:7", "device is 'cuda:7'"),
    ]
    good = {
        "detector.model": "demo-detector",
        "segmenter.model": "demo-segmenter",
        "segmenter.image_size": 0,
        "segmenter.memories": 0,
        "device": "cpu",
    }
    with world.gsam_node(autostart="false"):
        client.wait_for_state("unconfigured")
        for name, value, words in wrong:
            assert client.set_parameter(name, value).successful
            assert not client.change_state("configure"), value
            assert client.state() == "unconfigured"
            assert "configure failed" in client.wait_for_log(words)
            client.health("models", lambda s, w=words: s.level == b"\2" and w in s.message)
            assert client.set_parameter(name, good[name]).successful
        assert not client.set_parameter("image_transport", "pigeon").successful
        assert client.set_parameter("cameras", ["front", "front"]).successful
        assert not client.change_state("configure")
        client.wait_for_log("cameras names 'front' twice")
        assert client.set_parameter("cameras", ["front", "rear"]).successful
        assert client.set_parameter("image_transports", ["raw"]).successful
        assert not client.change_state("configure")
        client.wait_for_log("image_transports is ['raw'] for 2 cameras")
        assert client.set_parameter("image_transports", [""]).successful
        assert client.set_parameter("cameras", [""]).successful
        assert client.set_parameter("segmenter.model", str(save_sam2(tmp_path))).successful
        assert client.change_state("configure")
        assert client.state() == "inactive"


def test_autostart_goes_on_trying_until_the_models_are_there(
    world: World, client: Client, tmp_path: Path
) -> None:
    """As on a robot that boots before its network."""
    place = tmp_path / "segmenter"
    place.mkdir()
    with world.gsam_node(device="cpu", **{"segmenter.model": f"'{place}'"}):
        client.wait_for_log("autostart tries again in 10 s")
        assert client.state() == "unconfigured"
        shutil.copytree(locate("demo-segmenter"), place, dirs_exist_ok=True)
        client.wait_for_state("active")


def test_live_the_newest_frame_wins_and_the_end_is_prompt(world: World, client: Client) -> None:
    statuses = client.listen(FrameStatus, "/gsam_node/frame_status")
    client.listen(Detection2DArray, "/gsam_node/detections", BEST_EFFORT)
    with world.gsam_node(device="cpu", prompt="'red mug. blue box.'") as gsam:
        client.wait_for_state("active")
        scene = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            client.show(picture(time.time(), scene))
            time.sleep(0.01)
        drops = dict(zip(statuses[-1].drop_causes, statuses[-1].drop_counts, strict=True))
        assert drops["superseded"] > 0
        stamps = [nanoseconds(s.header.stamp) for s in statuses]
        assert stamps == sorted(set(stamps))
        # A frame waits for one step at most, so its age is about two steps and never a queue's.
        stages = [dict(zip(s.stage_names, s.stage_end_ms, strict=True)) for s in statuses[5:]]
        steps = [ends["messages"] - ends["wait"] for ends in stages]
        ages = [1e3 * s.age for s in statuses[5:]]
        assert np.median(ages) < 3 * np.median(steps) + 50
        last = statuses[-1]
        assert last.frames_received >= last.frames_processed + drops["superseded"]
        client.show(picture(time.time(), scene))
        status, seconds = gsam.end(signal.SIGTERM)
        assert status == 0, gsam.text()
        assert seconds < _PROMPT, seconds


def test_told_to_end_while_loading_it_ends(world: World, client: Client) -> None:
    with world.gsam_node(device="cpu") as gsam:
        client.wait_for_state("configuring")
        own = shared_memory_of(gsam.process.pid)
        status, seconds = gsam.end()
        assert status == 0, gsam.text()
        assert seconds < _PROMPT, seconds
        assert " ready: " not in gsam.text(), "it loaded to the end"
        assert own
        assert not [path for path in own if path.exists()], "left behind for ever"


def shared_memory_of(pid: int) -> list[Path]:
    """Fast DDS's segments that are a process's own: it holds their locks."""
    links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    locks = [link for link in links if link.startswith("/dev/shm/fastrtps_") and "port" not in link]
    return [Path(link.removesuffix("_el")) for link in locks]


def test_two_cameras_with_jpeg_images_have_topics_of_their_own(
    world: World, client: Client
) -> None:
    for name in ("front", "rear"):
        client.listen(FrameStatus, f"/gsam_node/{name}/frame_status")
    with world.gsam_node(
        cameras="['front', 'rear']", image_transport="compressed", mode="lossless", device="cpu"
    ):
        client.wait_for_state("active")
        data = cv2.imencode(".jpg", grey(240, 320))[1].tobytes()
        bad = {
            ("rear", 2): b"rubbish",
            ("rear", 4): png_header(100_000, 100_000),
            ("front", 1): data[: len(data) // 3],
            ("front", 3): b"",
        }
        for i in range(6):
            for name in ("front", "rear"):
                header = Header(stamp=to_time(i * 10**8), frame_id=f"{name}_optical")
                message = CompressedImage(header=header, format="jpeg")
                message.data.frombytes(bad.get((name, i), data))
                client.show(message, f"/{name}/image/compressed")
        for name in ("front", "rear"):
            answers = client.wait_for(f"/gsam_node/{name}/frame_status", 6)
            assert [a.camera for a in answers] == [name] * 6
            assert {a.header.frame_id for a in answers} == {f"{name}_optical"}
            assert [bool(a.stage_names) for a in answers] == [
                (name, i) not in bad for i in range(6)
            ]
            assert dict(zip(answers[-1].drop_causes, answers[-1].drop_counts, strict=True)) == {
                "bad_image": 2
            }
        client.wait_for_log("/rear/image/compressed is dropped: its 7 bytes of format 'jpeg'")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mode", "fast", "mode is 'fast': give one of live, lossless"),
        ("detector__box_threshold", "7.0", "out of range"),
        ("queue_size", "many", "queue_size"),
        ("tracker.rate", 5, "write it with a dot, as in 5.0"),
    ],
)
def test_a_value_that_cannot_be_ends_the_start_with_one_message(world, name, value, words) -> None:
    with world.gsam_node(**{name: value}) as gsam:
        assert gsam.process.wait(60) == 1
        text = gsam.text()
        assert words in text
        assert "a parameter can't be used" in text
        assert "Traceback" not in text


def test_a_remapping_that_is_none_ends_the_start_with_one_message(world: World) -> None:
    program = ("-m", "gsam_ros.node.process", "--ros-args", "-r", "image:=/my image")
    with world.gsam_node(program=program) as gsam:
        assert gsam.process.wait(60) == 1
        *_, line = gsam.text().splitlines()
        assert line.endswith("Couldn't parse remap rule: '-r image:=/my image'")
        assert "Traceback" not in gsam.text()


def test_each_camera_has_the_transport_that_is_given_for_it(world: World, client: Client) -> None:
    with world.gsam_node(
        cameras="['front', 'rear']",
        image_transports="['compressed', 'raw']",
        mode="lossless",
        device="cpu",
    ):
        client.wait_for_state("active")
        packed = CompressedImage(header=Header(stamp=to_time(10**9)), format="png")
        packed.data.frombytes(cv2.imencode(".png", grey(60, 80))[1].tobytes())
        for name, message, topic in (
            ("front", packed, "/front/image/compressed"),
            ("rear", picture(1, grey(60, 80)), "/rear/image"),
        ):
            client.listen(FrameStatus, f"/gsam_node/{name}/frame_status")
            client.show(message, topic)
            assert client.wait_for(f"/gsam_node/{name}/frame_status", 1)[0].stage_names
