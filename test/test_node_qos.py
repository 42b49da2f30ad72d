"""Quality of service of the running node: overrides, and who never meets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from gsam_ros.msg import FrameStatus
from node_harness import BEST_EFFORT, LATCHED, Client, World, grey, picture
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from vision_msgs.msg import Detection2DArray

RELIABLE = ReliabilityPolicy.RELIABLE


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("qos"))


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with world.client() as client:
        yield client


def profile(client: Client, topic: str, publisher: bool) -> QoSProfile:
    """That of the node's own end of a topic, as everybody can see it."""
    look = (
        client.node.get_publishers_info_by_topic
        if publisher
        else client.node.get_subscriptions_info_by_topic
    )

    def own() -> list[Any]:
        return [end for end in look(topic) if end.node_name == "gsam_node"]

    return client.wait(own, f"the node on {topic}")[0].qos_profile


def told(client: Client, *words: str) -> str:
    """Wait until /diagnostics warns of a topic in these words; the whole warning."""
    status = client.health("topics", lambda s: all(word in s.message for word in words))
    assert status.level == b"\1"
    return status.message


def with_overrides(world: World, name: str, overrides: dict[str, Any]) -> dict[str, Path]:
    """What makes the node take overrides from a parameter file, as users write them."""
    path = world.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": {"qos_overrides": overrides}}}))
    return {"parameter_file": path}


def test_overrides_reach_the_topic_they_name_and_no_other(world: World, client: Client) -> None:
    overrides = {
        "/front/image": {"subscription": {"reliability": "reliable", "depth": 2}},
        "/gsam_node/front/detections": {
            "publisher": {"reliability": "best_effort", "durability": "transient_local"}
        },
        "/gsam_node/front/detection": {"publisher": {"depth": 3}},  # a typing error
    }
    with world.gsam_node(
        device="cpu", cameras="['front', 'rear']", **with_overrides(world, "some", overrides)
    ):
        client.wait_for_state("active")
        assert profile(client, "/front/image", False).reliability == RELIABLE
        assert profile(client, "/rear/image", False).reliability != RELIABLE
        own = profile(client, "/gsam_node/front/detections", True)
        assert own.reliability != RELIABLE
        assert own.durability == DurabilityPolicy.TRANSIENT_LOCAL
        unused = "'qos_overrides./gsam_node/front/detection.publisher.depth'"
        client.wait_for_log(f"there is no parameter {unused}: its value is not used")
        assert len(client.logged("its value is not used")) == 1
        for other in ("front/instances", "front/overlay", "rear/detections"):
            untouched = profile(client, f"/gsam_node/{other}", True)
            assert untouched.reliability == RELIABLE, other
            assert untouched.durability == DurabilityPolicy.VOLATILE, other
        # Every round of the lifecycle finds them again.
        for step in ("deactivate", "cleanup", "configure", "activate"):
            assert client.change_state(step), step
        assert profile(client, "/front/image", False).reliability == RELIABLE
        client.listen(FrameStatus, "/gsam_node/front/frame_status")
        client.show(picture(1, grey()), "/front/image")
        assert client.wait_for("/gsam_node/front/frame_status", 1)[0].stage_names


LIVE = {"history": "keep_last", "depth": 5, "reliability": "best_effort"}
"""What `ros2 param dump` writes of a node in live mode."""


@pytest.mark.parametrize(
    ("overrides", "step", "words"),
    [
        (
            {"/gsam_node/overlay": {"publisher": {"reliability": "sometimes"}}},
            "configure",
            "a parameter qos_overrides./gsam_node/overlay.publisher.* can't be used",
        ),
        (
            {"/image": {"subscription": {"depth": "many"}}},
            "activate",
            "a parameter qos_overrides./image.subscription.* can't be used",
        ),
        (
            {"/image": {"subscription": LIVE}},
            "activate",
            "qos_overrides./image.subscription.* keep the last 5 messages",
        ),
    ],
)
def test_an_override_that_cannot_be_is_named_and_leaves_nothing_behind(
    world: World, client: Client, overrides, step, words
) -> None:
    given = with_overrides(world, step, overrides)
    with world.gsam_node(device="cpu", mode="lossless", autostart="false", **given):
        client.wait_for_state("unconfigured")
        if step == "activate":
            assert client.change_state("configure")
        assert not client.change_state(step)
        assert f"{step} failed" in client.wait_for_log(words)
        unhealthy = client.health("models", lambda s: words in s.message)
        assert unhealthy.level == b"\2"
        assert client.state() == ("inactive" if step == "activate" else "unconfigured")
        topic, publisher = ("/gsam_node/detections", True) if step == "configure" else ("/image", 0)
        count = client.node.count_publishers if publisher else client.node.count_subscribers
        client.wait(lambda: count(topic) == 0, f"nobody on {topic}")


@pytest.mark.slow
def test_whoever_never_meets_the_node_is_named_with_both_sides_and_a_remedy(
    world: World, client: Client
) -> None:
    node = client.node
    with world.gsam_node(device="cpu", cameras="['front', 'rear']", image_reliability="reliable"):
        client.wait_for_state("active")
        client.health("topics", lambda s: s.level == b"\0")

        shy = node.create_publisher(Image, "/front/image", BEST_EFFORT)
        message = told(client, "/front/image: ")
        assert "node /test_client publishes best_effort, this node asks for reliable" in message
        assert "qos_overrides./front/image.subscription.reliability set to best_effort" in message
        client.wait_for_log("/front/image: node /test_client publishes best_effort")
        client.wait_for_log("no image on /front/image")
        node.destroy_publisher(shy)
        client.health("topics", lambda s: s.level == b"\0")
        assert len(client.logged("/front/image: node /test_client")) == 1, "the log is flooded"

        foreign = node.create_publisher(CompressedImage, "/rear/image", 5)
        message = told(client, "/rear/image: ")
        assert "sensor_msgs/msg/CompressedImage, this node takes sensor_msgs/msg/Image" in message
        assert "image_transport" in message
        node.destroy_publisher(foreign)

        late = node.create_subscription(
            Detection2DArray, "/gsam_node/front/detections", print, LATCHED
        )
        message = told(client, "/gsam_node/front/detections: ")
        assert "node /test_client asks for transient_local, this node publishes volatile" in message
        assert "front/detections.publisher.durability set to transient_local" in message
        node.destroy_subscription(late)

        timid = node.create_publisher(String, "/gsam_node/prompt", BEST_EFFORT)
        message = told(client, "/gsam_node/prompt: ")
        assert "publishes best_effort, this node asks for reliable" in message
        assert "qos_overrides" not in message, "there is no such parameter"
        node.destroy_publisher(timid)
        # Volatile and latched prompts both meet the node.
        node.create_publisher(String, "/gsam_node/prompt", QoSProfile(depth=1))
        client.health("topics", lambda s: s.level == b"\0")
        client.listen(FrameStatus, "/gsam_node/front/frame_status")
        client.show(picture(1, grey()), "/front/image")
        assert client.wait_for("/gsam_node/front/frame_status", 1)[0].stage_names
