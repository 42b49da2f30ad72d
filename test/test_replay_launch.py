"""replay.launch.py in lossless mode: its own command lines, run for real, against `gsam track`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import launch_stub
import pytest

from gsam_ros.cli import main
from gsam_ros.demo.same_results import compare_runs, result_topic
from gsam_ros.demo.sample import SampleOptions, prompts_of, write_sample
from gsam_ros.evaluation.objects import read_objects
from gsam_ros.recordings.bag import open_bag
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.message_types import typestore
from gsam_ros.replay.family import Family
from gsam_ros.replay.replay import replay
from gsam_ros.world.scene import Scene

FRAMES = 12
TOPIC = "/left/image"
PROMPT = prompts_of(Scene(1).pairs)[0]


TOPICS = [
    "/image", "/image/compressed", "/prompt", "/l/raw", "/r/raw", "/raw", "/raw/compressed", "/d",
    "/i", "/n/camera_info", "/n/b/camera_info", "/n/front/image", "/a", "/b",
]  # fmt: skip


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Whose topics are all that these tests name."""
    path = tmp_path_factory.mktemp("replay") / "bag"
    with BagWriter(path) as writer:
        text = typestore().types["std_msgs/msg/String"]("")
        for topic in TOPICS:
            writer.add_topic(topic, "std_msgs/msg/String")
            writer.write(topic, 1, text)
    return str(path)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "sample"
    write_sample(path, SampleOptions(seconds=FRAMES / 10))
    return path


READY = "[INFO] [1.0] [gsam_node]: ready: demo-detector and demo-segmenter on cpu\n"


def recorder_and_player(actions: list[Any]) -> tuple[Any, Any]:
    """Of lossless mode."""
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    [record] = launch_stub.when_said(actions, node, READY)
    [play] = launch_stub.when_said(actions, record, "ready, recording 3 topics\n")
    return record, play


def replayed(sample: Path, result: Path, logs: Path, **arguments: str) -> None:
    """What `ros2 launch gsam_ros replay.launch.py` does, without ros2 launch."""
    given = {"bag": str(sample), "result": str(result), "image_topic": TOPIC, **arguments}
    actions = launch_stub.describe("replay.launch.py", mode="lossless", **given)
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    with Family(logs) as family:
        node_arguments = launch_stub.node_arguments(node)
        running = family.start("node", "-m", "gsam_ros.node.process", *node_arguments)
        family.wait_for(running, " ready: ", 240, gives_up=" failed: ")
        [record] = launch_stub.when_said(actions, node, running.log.read_text())
        recorder = family.start("recorder", *record.cmd[1:])
        family.wait_for(recorder, "ready, recording", 60)
        [play] = launch_stub.when_said(actions, record, recorder.log.read_text())
        player = family.start("player", *play.cmd[1:])
        family.wait_for(player, seconds=240)
        family.stop(recorder)
        family.stop(running)


def test_the_player_waits_for_node_and_recorder(bag: str) -> None:
    actions = launch_stub.describe("replay.launch.py", bag=bag, mode="lossless", prompt="mug.")
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    assert launch_stub.when_said(actions, node, "loading the detector\n") == []
    [record] = launch_stub.when_said(actions, node, READY)
    assert launch_stub.when_said(actions, record, "waiting\n") == []
    [play] = launch_stub.when_said(actions, record, "ready, recording 3 topics\n")
    [of_node, of_player, _] = launch_stub.handlers(actions, "OnProcessExit")
    assert of_player.target_action is play
    assert [of_node.target_action(action) for action in (node, play)] == [True, False]
    parameters = {k: v for p in node.parameters if isinstance(p, dict) for k, v in p.items()}
    assert parameters == {
        "prompt": "mug.", "mode": "lossless", "result_depth": 500, "use_sim_time": True,
    }  # fmt: skip


def failures(actions: list[Any]) -> list[Any]:
    """What is done when something goes wrong."""
    exits = launch_stub.handlers(actions, "OnProcessExit")
    of_node, of_player, of_recorder = (handler.on_exit for handler in exits)
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    return [
        *of_node,
        *of_recorder,
        *of_player(SimpleNamespace(returncode=1), None),
        *launch_stub.when_said(actions, node, "[gsam_node]: configure failed: there is no model"),
        *launch_stub.when_said(actions, node, "[gsam_node]: activate failed:\nTraceback"),
    ]


@pytest.mark.parametrize("mode", ["live", "lossless"])
def test_nobody_waits_for_a_recorder_that_has_ended(bag: str, mode: str) -> None:
    actions = launch_stub.describe("replay.launch.py", bag=bag, mode=mode, result="again")
    *_, of_recorder = launch_stub.handlers(actions, "OnProcessExit")
    assert "again" in of_recorder.target_action.cmd
    [stop] = of_recorder.on_exit
    with pytest.raises(RuntimeError, match="the recorder has ended before the recording"):
        stop.function(SimpleNamespace(is_shutdown=False))


def test_what_fails_ends_the_launch_with_an_error(bag: str) -> None:
    """An exception is what gives `ros2 launch` an exit status other than 0."""
    actions = launch_stub.describe("replay.launch.py", bag=bag, mode="lossless")
    stops = failures(actions)
    assert len(stops) == 5
    for stop in stops:
        with pytest.raises(RuntimeError):
            stop.function(SimpleNamespace(is_shutdown=False))


def test_what_is_ending_is_not_told_to_end_again(bag: str) -> None:
    """launch_ros raises where it is told twice, and the launch then ends with an error."""
    actions = launch_stub.describe("replay.launch.py", bag=bag, mode="lossless")
    _, of_player, _ = launch_stub.handlers(actions, "OnProcessExit")
    [later] = of_player.on_exit(SimpleNamespace(returncode=0), None)
    for stop in [*failures(actions), *later.actions]:
        assert not stop.function(SimpleNamespace(is_shutdown=True))


def test_a_namespace_is_that_of_all(bag: str) -> None:
    actions = launch_stub.describe("replay.launch.py", bag=bag, mode="lossless", namespace="/a/b/")
    record, _ = recorder_and_player(actions)
    assert record.cmd[record.cmd.index("--below") + 1] == "/a/b/gsam_node"


def test_prompts_may_come_from_the_recording(bag: str) -> None:
    actions = launch_stub.describe(
        "replay.launch.py", bag=bag, mode="lossless", prompt_topic="/prompt"
    )
    _, play = recorder_and_player(actions)
    assert play.cmd[play.cmd.index("--prompt") + 1] == "/prompt"
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    assert ("~/prompt", "/prompt") in node.remappings


def test_several_cameras_are_played_and_recorded(bag: str) -> None:
    actions = launch_stub.describe(
        "replay.launch.py", bag=bag, mode="lossless", cameras="left=/l/raw right=/r/raw"
    )
    record, play = recorder_and_player(actions)
    frames = play.cmd[play.cmd.index("--frames") + 1 :][:2]
    assert frames == [
        "/l/raw=/gsam_node/left/frame_status", "/r/raw=/gsam_node/right/frame_status",
    ]  # fmt: skip
    assert "/gsam_node/right/instances" in record.cmd
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    assert ("left/image", "/l/raw") in node.remappings


@pytest.mark.parametrize(
    ("arguments", "images", "others"),
    [
        ({"image_topic": "/raw"}, ["/raw"], []),
        ({"image_topic": "/raw", "image_transport": "compressed"}, ["/raw/compressed"], []),
        ({"image_topic": "front/image"}, ["/n/front/image"], []),
        ({"depth_topic": "/d"}, ["/image"], ["/d", "/n/camera_info"]),
        ({"depth_topic": "/d", "camera_info_topic": "/i"}, ["/image"], ["/d", "/i"]),
        (
            {"cameras": "a=/a b=/b", "depth_topic": "b=/d"},
            ["/a", "/b"],
            ["/d", "/n/b/camera_info"],
        ),
        (
            {"cameras": "a=/a", "depth_topic": "a=/d", "camera_info_topic": "a=/i"},
            ["/a"],
            ["/d", "/i"],
        ),
    ],
)
def test_what_the_node_subscribes_is_played(
    bag: str, arguments: dict[str, str], images: list[str], others: list[str]
) -> None:
    actions = launch_stub.describe(
        "replay.launch.py", bag=bag, mode="lossless", namespace="n", **arguments
    )
    _, play = recorder_and_player(actions)
    _, _, after = " ".join(play.cmd).partition("--frames ")
    frames, _, rest = after.partition(" --labels ")
    assert [pair.partition("=")[0] for pair in frames.split()] == images
    assert rest.partition(" --topics ")[2].split() == others


@pytest.mark.parametrize("mode", ["live", "lossless"])
def test_a_player_that_fails_is_no_recording_that_is_over(bag: str, mode: str) -> None:
    actions = launch_stub.describe("replay.launch.py", bag=bag, mode=mode)
    [_, of_player, _] = launch_stub.handlers(actions, "OnProcessExit")
    [stop] = of_player.on_exit(SimpleNamespace(returncode=1), None)
    with pytest.raises(RuntimeError, match="the player has failed, with exit status 1"):
        stop.function(SimpleNamespace(is_shutdown=False))
    [later] = of_player.on_exit(SimpleNamespace(returncode=0), None)
    assert later.period > 0
    [stop] = later.actions
    told, shutdown = stop.function(SimpleNamespace(is_shutdown=False))
    assert told.msg == shutdown.event.reason == "the recording is over"


def test_live_is_ros2_bag(bag: str) -> None:
    actions = launch_stub.describe("replay.launch.py", bag=bag)
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    [of_node] = launch_stub.handlers(actions, "OnProcessStart")
    assert of_node.target_action(node)
    [record] = of_node.on_start
    assert record.cmd[:3] == ["ros2", "bag", "record"]
    [play] = launch_stub.when_said(actions, node, READY)
    assert play.cmd[:3] == ["ros2", "bag", "play"]


def test_live_plays_what_the_node_asks_for_and_no_results_of_before(bag: str) -> None:
    actions = launch_stub.describe("replay.launch.py", bag=bag, image_topic="/l/raw")
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    [play] = launch_stub.when_said(actions, node, READY)
    assert play.cmd[play.cmd.index("--topics") + 1 :] == ["/l/raw"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, ["--delay", "5.0"]), ({"delay": "2"}, ["--delay", "2.0"]), ({"delay": "0"}, [])],
)
def test_the_live_player_waits_until_it_is_found(
    bag: str, given: dict[str, str], expected: list[str]
) -> None:
    actions = launch_stub.describe("replay.launch.py", bag=bag, **given)
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    [play] = launch_stub.when_said(actions, node, READY)
    assert play.cmd[8:] == [*expected, "--topics", "/image"]


@pytest.mark.parametrize("name", ["delay", "rate"])
@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_number_is_one(bag: str, name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is '{text}': write a number, 0 or more"):
        launch_stub.describe("replay.launch.py", bag=bag, **{name: text})


def test_nothing_is_played_at_no_rate(bag: str) -> None:
    with pytest.raises(ValueError, match="rate is 0: write how fast"):
        launch_stub.describe("replay.launch.py", bag=bag, mode="lossless", rate="0")


@pytest.mark.parametrize("mode", ["live", "lossless"])
@pytest.mark.parametrize("own", ["", "/mine.xml"])
def test_images_fit_through_fast_dds(
    bag: str, mode: str, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 20 raw images that ros2 bag plays, 1 or 2 arrive without the profile."""
    jazzy, kilted = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
    monkeypatch.delenv(jazzy, raising=False)
    monkeypatch.setenv(kilted, own)
    expected = own or str(launch_stub.ROOT / "config" / "fastdds.xml")
    actions = launch_stub.describe("replay.launch.py", bag=bag, mode=mode)
    exits = launch_stub.handlers(actions, "OnProcessExit")
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    for process in (node, *(handler.target_action for handler in exits[1:])):
        environment = launch_stub.environment(process)
        assert environment[jazzy] == expected
        assert environment.get(kilted, own) == expected


def test_a_mode_that_is_none_is_told(bag: str) -> None:
    with pytest.raises(RuntimeError, match='"mode" provided value "losless" is not valid'):
        launch_stub.describe("replay.launch.py", bag=bag, mode="losless")


@pytest.mark.parametrize("mode", ["live", "lossless"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bag": "/nowhere"}, "bag is '/nowhere', which does not exist: give the folder"),
        ({"result": "/tmp"}, "result is '/tmp', which exists already: give a new name or remove"),
    ],
)
def test_wrong_paths_are_told_before_anything_starts(
    mode: str, given: dict[str, str], words: str, bag: str
) -> None:
    with pytest.raises(ValueError, match=words):
        launch_stub.describe("replay.launch.py", **{"bag": bag, "mode": mode} | given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image_topic": "/c"}, "image_topic asks for /c, which .* does not have: give one of /a,"),
        ({"image_topic": "/a", "image_transport": "compressed"}, "asks for /a/compressed, which"),
        ({"cameras": "left=/c"}, "cameras asks for /c,"),
        ({"depth_topic": "/c", "camera_info_topic": "/i"}, "depth_topic asks for /c,"),
        ({"depth_topic": "/d"}, "camera_info_topic asks for /camera_info,"),
        ({"prompt_topic": "/c"}, "prompt_topic asks for /c,"),
    ],
)
@pytest.mark.parametrize("mode", ["live", "lossless"])
def test_topics_that_are_not_recorded_are_told_before_anything_starts(
    mode: str, given: dict[str, str], words: str, bag: str
) -> None:
    with pytest.raises(ValueError, match=words):
        launch_stub.describe("replay.launch.py", bag=bag, mode=mode, **given)


def test_a_recording_of_a_kind_that_only_ros2_bag_knows_is_played_live(tmp_path: Path) -> None:
    actions = launch_stub.describe(
        "replay.launch.py", bag=str(tmp_path), result=str(tmp_path / "new")
    )
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    [play] = launch_stub.when_said(actions, node, READY)
    assert play.cmd[:4] == ["ros2", "bag", "play", str(tmp_path)]


def test_what_is_no_recording_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"bag can't be played: .* is no rosbag2 recording"):
        launch_stub.describe(
            "replay.launch.py", bag=str(tmp_path), mode="lossless", result=str(tmp_path / "new")
        )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_node_says_what_gsam_track_says(sample: Path, tmp_path: Path) -> None:
    replayed(sample, tmp_path / "node", tmp_path / "logs", prompt=PROMPT, device="cpu")
    out = tmp_path / "track"
    tracked = [
        "track", str(sample), "--topic", TOPIC, "--prompt", PROMPT, "--out", str(out),
        "--device", "cpu",
    ]  # fmt: skip
    assert main(tracked) == 0
    with open_bag(out / "result") as bag:
        answers = list(read_objects(bag, result_topic(bag, "", "instances"), ""))
    assert len(answers) == FRAMES
    assert sum(map(len, answers)) > FRAMES  # there is something to compare
    assert list(compare_runs(tmp_path / "node", out / "result", [""])) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compressed_images_and_depth_are_played(sample: Path, tmp_path: Path) -> None:
    given = {"depth_topic": "/left/depth", "camera_info_topic": "/left/camera_info"}
    compressed = {"image_transport": "compressed", "prompt": PROMPT, "device": "cpu"}
    replayed(sample, tmp_path / "node", tmp_path / "logs", **given, **compressed)
    with open_bag(tmp_path / "node") as bag:
        kinds = {topic: bag.count([topic]) for topic in bag.topics}
        [found] = [
            [len(bag.decode(record).detections) for record in bag.records([topic])]
            for topic in bag.topics
            if topic.endswith("detections_3d")
        ]
    assert kinds["/gsam_node/frame_status"] == FRAMES
    assert len(found) == FRAMES and sum(found) > FRAMES


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_says_what_gsam_track_says(sample: Path, tmp_path: Path) -> None:
    """Two cameras, and prompts that change between two frames."""
    cameras = ["left", "right"]
    replay(sample, tmp_path / "node", cameras, tmp_path / "logs")
    command = [sys.executable, "-m", "gsam_ros.cli", "track", str(sample), "--no-video"]
    topics = [word for name in cameras for word in ("--topic", f"/{name}/image")]
    subprocess.run([*command, *topics, "--out", str(tmp_path / "track")], check=True)
    assert list(compare_runs(tmp_path / "node", tmp_path / "track" / "result", cameras)) == []
