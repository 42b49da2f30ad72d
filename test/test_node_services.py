"""~/detect and ~/enable of the running node, beside a stream that is being tracked."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np
import pytest
from gsam_ros.srv import Detect
from node_harness import Client, World, picture
from pycocotools import mask as coco_mask
from std_srvs.srv import SetBool

from gsam_ros.world.stills import Still, draw_still
from gsam_ros.world.vocabulary import phrase_of

STATUS = "/gsam_node/frame_status"
_seconds = itertools.count(1000)


@pytest.fixture(scope="module")
def still() -> Still:
    return draw_still(np.random.default_rng(5), height=480, width=640, max_objects=4)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    world = World(tmp_path_factory.mktemp("node"))
    with world.client() as client, world.gsam_node(mode="lossless", device="cpu"):
        client.listen_to_results()
        client.wait_for_state("active")
        yield client


def words_of(still: Still) -> list[str]:
    return [phrase_of(pair) for pair in zip(still.colour, still.shape, strict=True)]


def show(client: Client, image: np.ndarray) -> set[int]:
    """Show an image; the track ids of its instances."""
    before = len(client.got["/gsam_node/instances"])
    client.show(picture(next(_seconds), image))
    return {i.track_id for i in client.wait_for("/gsam_node/instances", before + 1)[-1].instances}


def detect(client: Client, image: np.ndarray, text: str, **changes: object) -> Detect.Response:
    message = picture(5, image, frame="arm_camera")
    for name, value in changes.items():
        setattr(message, name, value)
    return client.call(Detect, "/gsam_node/detect", Detect.Request(image=message, text=text))


def test_one_image_is_answered_and_the_stream_goes_on_as_it_was(client: Client, still) -> None:
    words = words_of(still)
    version = client.set_prompt(f"{words[0]}.").prompt_version
    tracks = [show(client, still.image) for _ in range(2)][-1]
    assert tracks, f"the {words[0]} was not found: the test proves nothing"

    mirrored = np.ascontiguousarray(still.image[:, ::-1])
    answer = detect(client, mirrored, ". ".join(words))
    assert (answer.success, answer.message) == (True, "")
    assert list(answer.phrases) == words
    assert answer.instances.header.frame_id == "arm_camera"
    assert answer.instances.header.stamp.sec == 5
    found = 0
    for instance in answer.instances.instances:
        assert (instance.track_id, instance.phrase) == (0, words[instance.class_id - 1])
        rle = {"size": [instance.mask.height, instance.mask.width], "counts": instance.mask.counts}
        mask = coco_mask.decode(rle)[:, ::-1].astype(bool)
        own = [still.masks[i] for i, word in enumerate(words) if word == instance.phrase]
        found += any((mask & other).sum() > 0.5 * (mask | other).sum() for other in own)
    assert found >= len(words) / 2

    assert show(client, still.image) == tracks
    assert client.got[STATUS][-1].prompt_version == version


@pytest.mark.parametrize(
    ("text", "changes", "reason"),
    [
        ("...", {}, "names no object"),
        ("red mug.", {"encoding": "h264"}, "encoding 'h264' is not known"),
        ("red mug.", {"height": 0, "width": 0}, "it has no pixels"),
        ("word " * 400 + ".", {}, "word pieces, the detector takes"),
    ],
)
def test_what_cannot_be_answered_says_why(client: Client, still, text, changes, reason) -> None:
    answer = detect(client, still.image, text, **changes)
    assert not answer.success
    assert reason in answer.message
    assert not answer.instances.instances
    assert detect(client, still.image, "red mug.").success


def test_paused_no_image_is_taken_and_tracks_stay(client: Client, still) -> None:
    client.set_prompt(f"{words_of(still)[0]}.")
    tracks = [show(client, still.image) for _ in range(2)][-1]

    def enable(value: bool) -> SetBool.Response:
        return client.call(SetBool, "/gsam_node/enable", SetBool.Request(data=value))

    assert enable(False).success
    client.health("cameras", lambda s: s.level == b"\1" and "paused by ~/enable" in s.message)
    publisher = client.images["/image"]
    client.wait(lambda: publisher.get_subscription_count() == 0, "the end of the subscription")
    before = client.got[STATUS][-1].frames_received
    publisher.publish(picture(next(_seconds), still.image))
    time.sleep(0.3)
    assert client.got[STATUS][-1].frames_received == before
    assert enable(False).success  # twice is no trouble
    assert detect(client, still.image, "red mug.").success
    assert enable(True).success
    assert show(client, still.image) == tracks
    answered = lambda: client.got[STATUS][-1].frames_received == before + 1  # noqa: E731
    client.wait(answered, "the status, which may come after the results")
    status = client.health("camera", lambda s: s.values)
    assert {"objects in sight"} <= {value.key for value in status.values}
    models = client.health("models", lambda s: s.values)
    assert float({v.key: v.value for v in models.values}["memory (MB)"]) > 100


def test_paused_before_it_is_active_it_starts_paused(client: Client, still) -> None:
    assert client.change_state("deactivate")
    assert client.call(SetBool, "/gsam_node/enable", SetBool.Request(data=False)).success
    assert client.change_state("activate")
    assert client.images["/image"].get_subscription_count() == 0
    assert client.call(SetBool, "/gsam_node/enable", SetBool.Request(data=True)).success
    show(client, still.image)
