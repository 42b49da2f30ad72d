"""Pointing at objects of two cameras through the running node."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from gsam_ros.msg import VisualPrompt
from gsam_ros.srv import RemoveObject
from node_harness import Client, World, grey, picture
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Point2D

from gsam_ros.bridge.images import encode_image
from gsam_ros.bridge.label_info import prompt_version
from gsam_ros.world.scene import Scene

TRUTH = Scene(seed=1).render(0, 0.0)
MUG = TRUTH.pairs.index(("red", "mug"))
PROMPTS, CLICKS = "/gsam_node/visual_prompt", "/gsam_node/clicked_point"
_seconds = itertools.count(1000)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client beside a node that has seen one image of each of two cameras."""
    world = World(tmp_path_factory.mktemp("node"))
    with (
        world.client() as client,
        world.gsam_node(mode="lossless", device="cpu", cameras="['front', 'back']"),
    ):
        for camera in ("front", "back"):
            client.listen_to_results(f"/gsam_node/{camera}")
        client.wait_for_state("active")
        show(client)
        show(client, "back")
        yield client


def show(client: Client, camera: str = "front"):
    """The instances of a new image: the front camera sees the scene, the back one nothing."""
    array = TRUTH.image if camera == "front" else grey(120, 160)
    answers = f"/gsam_node/{camera}/frame_status"
    before = len(client.got[answers])
    message = picture(next(_seconds), array, frame=f"{camera}_optical")
    client.show(message, f"/{camera}/image")
    client.wait_for(answers, before + 1)
    instances = f"/gsam_node/{camera}/instances"
    is_there = lambda: client.got[instances] and client.got[instances][-1].header == message.header  # noqa: E731
    client.wait(is_there, "its instances")
    return client.got[instances][-1]


def publish(client: Client, message: VisualPrompt | PointStamped) -> None:
    client.show(message, PROMPTS if isinstance(message, VisualPrompt) else CLICKS)


def classes(client: Client, camera: str = "front") -> list[str]:
    labels = client.got[f"/gsam_node/{camera}/label_info"]
    return [c.class_name for c in labels[-1].class_map] if labels else []


def mug(name: str, **where) -> VisualPrompt:
    return VisualPrompt(header=Header(frame_id="front"), name=name, **where)


def test_a_boxed_object_comes_out_under_its_name_and_leaves_when_it_is_removed(client) -> None:
    publish(client, mug("tool", box=[float(edge) for edge in TRUTH.boxes[MUG]]))
    for camera in ("front", "back"):
        client.wait(lambda camera=camera: "tool" in classes(client, camera), "the new label")
    array = show(client)
    [instance] = [i for i in array.instances if i.phrase == "tool"]
    labels = client.got["/gsam_node/front/label_info"][-1]
    assert array.prompt_version == prompt_version(labels)
    assert labels.class_map[instance.class_id - 1].class_name == "tool"
    semantic = client.got["/gsam_node/front/semantic_mask"][-1]
    pixels = np.frombuffer(semantic.data, np.uint8).reshape(TRUTH.image.shape[:2])
    assert (pixels[TRUTH.masks[MUG]] == instance.class_id).mean() > 0.5
    assert not show(client, "back").instances

    answer = client.set_prompt("dog.")
    assert list(answer.phrases) == ["dog"]
    client.wait(lambda: classes(client) == ["dog", "tool"], "both labels")
    array = show(client)
    assert [(i.phrase, i.class_id) for i in array.instances] == [("tool", 2)]
    assert array.prompt_version == answer.prompt_version

    request = RemoveObject.Request(camera="front", track_id=instance.track_id)
    assert client.call(RemoveObject, "/gsam_node/remove_object", request).success
    assert not show(client).instances
    again = client.call(RemoveObject, "/gsam_node/remove_object", request)
    assert not again.success
    assert again.message == f"no object of camera 'front' has the id {instance.track_id}"
    for name in ("left", "", "front_optical"):
        request.camera = name
        nowhere = client.call(RemoveObject, "/gsam_node/remove_object", request)
        assert nowhere.message == f"there is no camera {name!r}: name one of 'front', 'back'"


def test_a_mask_is_followed_until_the_reset(client) -> None:
    mask = encode_image(255 * TRUTH.masks[MUG].astype(np.uint8), "mono8", Header())
    publish(client, mug("my mug", mask=mask))
    client.wait(lambda: "my mug" in classes(client), "the new label")
    assert [i.phrase for i in show(client).instances] == ["my mug"]
    assert client.call(Trigger, "/gsam_node/reset", Trigger.Request()).success
    assert not show(client).instances
    show(client, "back")


def click(x: int, y: int, z: int = 0, frame: str = "back_optical") -> PointStamped:
    return PointStamped(
        header=Header(frame_id=frame), point=Point(x=float(x), y=float(y), z=float(z))
    )


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (mug(""), "the name '' is empty"),
        (mug("tool"), "nothing is given"),
        (mug("tool", box=[1.0, 2.0, 3.0]), "3 numbers"),
        (mug("tool", box=[9.0, 9.0, 9.0, 9.0]), "no area within the camera's 640x480 image"),
        (mug("tool", points=[Point2D(x=1.0, y=2.0)], labels=[1, 0]), "1 points have 2 labels"),
        (mug("tool", mask=picture(0, grey())), "encoding is 'rgb8': give mono8"),
        (mug("tool", mask=picture(0, grey()[..., 0], "mono8")), "the mask is 160x120"),
        (VisualPrompt(name="tool", box=[1.0, 2.0, 30.0, 40.0]), "no camera has the name"),
        (click(200, 100), "outside the camera's 160x120 image"),  # of the camera meant
        (click(1000, 100, frame="front"), "outside the camera's 640x480 image"),
        (click(1, 2, 3), "lies in space"),
        (click(9, 9, frame="attic"), "no camera has the name or frame_id 'attic'"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_topic_and_changes_nothing(
    client, message, words
) -> None:
    version = show(client).prompt_version
    publish(client, message)
    status = client.health("prompt", lambda s: words in s.message)
    assert status.level == b"\1"
    topic = PROMPTS if isinstance(message, VisualPrompt) else CLICKS
    assert f"the last prompt was rejected: {topic}: " in status.message
    after = show(client)
    assert (after.prompt_version, after.instances) == (version, [])
    assert client.logged(f"prompt rejected: {topic}: ")
