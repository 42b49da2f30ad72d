"""Failures of the machine under the running node, and rounds of its lifecycle that leave nothing.

The node and the models are the real ones; `faulty_node.py` makes a device fail under them.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from faulty_node import BROKEN, FULL, LOST, NARROW, NO_MEMORY, SLOW
from gsam_ros.msg import FrameStatus, InstanceArray
from node_harness import Client, GsamProcess, World, grey, picture
from rclpy.node import NodeNameNonExistentError
from std_srvs.srv import Trigger
from transformers import Sam2VideoConfig, Sam2VideoModel

from gsam_ros.process_memory import resident_bytes
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import phrase_of

STATUS = "/gsam_node/frame_status"
ROUNDS = 6
MEGABYTE = 1_000_000
_seconds = itertools.count(1000)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("failures"))
    world.environment["GSAM_TEST_FAULT"] = str(world.folder / "fault")
    return world


@pytest.fixture
def fault(world: World) -> Path:
    return Path(world.environment["GSAM_TEST_FAULT"])


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with world.client() as client:
        client.listen_to_results()
        yield client


FAULTY = {"program": [str(Path(__file__).with_name("faulty_node.py"))], "device": "cpu"}


def show(client: Client, pixel: tuple[int, int, int] = (128, 128, 128)) -> FrameStatus:
    image = grey()
    image[0, 0] = np.array(pixel, np.uint8)
    message = picture(time.time(), image)
    client.show(message)
    answered = lambda: [s for s in client.got[STATUS] if s.header == message.header]  # noqa: E731
    return client.wait(answered, "an answer")[0]


def test_a_step_that_fails_is_told_with_its_place_and_the_stream_goes_on(
    world: World, client: Client
) -> None:
    with world.gsam_node(mode="lossless", **FAULTY):
        client.wait_for_state("active")
        version = client.set_prompt("red mug.").prompt_version
        assert show(client).stage_names
        answers = [show(client, pixel) for pixel in (BROKEN, NO_MEMORY)]
        assert [a.stage_names for a in answers] == [[], []]
        drops = dict(zip(answers[-1].drop_causes, answers[-1].drop_counts, strict=True))
        assert drops == {"error": 2}
        message = client.wait_for_log("an image of /image is dropped: RuntimeError: CUDA error")
        assert "faulty_node.py" in message
        client.health("camera", lambda s: "MemoryError: CUDA out of memory" in s.message)
        after = show(client)
        assert after.stage_names
        assert (after.prompt_version, after.keyframe) == (version, True)
        client.health("camera", lambda s: "error" not in s.message)
        # rclpy raises where one line of code tells of errors and of warnings.
        small = picture(time.time(), grey(60, 80))
        client.show(small)
        client.wait_for_log("the resolution changed from 160x120 to 80x60")
        client.wait(lambda: client.got[STATUS][-1].header == small.header, "an answer")
        assert client.got[STATUS][-1].stage_names
        assert show(client).stage_names


def test_who_waits_for_a_step_is_told_when_the_node_is_shut_down(
    world: World, client: Client
) -> None:
    reset = client.node.create_client(Trigger, "/gsam_node/reset")
    with world.gsam_node(mode="lossless", prompt="'red mug.'", **FAULTY):
        client.wait_for_state("active")
        show(client)
        slow = grey()
        slow[0, 0] = SLOW
        client.show(picture(time.time(), slow))
        unanswered = client.health("camera", lambda s: "none was answered for" in s.message)
        assert unanswered.level == b"\1"
        answer = reset.call_async(Trigger.Request())
        assert client.change_state("shutdown")
        client.wait(answer.done, "an answer of ~/reset")
        assert not answer.result().success
        assert answer.result().message == "the node was shut down meanwhile"


def test_a_device_without_memory_costs_speed_before_it_costs_objects(
    world: World, client: Client
) -> None:
    scene = draw_still(np.random.default_rng(5), height=480, width=640, max_objects=4)
    words = [phrase_of(pair) for pair in zip(scene.colour, scene.shape, strict=True)]

    def ids(pixel: tuple[int, int, int] = (128, 128, 128)) -> list[int]:
        scene.image[0, 0] = np.array(pixel, np.uint8)
        before = len(client.got["/gsam_node/instances"])
        client.show(picture(time.time(), scene.image))
        found = client.wait_for("/gsam_node/instances", before + 1)[-1]
        return [instance.track_id for instance in found.instances]

    with world.gsam_node(mode="lossless", prompt=f"'{'. '.join(words)}.'", **FAULTY):
        client.wait_for_state("active")
        known = client.wait(lambda: len(found := ids()) > 1 and found, "several objects")
        assert ids(NARROW) == known, "objects go through one by one"
        told = client.wait_for_log("tracked objects at once")
        assert told.startswith("CUDA out of memory: memory is short for ")
        short = client.health("models", lambda s: ids(NARROW) and "memory is short" in s.message)
        assert short.level == b"\1"
        client.wait(lambda: ids() and client.logged("memory is there again"), "the recovery")
        assert ids() == known
        client.health("models", lambda s: ids() and s.level == b"\0")

        ids(FULL)  # answered all the same
        client.wait_for_log("objects of the camera, 1 fit; lower tracker.max_objects")
        statuses = client.got[STATUS]
        client.wait(lambda: ids() and len(client.logged("memory is there again")) > 1, "them back")
        client.wait(lambda: len(ids()) == len(known), "all of them")  # at a keyframe
        assert statuses[-1].drop_causes == []


def test_a_device_that_is_lost_ends_the_process_for_a_launch_to_start_it_again(
    world: World, client: Client
) -> None:
    with world.gsam_node(mode="lossless", prompt="'red mug.'", **FAULTY) as gsam:
        client.wait_for_state("active")
        assert show(client).stage_names
        image = grey()
        image[0, 0] = LOST
        client.show(picture(time.time(), image))
        assert gsam.process.wait(20) == 1, gsam.text()
        assert "the device is lost, and this process ends (RuntimeError: CUDA error" in gsam.text()


def test_a_device_that_always_fails_is_an_error_and_a_new_start_mends_it(
    world: World, client: Client
) -> None:
    with world.gsam_node(mode="lossless", prompt="'red mug.'", **FAULTY):
        client.wait_for_state("active")
        for _ in range(3):
            show(client, BROKEN)
        # Longer than the statistics' window, nothing but failures: that is an error.
        failing = client.health("camera", lambda s: show(client, BROKEN) and s.level == b"\2")
        assert "images of /image are dropped" in failing.message
        for step in ("deactivate", "cleanup", "configure", "activate"):
            assert client.change_state(step), step
        assert show(client).stage_names
        client.health("camera", lambda s: show(client) and s.level == b"\0")


def test_an_error_in_a_transition_leads_through_error_processing_and_back(
    world: World, client: Client, fault: Path
) -> None:
    fault.touch()
    with world.gsam_node(mode="lossless", prompt="'red mug.'", **FAULTY) as gsam:
        words = "configure failed: RuntimeError: the device fell off the bus"
        status = client.health("models", lambda s: words in s.message)
        assert status.level == b"\2"
        assert "faulty_node.py" in status.message
        client.wait_for_state("unconfigured")
        assert client.node.count_publishers("/gsam_node/detections") == 0
        assert not client.change_state("configure"), "the fault is there"
        client.wait_for_state("unconfigured")
        fault.unlink()
        assert client.change_state("configure")
        assert client.change_state("activate")
        client.health("models", lambda s: s.level == b"\0")
        assert show(client).prompt_version == 1
        assert gsam.text().count("Traceback") == 2, "each failure is told in full, once"


def threads(gsam: GsamProcess) -> Counter[str]:
    """Threads of the process, by name; torch's and the middleware's have none of their own."""
    names = Counter[str]()
    for task in Path(f"/proc/{gsam.process.pid}/task").iterdir():
        try:
            names[(task / "comm").read_text().strip()] += 1
        except FileNotFoundError:
            continue  # it ended meanwhile
    return names


def topics(client: Client) -> tuple[Counter[str], Counter[str]]:
    """The node's subscriptions and publishers, by topic; none while nobody knows of the node."""
    node, ours = client.node, ("gsam_node", "/")
    try:
        ends = (
            node.get_subscriber_names_and_types_by_node(*ours),
            node.get_publisher_names_and_types_by_node(*ours),
        )
    except NodeNameNonExistentError:
        return Counter(), Counter()
    counts = []
    for listed in ends:
        counts.append(Counter[str]())
        for topic, _ in listed:
            look = (
                node.get_publishers_info_by_topic
                if counts[1:]
                else node.get_subscriptions_info_by_topic
            )
            counts[-1][topic] += sum(end.node_name == ours[0] for end in look(topic))
    return counts[0], counts[1]


@pytest.mark.slow
def test_rounds_of_the_lifecycle_leave_no_memory_threads_or_topics(
    world: World, client: Client
) -> None:
    scene = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    with world.gsam_node(
        mode="lossless", device="cpu", prompt="'red mug. blue box.'", depth=True, autostart="false"
    ) as gsam:
        client.wait_for_state("unconfigured")
        pid = gsam.process.pid
        empty = client.wait(lambda: topics(client)[0] and topics(client), "the node's topics")
        loaded, released, working, at_rest = [], [], [], []
        for _ in range(ROUNDS):
            assert client.change_state("configure")
            assert client.change_state("activate")
            for _ in range(3):
                message = picture(next(_seconds), scene)
                before = len(client.got[STATUS])
                client.show(message)
                assert client.wait_for(STATUS, before + 1)[-1].stage_names
            loaded.append(resident_bytes(pid))
            working.append((threads(gsam), topics(client)))
            assert client.change_state("deactivate")
            publisher = client.images["/image"]
            client.wait(lambda p=publisher: p.get_subscription_count() == 0, "the end of it")
            assert client.change_state("cleanup")
            client.wait(lambda: topics(client) == empty, "the topics' end")
            at_rest.append(threads(gsam))
            released.append(resident_bytes(pid))
        print("loaded  ", [size // MEGABYTE for size in loaded])
        print("released", [size // MEGABYTE for size in released])
        print("threads ", [sum(names.values()) for names in at_rest], dict(at_rest[-1]))
        # The first rounds fill what Python and torch keep for good.
        assert at_rest[-1] == at_rest[1]
        assert working[-1] == working[1]
        assert max(loaded[2:]) - loaded[1] < 40 * MEGABYTE
        assert max(released[2:]) - released[1] < 40 * MEGABYTE


def test_cleanup_gives_the_models_memory_back(world: World, client: Client, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Sam2VideoModel(Sam2VideoConfig())  # the size of sam2.1-hiera-tiny
    model.save_pretrained(tmp_path)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    assert weights > 150 * MEGABYTE
    del model
    with world.gsam_node(
        device="cpu",
        autostart="false",
        segmenter__model=tmp_path,
        segmenter__image_size=128,
    ) as gsam:
        client.wait_for_state("unconfigured")
        released = []
        for _ in range(2):
            assert client.change_state("configure")
            loaded = resident_bytes(gsam.process.pid)
            assert client.change_state("cleanup")
            released.append(resident_bytes(gsam.process.pid))
            print(f"loaded {loaded / MEGABYTE:.0f} MB, released {released[-1] / MEGABYTE:.0f} MB")
            assert loaded - released[-1] > weights
        assert released[1] - released[0] < 0.2 * weights


def test_a_camera_that_makes_every_step_fail_leaves_the_others_their_tracks(
    world: World, client: Client
) -> None:
    scene = draw_still(np.random.default_rng(5), height=480, width=640, max_objects=4)
    words = [phrase_of(pair) for pair in zip(scene.colour, scene.shape, strict=True)]
    client.listen(FrameStatus, "/gsam_node/bad/frame_status")
    client.listen(FrameStatus, "/gsam_node/good/frame_status")
    instances = client.listen(InstanceArray, "/gsam_node/good/instances")
    with world.gsam_node(cameras="['bad', 'good']", prompt=f"'{'. '.join(words)}.'", **FAULTY):
        client.wait_for_state("active")
        broken = grey()
        broken[0, 0] = BROKEN

        def both(rounds: int) -> None:
            """Show images of both cameras until the good one has so many answers more."""
            wanted = len(instances) + rounds

            def show_and_look() -> bool:
                client.show(picture(time.time(), broken), "/bad/image")
                client.show(picture(time.time(), scene.image), "/good/image")
                return len(instances) >= wanted

            client.wait(show_and_look, "answers of the good camera")

        both(3)
        client.wait_for_log("an image of /bad/image is dropped: RuntimeError: CUDA error")
        both(3)
        tracks = {i.track_id for i in instances[-1].instances}
        assert tracks, f"no {words} was found: the test proves nothing"
        both(6)
        assert tracks <= {i.track_id for i in instances[-1].instances}
        last = client.got["/gsam_node/good/frame_status"][-1]
        assert "error" not in last.drop_causes
        assert client.got["/gsam_node/bad/frame_status"][-1].frames_processed == 0
