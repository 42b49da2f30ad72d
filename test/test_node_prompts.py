"""Two cameras of the running node with prompts of their own, of which one has depth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from gsam_ros.msg import InstanceArray
from node_harness import LATCHED, Client, World, picture
from std_msgs.msg import String
from vision_msgs.msg import Detection3DArray, LabelInfo

from gsam_ros.bridge.label_info import prompt_version
from gsam_ros.world.scene import Scene

CAMERAS = ("front", "rear")
SCENE = Scene(seed=1)  # a red mug, a purple ball and a blue ring stand in it
_seconds = itertools.count(1000)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    world = World(tmp_path_factory.mktemp("node"))
    with world.client() as client:
        own = client.node.create_publisher(String, "/gsam_node/front/prompt", LATCHED)
        own.publish(String(data="blue ring."))  # nobody is there yet
        client.images["/gsam_node/front/prompt"] = own
        for camera in CAMERAS:
            client.listen_to_results(f"/gsam_node/{camera}")
            client.listen(Detection3DArray, f"/gsam_node/{camera}/detections_3d")
        with world.gsam_node(
            mode="lossless",
            device="cpu",
            cameras="['front', 'rear']",
            prompt="'red mug.'",
            prompts="['white ring.', 'dog.']",
            depth_cameras="['front']",
        ):
            client.wait_for_state("active")
            yield client


def labels(client: Client, camera: str) -> list[str]:
    told = client.got[f"/gsam_node/{camera}/label_info"]
    return [c.class_name for c in told[-1].class_map] if told else []


def wait_for_labels(client: Client, camera: str, *names: str) -> None:
    client.wait(lambda: labels(client, camera) == list(names), f"{names} of {camera}")


def show(client: Client) -> dict[str, InstanceArray]:
    """The instances of a new image of each camera: both see the same."""
    second = next(_seconds)
    for camera in CAMERAS:
        client.show(picture(second, SCENE.render(0, 0.0).image), f"/{camera}/image")

    def answer(camera: str) -> InstanceArray | None:
        got = client.got[f"/gsam_node/{camera}/instances"]
        return next((a for a in got if a.header.stamp.sec == second), None)

    return {c: client.wait(lambda c=c: answer(c), f"instances of {c}") for c in CAMERAS}


def found(client: Client) -> dict[str, set[str]]:
    """Names of what each camera sees, checked against what it says that they mean."""
    answers = show(client)
    for camera, array in answers.items():
        told = client.wait(lambda c=camera, a=array: labels_of(client, c, a), "what ids mean")
        for instance in array.instances:
            assert told.class_map[instance.class_id - 1].class_name == instance.phrase
    return {camera: {i.phrase for i in array.instances} for camera, array in answers.items()}


def labels_of(client: Client, camera: str, array: InstanceArray) -> LabelInfo | None:
    told = client.got[f"/gsam_node/{camera}/label_info"]
    return next((m for m in told if prompt_version(m) == array.prompt_version), None)


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {each.key: each.value for each in status.values}


def test_cameras_look_for_their_own_until_they_are_told_otherwise(client: Client) -> None:
    # What was latched for a camera counts for more than its parameter, as with one prompt for all.
    wait_for_labels(client, "front", "blue ring")
    wait_for_labels(client, "rear", "dog")
    assert found(client) == {"front": {"blue ring"}, "rear": set()}

    answer = client.set_prompt("purple ball.")  # for all, of which none is left
    assert answer.success
    assert found(client) == {"front": {"blue ring"}, "rear": set()}

    own = client.set_prompt("red mug. dog.", camera="rear")
    assert list(own.phrases) == ["red mug", "dog"]
    assert own.prompt_version > answer.prompt_version
    before = show(client)
    assert {i.phrase for i in before["rear"].instances} == {"red mug"}
    assert before["rear"].prompt_version == own.prompt_version

    client.show(String(data=""), "/gsam_node/front/prompt")
    wait_for_labels(client, "front", "purple ball")
    after = show(client)
    assert {i.phrase for i in after["front"].instances} == {"purple ball"}
    assert after["front"].prompt_version > own.prompt_version
    ids = lambda array: sorted(i.track_id for i in array.instances)  # noqa: E731
    assert ids(after["rear"]) == ids(before["rear"])
    assert after["rear"].prompt_version == own.prompt_version

    given_up = client.set_prompt("", camera="rear")
    assert (given_up.success, list(given_up.phrases)) == (True, ["purple ball"])
    assert found(client) == {"front": {"purple ball"}, "rear": {"purple ball"}}


def test_what_cannot_be_used_is_told_and_changes_nothing(client: Client) -> None:
    assert client.set_prompt("blue ring. чашка.", camera="front").success
    before = show(client)
    answer = client.set_prompt("dog.", camera="attic")
    assert not answer.success
    assert answer.message.startswith("there is no camera 'attic': name one of 'front', 'rear'")
    assert not client.set_prompt("...", camera="front").success
    assert not client.set_prompt("").success
    client.show(String(data="mug:50."), "/gsam_node/rear/prompt")
    client.health("prompt", lambda s: "rejected: camera 'rear': 'mug:50' has no score" in s.message)
    for prompts, reason in (
        (["dog."], "prompts has 1 entries for 2 cameras"),
        (["dog.", "mug=."], "is no phrase"),
    ):
        refused = client.set_parameter("prompts", prompts)
        assert not refused.successful
        assert reason in refused.reason
    after = show(client)
    for camera in CAMERAS:
        assert after[camera].prompt_version == before[camera].prompt_version
    assert {i.phrase for i in after["front"].instances} == {"blue ring"}
    own = client.health("prompt front", lambda s: True)
    assert own.level == b"\1"
    assert "knows no word of: чашка" in own.message


def test_parameters_say_each_cameras_prompt_and_diagnostics_tell_it(client: Client) -> None:
    assert client.set_parameter("prompts", ["", "red mug."]).successful
    wait_for_labels(client, "rear", "red mug")
    wait_for_labels(client, "front", "purple ball")
    assert client.set_parameter("prompt", "blue ring.").successful
    wait_for_labels(client, "front", "blue ring")
    assert found(client) == {"front": {"blue ring"}, "rear": {"red mug"}}
    # A file that is loaded again says nothing of what came another way where it is empty.
    client.set_prompt("dog.", camera="front")
    assert client.set_parameter("prompts", ["", "red mug."]).successful
    assert client.set_prompt("green star.").success
    wait_for_labels(client, "front", "dog")
    client.set_prompt("", camera="front")
    assert client.set_parameter("prompt", "blue ring.").successful
    for camera, prompt in (("front", "blue ring."), ("rear", "red mug.")):
        client.health(f"camera {camera}", lambda s, p=prompt: values(s).get("prompt") == p)
    client.health("prompt", lambda s: s.message == "blue ring.")
    client.health("prompt rear", lambda s: s.message == "red mug.")
    names = [s.name for s in client.got["/diagnostics"][-1].status]
    assert "gsam_node: prompt front" not in names


def test_depth_is_subscribed_and_published_where_there_is_some(client: Client) -> None:
    publishers, subscribers = client.node.count_publishers, client.node.count_subscribers
    for count, topic in (
        (publishers, "/gsam_node/{}/detections_3d"),
        (publishers, "/gsam_node/{}/instance_cloud"),
        (subscribers, "/{}/depth"),
        (subscribers, "/{}/camera_info"),
    ):
        client.wait(lambda n=count, t=topic: n(t.format("front")) == 1, f"{topic} of front")
        assert count(topic.format("rear")) == 0


def test_after_another_configuration_prompts_are_as_before(client: Client) -> None:
    assert client.change_state("deactivate")
    assert client.change_state("cleanup")
    topic = "/gsam_node/rear/prompt"
    client.wait(lambda: client.node.count_subscribers(topic) == 0, f"the end of {topic}")
    for name, wrong, right, words in (
        ("prompts", ["a.", "b.", "c."], ["", "red mug."], "prompts has 3 entries for 2 cameras"),
        ("depth_cameras", ["attic"], ["rear"], "depth_cameras names 'attic'"),
    ):
        assert client.set_parameter(name, wrong).successful  # the cameras may still change
        assert not client.change_state("configure")
        client.wait_for_log(words)
        assert client.set_parameter(name, right).successful
    kept = client.set_prompt("white ring.", camera="front")
    assert kept.success
    assert "kept" in kept.message
    assert client.change_state("configure")
    assert client.change_state("activate")
    wait_for_labels(client, "front", "white ring")
    wait_for_labels(client, "rear", "red mug")
    assert found(client)["rear"] == {"red mug"}
    client.wait(
        lambda: client.node.count_publishers("/gsam_node/rear/detections_3d") == 1, "its depth"
    )
    assert client.node.count_publishers("/gsam_node/front/detections_3d") == 0
