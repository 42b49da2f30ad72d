"""The node in live mode: the detector beside the stream, and stamps of visual prompts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from gsam_ros.msg import FrameStatus, InstanceArray, VisualPrompt
from node_harness import Client, World, picture
from std_msgs.msg import Header

from gsam_ros.bridge.stamps import nanoseconds, to_time
from gsam_ros.world.scene import RenderedFrame, Scene

pytestmark = pytest.mark.alone

STATUS, INSTANCES = "/gsam_node/frame_status", "/gsam_node/instances"
POINTING = "/gsam_node/visual_prompt"
SCENE = Scene(seed=1)
START, PERIOD = 1000.0, 0.1  # seconds
_PROMPT = 6.0  # seconds; 0.3 to 1.5 on a quiet machine, and no machine that tests is one


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("node"))


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with world.client() as client:
        client.listen(FrameStatus, STATUS)
        client.listen(InstanceArray, INSTANCES)
        yield client


def rendered(index: int) -> RenderedFrame:
    return SCENE.render(0, index * PERIOD)


def show(client: Client, index: int) -> FrameStatus:
    """The answer to one frame of the world."""
    message = picture(START + index * PERIOD, rendered(index).image)
    client.show(message)

    def answer() -> FrameStatus | None:
        return next((s for s in client.got[STATUS] if s.header == message.header), None)

    return client.wait(answer, "the answer to the frame")


def instances_of(client: Client, status: FrameStatus) -> InstanceArray:
    is_it = lambda: next((a for a in client.got[INSTANCES] if a.header == status.header), None)  # noqa: E731
    return client.wait(is_it, "the frame's instances")


def is_late(status: FrameStatus) -> bool:
    """Whether a detection made beside counts from this frame on."""
    return status.late_detect_ms > 0


def test_masks_go_on_and_each_detection_says_of_which_frame_it_is(world, client) -> None:
    with world.gsam_node(device="cpu", prompt="'red mug. purple ball.'"):
        client.wait_for_state("active")
        statuses = []
        while len([s for s in statuses if is_late(s)]) < 3 or not statuses[-1].instances:
            statuses.append(show(client, len(statuses)))
            assert len(statuses) < 100, "the detector answers nothing"
        keyframes = {nanoseconds(s.header.stamp) for s in statuses if s.keyframe}
        for status in statuses:
            if is_late(status):
                assert nanoseconds(status.late_stamp) in keyframes
                assert status.late_catch_up_ms >= 0
            assert not {"detect", "detect_beside"} & set(status.stage_names)
        phrases = {i.phrase for i in instances_of(client, statuses[-1]).instances}
        assert phrases <= {"red mug", "purple ball"}

        # Work that was begun when the node is put to rest is not found in what comes after.
        show(client, 200)
        assert client.change_state("deactivate")
        assert client.change_state("activate")
        first = show(client, 210)
        assert first.keyframe
        # A detector that is faster than the masks is in time for its own frame.
        assert not is_late(first) or first.late_stamp == first.header.stamp
        answer = client.set_prompt("dog.")
        after = show(client, 211)
        assert (after.prompt_version, after.instances) == (answer.prompt_version, 0)


def mug(index: int, stamp: float) -> VisualPrompt:
    truth = rendered(index)
    box = truth.boxes[truth.pairs.index(("red", "mug"))]
    header = Header(stamp=to_time(round(stamp * 1e9)))
    return VisualPrompt(header=header, name="tool", box=[float(edge) for edge in box])


def test_a_visual_prompt_counts_for_the_image_of_its_stamp(world, client) -> None:
    with world.gsam_node(device="cpu", prompt="dog."):
        client.wait_for_state("active")
        for index in range(12):
            show(client, index)
        client.show(mug(0, START - 5), POINTING)
        told = client.health("prompt", lambda s: "older than the newest image" in s.message)
        assert (
            f"the last prompt was rejected: {POINTING}: its stamp is 6.10 s older" in told.message
        )
        client.wait_for_log("raise tracker.kept_seconds")

        before, now = rendered(2), rendered(12)
        row = before.pairs.index(("red", "mug"))
        [same] = np.flatnonzero(now.ids == before.ids[row])
        moved = np.abs(now.boxes[same] - before.boxes[row]).max()
        assert moved > 20, "it hardly moves: the test proves nothing"
        client.show(mug(2, START + 2 * PERIOD), POINTING)
        client.health("prompt", lambda s: "rejected" not in s.message and "tool" in str(s.values))
        found = instances_of(client, show(client, 12)).instances
        [tool] = [i for i in found if i.phrase == "tool"]
        centre = np.array([tool.bbox.center.position.x, tool.bbox.center.position.y])
        assert np.abs(centre - now.boxes[same].reshape(2, 2).mean(0)).max() < 15


def test_it_ends_at_once_while_the_detector_is_at_work(world, client) -> None:
    tiles = {f"detector__slices__{k}": v for k, v in
             {"mode": "always", "width": 64, "height": 64}.items()}  # fmt: skip
    with world.gsam_node(device="cpu", prompt="'red mug.'", **tiles) as gsam:
        client.wait_for_state("active")
        assert show(client, 0).keyframe
        status, seconds = gsam.end()
        assert status == 0, gsam.text()
        assert seconds < _PROMPT, seconds


def test_a_detector_beside_is_refused_where_results_must_not_depend_on_time(world, client) -> None:
    parameters = {"mode": "lossless", "detector__beside": "always", "autostart": "false"}
    with world.gsam_node(device="cpu", **parameters):
        assert not client.change_state("configure")
        client.wait_for_log("detector.beside is always, and mode is lossless")
        assert client.state() == "unconfigured"
