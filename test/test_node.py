"""The running node over DDS: what it publishes, what it refuses, and that it goes on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from gsam_ros.msg import FrameStatus
from node_harness import Client, World, grey, picture
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from gsam_ros.bridge.label_info import prompt_version
from gsam_ros.bridge.stamps import nanoseconds
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import phrase_of

STATUS = "/gsam_node/frame_status"
_seconds = itertools.count(1000)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client beside one node that loses nothing."""
    world = World(tmp_path_factory.mktemp("node"))
    with world.client() as client, world.gsam_node(mode="lossless", queue_size=40, device="cpu"):
        client.listen_to_results()
        client.wait_for_state("active")
        yield client


def show(client: Client, array: np.ndarray | None = None, **changes: object) -> FrameStatus:
    """Show one frame, one second younger than the last, and wait for its answer."""
    message = picture(next(_seconds), grey() if array is None else array)
    for name, value in changes.items():
        setattr(message, name, value)
    before = len(client.got[STATUS])
    client.show(message)
    answer = client.wait_for(STATUS, before + 1)[-1]
    assert answer.header == message.header
    return answer


def drops(status: FrameStatus) -> dict[str, int]:
    return dict(zip(status.drop_causes, status.drop_counts, strict=True))


def test_objects_are_found_named_and_masked_on_every_topic(client: Client) -> None:
    still = draw_still(np.random.default_rng(5), height=480, width=640, max_objects=4)
    words = [phrase_of(pair) for pair in zip(still.colour, still.shape, strict=True)]
    answer = client.set_prompt(". ".join(words))
    assert answer.success, answer.message
    status = [show(client, still.image) for _ in range(3)][-1]
    assert status.prompt_version == answer.prompt_version
    assert (status.stage_names[0], status.stage_names[-1]) == ("wait", "messages")
    assert nanoseconds(status.published) > nanoseconds(status.received)
    begins, ends = np.array(status.stage_begin_ms), np.array(status.stage_end_ms)
    assert begins[0] == 0
    assert (begins <= ends).all() and (ends[:-1] <= begins[1:]).all()
    whole = (nanoseconds(status.published) - nanoseconds(status.received)) / 1e6
    assert ends[-1] <= whole + 5, "they lie between receipt and publication, by two clocks"
    last = {
        topic: client.got[f"/gsam_node/{topic}"][-1]
        for topic in ("detections", "instances", "instance_mask", "semantic_mask", "label_info")
    }
    labels = {c.class_id: c.class_name for c in last["label_info"].class_map}
    assert list(labels.values()) == list(answer.phrases)
    assert prompt_version(last["label_info"]) == answer.prompt_version
    assert last["instances"].prompt_version == answer.prompt_version
    instances = last["instances"].instances
    assert len(instances) == status.instances > 0
    for topic in ("detections", "instances", "instance_mask", "semantic_mask"):
        assert last[topic].header == status.header, topic
    ids, classes = (
        np.frombuffer(last[topic].data, dtype).reshape(480, 640)
        for topic, dtype in (("instance_mask", np.uint16), ("semantic_mask", np.uint8))
    )
    assert set(np.unique(ids)) - {0} <= {i.track_id for i in instances}
    assert ((ids > 0) == (classes > 0)).all()
    found = 0
    for instance, detection in zip(instances, last["detections"].detections, strict=True):
        assert detection.id == str(instance.track_id)
        assert detection.results[0].hypothesis.class_id == labels[instance.class_id]
        centre, size = instance.bbox.center.position, (instance.bbox.size_x, instance.bbox.size_y)
        x1, y1 = centre.x - size[0] / 2, centre.y - size[1] / 2
        own = [still.boxes[i] for i, word in enumerate(words) if word == instance.phrase]
        found += any(
            np.abs(np.subtract(box, (x1, y1, x1 + size[0], y1 + size[1]))).max() < 25 for box in own
        )
    assert found >= len(words) / 2, f"of {words} only {found} were found where they are"


def test_labels_come_before_the_results_that_use_them(client: Client) -> None:
    version = client.set_prompt("blue star. white ring.").prompt_version
    labelled = client.got["/gsam_node/label_info"][-1]
    assert prompt_version(labelled) == version
    assert [c.class_name for c in labelled.class_map] == ["blue star", "white ring"]
    assert show(client).prompt_version == version


def test_names_thresholds_and_what_only_competes_reach_the_results(client: Client) -> None:
    still = draw_still(np.random.default_rng(5), height=480, width=640, max_objects=4)
    words = [phrase_of(pair) for pair in zip(still.colour, still.shape, strict=True)]

    def labels(text: str) -> set[str]:
        answer = client.set_prompt(text)
        assert answer.success, answer.message
        client.set_prompt("nothing of it. ")  # ends the tracks
        assert client.set_prompt(text).success
        status = [show(client, still.image) for _ in range(2)][-1]
        assert status.prompt_version == answer.prompt_version + 2
        found = client.got["/gsam_node/detections"][-1].detections
        return {detection.results[0].hypothesis.class_id for detection in found}

    assert labels(f"Part 7={'|'.join(words)}.") == {"Part 7"}
    assert labels(f"Part 7={'|'.join(words)}:1.") == set()
    assert labels(f"cat. !part={'|'.join(words)}.") == set()
    assert "is no phrase" in client.set_prompt("mug=.").message


@pytest.mark.parametrize(
    ("changes", "cause", "words"),
    [
        ({"height": 0, "width": 0}, "bad_image", "it has no pixels (0x0)"),
        ({"height": 121}, "bad_image", "need 58080 bytes, it has 57600"),
        ({"encoding": "h264"}, "bad_image", "encoding 'h264' is not known"),
    ],
)
def test_a_bad_image_is_answered_named_and_forgotten(client, changes, cause, words) -> None:
    before = drops(show(client)).get(cause, 0)
    bad = show(client, **changes)
    assert drops(bad)[cause] == before + 1
    assert (bad.instances, bad.stage_names) == (0, [])
    status = client.health("camera", lambda s: words in s.message)
    assert status.level != b"\0"
    good = show(client)
    assert good.frames_processed == bad.frames_processed + 1
    assert drops(good)[cause] == before + 1


def test_repeated_trouble_is_told_once_in_a_while(client: Client) -> None:
    before = len(client.logged("encoding 'v210'"))
    for _ in range(5):
        show(client, encoding="v210")
    assert len(client.logged("encoding 'v210'")) - before <= 1
    show(client)


def test_a_resolution_that_changes_is_no_trouble(client: Client) -> None:
    show(client)
    answer = show(client, grey(96, 128))
    assert answer.stage_names
    client.wait_for_log("/image: the resolution changed from ")
    assert show(client).stage_names


def test_a_recording_that_loops_starts_anew(client: Client) -> None:
    show(client)
    message = picture(5.0, grey())
    before = len(client.got[STATUS])
    client.show(message)
    answer = client.wait_for(STATUS, before + 1)[-1]
    assert answer.stage_names
    client.wait_for_log("/image: time jumped back by")
    client.show(picture(5.0, grey()))  # the same frame once more
    doubled = client.wait_for(STATUS, before + 2)[-1]
    assert drops(doubled)["stamp"] == 1
    assert show(client).stage_names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no object"),
        (" . .. ; \n", "names no object"),
        ("red mug. " * 5000, "characters"),
        (". ".join(f"thing {i}" for i in range(300)), "300 phrases"),
    ],
)
def test_a_prompt_that_cannot_be_used_says_why(client: Client, text: str, words: str) -> None:
    good = client.set_prompt("green cone.")
    answer = client.set_prompt(text)
    assert not answer.success
    assert words in answer.message
    status = client.health("prompt", lambda s: words in s.message)
    assert status.level == b"\1"
    assert show(client).prompt_version == good.prompt_version
    client.set_prompt("green cone. red mug.")
    client.health("prompt", lambda s: s.level == b"\0" and "green cone. red mug." in s.message)


def test_ten_thousand_characters_leave_the_node_alive(client: Client) -> None:
    client.set_prompt("red " * 2500)
    good = client.set_prompt("red ball.")
    assert good.success
    assert show(client).prompt_version == good.prompt_version


def test_words_of_any_script_are_taken_as_typed(client: Client) -> None:
    answer = client.set_prompt("rote Käsetasse. 赤いマグ. кружка.")
    assert answer.success, answer.message
    assert "кружка" in answer.phrases
    assert show(client).prompt_version == answer.prompt_version
    client.health("prompt", lambda s: s.level == b"\1" and "knows no word" in s.message)


def test_prompts_come_in_from_latched_and_volatile_publishers(client: Client) -> None:
    labels = client.got["/gsam_node/label_info"]

    def classes() -> list[str]:
        return [c.class_name for c in labels[-1].class_map]

    volatile = client.node.create_publisher(String, "/gsam_node/prompt", QoSProfile(depth=5))
    client.wait(lambda: volatile.get_subscription_count() >= 1, "a subscription")
    client.prompts.publish(String(data="yellow cup."))
    client.wait(lambda: classes() == ["yellow cup"], "the latched prompt")
    version = prompt_version(labels[-1])
    volatile.publish(String(data="purple star."))
    client.wait(lambda: classes() == ["purple star"], "the volatile prompt")
    client.prompts.publish(String(data="yellow cup."))
    client.wait(lambda: classes() == ["yellow cup"], "the latched prompt again")
    assert prompt_version(labels[-1]) == version + 2  # each counted once


def test_runtime_parameters_change_and_others_say_when_they_can(client: Client) -> None:
    assert client.set_parameter("detector.rate", 0.5).successful
    keyframes = [show(client).keyframe for _ in range(6)]
    assert sum(keyframes[-4:]) == 2
    assert client.set_parameter("detector.rate", 5.0).successful
    refused = client.set_parameter("device", "cuda")
    assert not refused.successful
    assert "is read when the node is configured" in refused.reason
    assert client.set_parameter("device", "cpu").successful, "it is that already"
    assert not client.set_parameter("detector.box_threshold", 1.5).successful
    assert not client.set_parameter("prompt", "...").successful
    assert client.set_parameter("prompt", "orange box.").successful
    labels = client.got["/gsam_node/label_info"]
    client.wait(lambda: labels[-1].class_map[0].class_name == "orange box", "the new prompt")
    assert not client.set_parameter("prompt", "").successful
    assert client.set_parameter("detector.box_threshold", 0.4).successful
    client.wait(lambda: labels[-1].threshold == pytest.approx(0.4), "the new threshold")
    assert client.set_parameter("detector.box_threshold", 0.35).successful


def test_a_full_queue_is_answered_too(client: Client) -> None:
    before, lost = len(client.got[STATUS]), drops(show(client)).get("queue_full", 0)
    big = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    for _ in range(60):
        client.show(picture(next(_seconds), big))
    answers = client.wait_for(STATUS, before + 61)[before + 1 :]
    assert len({nanoseconds(a.header.stamp) for a in answers}) == 60
    processed = [a for a in answers if a.stage_names]
    stamps = [nanoseconds(a.header.stamp) for a in processed]
    assert stamps == sorted(stamps)
    last = max(answers, key=lambda a: nanoseconds(a.published))
    assert drops(last).get("queue_full", 0) - lost == 60 - len(processed)


def test_the_lifecycle_goes_round_and_refuses_wrong_turns(client: Client) -> None:
    assert not client.change_state("activate")
    assert client.state() == "active"
    assert client.change_state("deactivate")
    answer = client.set_prompt("red ball. blue box.")
    assert answer.success  # the models are there
    publisher = client.images["/image"]
    client.wait(lambda: publisher.get_subscription_count() == 0, "no subscriber")
    assert client.change_state("activate")
    status = show(client)
    assert (status.frames_received, status.prompt_version) == (1, answer.prompt_version)
    assert client.change_state("deactivate")
    assert client.change_state("cleanup")
    assert client.state() == "unconfigured"
    kept = client.set_prompt("green mug.")
    assert kept.success
    assert "kept" in kept.message
    assert client.set_parameter("mode", "lossless").successful
    assert client.change_state("configure")
    assert client.change_state("activate")
    ends = client.node.get_subscriptions_info_by_topic("/image")
    kinds = [end.qos_profile.reliability for end in ends if end.node_name == "gsam_node"]
    assert kinds == [ReliabilityPolicy.RELIABLE], (
        "lossless asks for every image, in a second round too"
    )
    labels = client.got["/gsam_node/label_info"]
    client.wait(lambda: labels[-1].class_map[0].class_name == "green mug", "the kept prompt")
    assert show(client).stage_names
