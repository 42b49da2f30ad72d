"""Everything that can come in and is no image, no prompt or no time, through the running node."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point, PointStamped
from gsam_ros.msg import FrameStatus, VisualPrompt
from node_harness import Client, World, grey, picture
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

from gsam_ros.bridge.stamps import nanoseconds

FRONT, REAR = "/gsam_node/front/frame_status", "/gsam_node/rear/frame_status"
_seconds = itertools.count(1000)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client beside a node with two cameras that answers every frame."""
    world = World(tmp_path_factory.mktemp("faults"))
    with (
        world.client() as client,
        world.gsam_node(mode="lossless", device="cpu", cameras="['front', 'rear']"),
    ):
        client.listen_to_results("/gsam_node/front")
        client.listen_to_results("/gsam_node/rear")
        client.wait_for_state("active")
        client.set_prompt("red mug.")
        yield client


def answer(client: Client, message: Any, camera: str = "front") -> FrameStatus:
    """Publish an image, as a message or as the bytes of one, and wait for its answer."""
    topic = f"/gsam_node/{camera}/frame_status"
    before = len(client.got[topic])
    show(client, message, camera)
    return client.wait_for(topic, before + 1)[-1]


def show(client: Client, message: Any, camera: str = "front") -> None:
    topic = f"/{camera}/image"
    if isinstance(message, bytes):
        client.images[topic].publish(message)  # what goes over the wire, as it is
    else:
        client.show(message, topic)


def drops(status: FrameStatus) -> dict[str, int]:
    return dict(zip(status.drop_causes, status.drop_counts, strict=True))


def good(**changes: Any) -> Image:
    message = picture(next(_seconds), grey())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def cut(share: float) -> bytes:
    raw = serialize_message(good())
    return raw[: int(len(raw) * share)]


def with_length(number: int) -> bytes:
    """An image that says it holds so many bytes, whatever it holds."""
    raw = serialize_message(good())
    place = raw.index(struct.pack("<I", grey().size))
    return raw[:place] + struct.pack("<I", number) + raw[place + 4 :]


BAD_IMAGES = [
    {"step": 479},
    {"step": 0},
    {"step": 2**32 - 1},
    {"height": 2**32 - 1, "width": 2**32 - 1},
    {"height": 121},
    {"height": 0},
    {"width": 0, "height": 0, "step": 0},
    {"encoding": ""},
    {"encoding": "x" * 10_000},
    {"encoding": "bayer_rggb8", "height": 119},
    {"encoding": "yuyv", "width": 159},
    {"encoding": "rgba16"},
    {"encoding": "32FC1"},
]
CUT_OFF = [cut(0.5), cut(0.99), with_length(2**32 - 1), with_length(2**31)]


def test_images_that_are_none_are_answered_between_good_ones(client: Client) -> None:
    start = answer(client, good())
    told = len(client.logged("an image of /front/image is dropped"))
    bad = [good(**change) for change in BAD_IMAGES] + CUT_OFF
    answers = []
    for each in bad:
        answers.append(answer(client, each))
        answers.append(answer(client, good()))
    assert [bool(a.stage_names) for a in answers] == [False, True] * len(bad)
    assert drops(answers[-1])["bad_image"] == drops(start).get("bad_image", 0) + len(bad)
    assert answers[-1].frames_processed == start.frames_processed + len(bad)
    client.wait_for_log("an image of /front/image is dropped: its ")
    told = len(client.logged("an image of /front/image is dropped")) - told
    assert told < len(bad), "the log is flooded"
    status = client.health("camera front", lambda s: "bad_image" in s.message)
    assert "images of /front/image are dropped" in status.message
    assert answer(client, good(), "rear").stage_names
    assert "bad_image" not in drops(answer(client, good(), "rear"))


def test_bytes_of_which_not_even_the_header_can_be_read_are_counted(client: Client) -> None:
    before = answer(client, good())
    endless_name = serialize_message(good())[:12] + struct.pack("<I", 2**31)
    for raw in (b"\0", serialize_message(good())[:10], endless_name):
        show(client, raw)
    client.wait_for_log("/front/image: an image is dropped: ")
    after = answer(client, good())
    assert after.stage_names
    assert after.frames_received == before.frames_received + 4
    assert drops(after)["bad_image"] == drops(before).get("bad_image", 0) + 3


def test_more_data_than_pixels_need_is_no_trouble(client: Client) -> None:
    message = good()
    message.data.frombytes(b"\xff" * 5000)
    assert answer(client, message).stage_names


def test_images_of_any_size_are_answered_one_after_the_other(client: Client) -> None:
    sizes = [(1, 1), (2, 3), (480, 640), (7, 100), (100, 7), (1080, 1920), (120, 160)]
    for height, width in sizes:
        status = answer(client, picture(next(_seconds), grey(height, width)))
        assert status.stage_names, (height, width, drops(status))
    client.wait_for_log("/front/image: the resolution changed from ")


def test_a_header_that_says_nothing_comes_back_as_it_was(client: Client) -> None:
    message = picture(next(_seconds), grey(), frame="")
    status = answer(client, message)
    assert status.header == message.header
    assert status.stage_names
    odd = picture(next(_seconds), grey(), frame="ü/" * 200)
    assert answer(client, odd).header == odd.header


def test_stamps_that_stand_still_or_are_zero_are_named(client: Client) -> None:
    assert answer(client, good()).stage_names
    first, *others = [answer(client, picture(0, grey())) for _ in range(3)]
    assert first.stage_names  # time went back: the stream starts anew
    assert [a.stage_names for a in others] == [[], []]
    assert drops(others[-1])["stamp"] == 2
    client.wait_for_log("an image of /front/image is dropped: its stamp 0.000 is not newer")
    earlier = picture(-50, grey())
    assert answer(client, earlier).header == earlier.header
    overflowing = good()
    overflowing.header.stamp.nanosec = 2**32 - 1
    assert answer(client, overflowing).header == overflowing.header
    next(_seconds), next(_seconds), next(_seconds), next(_seconds)
    status = answer(client, good())
    assert status.stage_names
    stamps = [nanoseconds(a.header.stamp) for a in client.got[FRONT] if a.stage_names]
    assert stamps[-1] == max(stamps)


def test_faults_of_every_kind_at_once_leave_the_other_camera_and_the_order_alone(
    client: Client,
) -> None:
    answer(client, good())
    answer(client, good(), "rear")
    fronts, rears = len(client.got[FRONT]), len(client.got[REAR])
    text = client.node.create_publisher(String, "/gsam_node/prompt", 100)
    clicks = client.node.create_publisher(PointStamped, "/gsam_node/clicked_point", 100)
    client.wait(lambda: text.get_subscription_count() and clicks.get_subscription_count(), "both")
    rear = []
    for number, change in enumerate([*BAD_IMAGES, *CUT_OFF]):
        show(client, good(**change) if isinstance(change, dict) else change)
        show(client, b"\0")
        rear.append(good())
        show(client, rear[-1], "rear")
        text.publish(String(data=". ." * number))
        clicks.publish(
            PointStamped(header=Header(frame_id="front"), point=Point(x=float("nan"), y=-1.0))
        )
    client.wait_for(FRONT, fronts + len(rear))
    answers = client.wait_for(REAR, rears + len(rear))[rears:]
    assert [a.header for a in answers] == [m.header for m in rear]
    assert all(a.stage_names for a in answers)
    assert answer(client, good()).stage_names


@pytest.mark.parametrize(
    ("data", "looked_for"),
    [
        (b"K\xe4setasse. red mug.\0", "K\ufffdsetasse. red mug."),  # Latin-1 where UTF-8 belongs
        (b"\xff\xfe\xc0. red mug\0", "red mug."),
        (b"blue\0. red mug.\0", "blue."),  # a string ends at its first zero
    ],
)
def test_text_in_another_coding_is_read_as_far_as_it_goes(client, data, looked_for) -> None:
    publisher = client.node.create_publisher(String, "/gsam_node/prompt", 5)
    client.wait(lambda: publisher.get_subscription_count() >= 1, "the node")
    raw = b"\0\1\0\0" + struct.pack("<I", len(data)) + data

    def told(status: DiagnosticStatus) -> bool:
        # Again and again: the first is lost where the node does not know of the publisher yet.
        publisher.publish(raw)
        return looked_for in status.message

    client.health("prompt", told)
    assert answer(client, good()).stage_names


def test_prompts_that_are_cut_off_are_passed_over(client: Client) -> None:
    good_one = client.set_prompt("white ring.")
    publisher = client.node.create_publisher(String, "/gsam_node/prompt", 5)
    pointing = client.node.create_publisher(VisualPrompt, "/gsam_node/visual_prompt", 5)
    client.wait(lambda: publisher.get_subscription_count() >= 1, "the node")
    client.wait(lambda: pointing.get_subscription_count() >= 1, "the node")
    for raw in (
        b"\0\1\0\0",
        b"\0\1\0\0\5\0\0\0red",
        b"\0\1\0\0" + struct.pack("<I", 2**32 - 8) + b"red mug.\0",
    ):
        publisher.publish(raw)
        pointing.publish(raw)
    pointing.publish(VisualPrompt(header=Header(frame_id="front"), name="x", box=[np.nan] * 4))
    client.health("prompt", lambda s: "numbers that are not finite" in s.message)
    assert answer(client, good()).prompt_version == good_one.prompt_version
    assert client.set_prompt("red mug.").success
