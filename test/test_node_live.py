"""The running node in live mode while much goes wrong at once, and topics nobody listens to."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import rclpy
from gsam_ros.msg import FrameStatus
from node_faults import camera_process
from node_harness import Client, World, grey, picture
from rclpy.context import Context
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String
from vision_msgs.msg import Detection2DArray

from gsam_ros.bridge.stamps import nanoseconds, to_time

pytestmark = pytest.mark.alone

FRONT, REAR = "/gsam_node/front/frame_status", "/gsam_node/rear/frame_status"
PROMPTS = 100


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("live"))


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with world.client() as client:
        yield client


def goes_on(client: Client, topic: str, frames: int = 5) -> list[FrameStatus]:
    """Wait for frames that are answered with results from now on."""
    before = len(client.got[topic])
    answered = lambda: [s for s in client.got[topic][before:] if s.stage_names]  # noqa: E731
    return client.wait(lambda: len(answered()) >= frames and answered(), f"answers on {topic}")


def deaf_listener(world: World, topics: dict[str, type]) -> Context:
    """A reliable subscriber that never takes a message out."""
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node("deaf", context=context)
    for topic, kind in topics.items():
        node.create_subscription(kind, topic, print, 1)
    return context


@pytest.mark.slow
def test_floods_dead_cameras_deaf_listeners_and_clocks_that_jump(
    world: World, client: Client
) -> None:
    """Nothing of it may end the node, block it, or reach the results of another camera."""
    for topic in (FRONT, REAR):
        client.listen(FrameStatus, topic)
    clock = client.node.create_publisher(Clock, "/clock", 10)
    text = client.node.create_publisher(String, "/gsam_node/prompt", PROMPTS)
    with world.gsam_node(
        cameras="['front', 'rear', 'late']", device="cpu", use_sim_time="true", topic_timeout="1.0"
    ) as gsam:
        client.wait_for_state("active")
        client.wait(lambda: text.get_subscription_count() >= 1, "a listener to prompts")
        deaf = deaf_listener(
            world, {"/gsam_node/front/overlay": Image, "/gsam_node/front/instance_mask": Image}
        )
        with camera_process(world.environment, "/front/image", 200):
            with camera_process(world.environment, "/rear/image", 20):
                goes_on(client, FRONT)
                goes_on(client, REAR)
                for number in range(PROMPTS):
                    text.publish(String(data=f"thing {number}."))
                    # An hour ahead, half an hour back, and so on.
                    clock.publish(Clock(clock=to_time((5000 + 1800 * (number % 3)) * 10**9)))
                    time.sleep(0.01)
                last = client.health("prompt", lambda s: f"thing {PROMPTS - 1}." in s.message)
                version = int({v.key: v.value for v in last.values}["version"])
                assert goes_on(client, FRONT)[-1].prompt_version == version
                assert goes_on(client, REAR)[-1].prompt_version == version
            # The rear camera is dead, the front one goes on.
            goes_on(client, FRONT, 10)
            client.health("camera rear", lambda s: "images came before" in s.message)
            client.wait_for_log("no image on /rear/image for ")
            with camera_process(world.environment, "/rear/image", 20):
                before = client.got[REAR][-1]
                after = goes_on(client, REAR)[-1]
                assert after.frames_processed > before.frames_processed
                assert "bad_image" not in after.drop_causes
                goes_on(client, FRONT)
        # The flood is over, and a camera that never came does, in another size.
        statuses = client.listen(FrameStatus, "/gsam_node/late/frame_status")
        client.show(picture(time.time(), grey(240, 320)), "/late/image")
        [status] = client.wait_for("/gsam_node/late/frame_status", 1)
        assert status.stage_names
        assert statuses[0].prompt_version == version
        for topic in (FRONT, REAR):
            stamps = [nanoseconds(s.header.stamp) for s in client.got[topic]]
            assert stamps == sorted(set(stamps))
        flooded = client.got[FRONT][-1]
        drops = dict(zip(flooded.drop_causes, flooded.drop_counts, strict=True))
        assert drops["superseded"] > 0
        assert set(drops) == {"superseded"}
        assert "Traceback" not in gsam.text()
        rclpy.shutdown(context=deaf)


def test_nothing_is_made_for_topics_to_which_nobody_listens(world: World, client: Client) -> None:
    statuses = client.listen(FrameStatus, "/gsam_node/frame_status")
    seconds = iter(range(1000, 2000))

    def show() -> FrameStatus:
        before = len(statuses)
        client.show(picture(next(seconds), grey(480, 640)))
        return client.wait_for("/gsam_node/frame_status", before + 1)[-1]

    with world.gsam_node(mode="lossless", device="cpu", prompt="'red mug.'", depth=True):
        client.wait_for_state("active")
        status = show()
        assert "overlay" not in status.stage_names
        assert "metres" not in status.stage_names
        overlays = client.listen(Image, "/gsam_node/overlay")
        boxes = client.listen(Detection2DArray, "/gsam_node/detections")
        # The node learns of a subscription by and by.
        client.wait(lambda: "overlay" in show().stage_names, "the overlay")
        client.wait(lambda: overlays and boxes, "both topics")
        assert overlays[-1].header == statuses[-1].header
        for subscription in list(client.node.subscriptions):
            if subscription.topic_name == "/gsam_node/overlay":
                client.node.destroy_subscription(subscription)
        client.wait(lambda: "overlay" not in show().stage_names, "the end of the overlay")
        assert len(boxes) > 1
