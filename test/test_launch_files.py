"""What can be known of the launch files without ROS 2's launch, which pip does not have."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import launch_stub
import pytest
import yaml

from gsam_ros.launching import RVIZ_SHOWS
from gsam_ros.node.parameters import all_leaves
from gsam_ros.replay.commands import LEFT_OUT, live_recorder_command, recorder_command

ROOT = Path(__file__).parent.parent
LAUNCH = ROOT / "launch"
FILES = sorted(LAUNCH.glob("*.launch.py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def first_arguments(tree: ast.AST, function: str) -> set[str]:
    """The texts that calls of `function` have as their first argument."""
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def parameter_table() -> dict[str, tuple[str, str]]:
    """PARAMETERS of gsam.launch.py: launch argument -> (parameter, description)."""
    for node in parse(LAUNCH / "gsam.launch.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARAMETERS":
            return ast.literal_eval(node.value)
    raise AssertionError("gsam.launch.py has no PARAMETERS")


def declared(path: Path) -> set[str]:
    names = first_arguments(parse(path), "DeclareLaunchArgument")
    return names | set(parameter_table()) if path.name == "gsam.launch.py" else names


def published() -> set[str]:
    """What the node publishes for a camera, below its name."""
    node = ROOT / "gsam_ros" / "node"
    source = "".join((node / name).read_text() for name in ("camera.py", "results_3d.py"))
    return {
        call.args[1].value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "publisher"
        and isinstance(call.args[1], ast.Constant)
    }


def test_there_are_launch_files() -> None:
    assert {path.name for path in FILES} == {
        "gsam.launch.py",
        "replay.launch.py",
        "usb_camera.launch.py",
    }


def included(path: Path) -> set[str]:
    """Arguments of gsam.launch.py, where a file includes it."""
    includes = "IncludeLaunchDescription(" in path.read_text()
    return declared(LAUNCH / "gsam.launch.py") if includes else set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_arguments_that_are_used_are_declared(path: Path) -> None:
    tree = parse(path)
    used = first_arguments(tree, "LaunchConfiguration") | first_arguments(tree, "argument")
    assert used <= declared(path) | included(path)
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "generate_launch_description" in names


def test_arguments_stand_for_parameters_that_exist() -> None:
    # An argument reaches the node as text, which only fits parameters that are texts.
    texts = {name for name, default, _ in all_leaves() if isinstance(default, str)}
    assert {parameter for parameter, _ in parameter_table().values()} <= texts


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_example_in_the_file_uses_declared_arguments(path: Path) -> None:
    example = ast.get_docstring(parse(path)) or ""
    used = {word.partition(":=")[0] for word in example.split() if ":=" in word}
    assert used
    assert used <= declared(path) | included(path)


def test_rviz_shows_topics_that_are_published() -> None:
    display = yaml.safe_load((ROOT / "config" / "gsam.rviz").read_text())["Visualization Manager"]
    shown = {d["Topic"]["Value"] for d in display["Displays"] if "Topic" in d}
    assert shown
    assert shown <= {f"/gsam_node/{topic}" for topic in published()}
    assert shown == {f"/gsam_node/{topic}" for topic in RVIZ_SHOWS}


@pytest.mark.parametrize("node", ["/gsam_node", "/robot/gsam_node"])
def test_both_modes_record_what_is_not_made_only_to_be_looked_at(node: str) -> None:
    *_, pattern = live_recorder_command("out", node, LEFT_OUT)
    lossless = recorder_command("out", [], node, LEFT_OUT)
    ends = tuple(lossless[lossless.index("--leave-out") + 1 :])
    for name in (f"{node}/", f"{node}/left/"):
        live = {topic for topic in published() if re.search(pattern, name + topic)}
        assert live == {topic for topic in published() if not (name + topic).endswith(ends)}
        assert live == published() - {"overlay", "instance_cloud"}
    assert not re.search(pattern, "/other/detections")


def test_arguments_that_the_readme_shows_are_declared() -> None:
    """An argument that no launch file declares is passed over without a word."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {name for page in pages for name in re.findall(r"\b(?!__)(\w+):=", page.read_text())}
    assert shown
    assert shown <= set().union(*map(declared, FILES))


def parameters_and_topics(**given: str) -> tuple[dict, dict]:
    """What gsam.launch.py gives its node."""
    [node] = launch_stub.of_kind(launch_stub.describe("gsam.launch.py", **given), "LifecycleNode")
    _, parameters = node.parameters
    return parameters, dict(node.remappings)


def test_cameras_are_given_prompts_and_depth_of_their_own() -> None:
    parameters, topics = parameters_and_topics(
        cameras="left=/l/raw right=/r/raw",
        prompt="red mug.",
        prompts="{right: 'dog. cat.'}",
        depth_topic="left=/l/depth",
        camera_info_topic="left=/l/info",
    )
    assert parameters["cameras"] == ["left", "right"]
    assert parameters["prompts"] == ["", "dog. cat."]
    assert parameters["depth_cameras"] == ["left"]
    assert "depth" not in parameters
    assert topics["left/depth"] == "/l/depth"
    assert topics["left/camera_info"] == "/l/info"
    assert topics["right/image"] == "/r/raw"


def test_one_camera_has_depth_without_a_name() -> None:
    parameters, topics = parameters_and_topics(image_topic="/raw", depth_topic="/depth")
    assert parameters == {"depth": True}
    assert (topics["image"], topics["depth"]) == ("/raw", "/depth")
    assert topics["camera_info"] == "camera_info"
    assert parameters_and_topics()[0] == {}


@pytest.mark.parametrize(("given", "expected"), [("true", True), ("False", False)])
def test_the_clock_is_the_files_affair_unless_it_is_said(given: str, expected: bool) -> None:
    assert parameters_and_topics(use_sim_time=given)[0] == {"use_sim_time": expected}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompts": "{attic: dog.}"}, "prompts names 'attic': .* 'left'"),
        ({"prompts": "dog."}, "prompts is 'dog.': write "),
        ({"prompts": "{left: 'dog.'"}, "prompts is .*: write "),
        ({"depth_topic": "/depth"}, "depth_topic is '/depth': write NAME=TOPIC"),
        ({"prompts": "{left: dog.}", "cameras": ""}, "cameras:=NAME=IMAGE_TOPIC"),
        ({"camera_info_topic": "/info"}, "camera_info_topic is '/info': write NAME=TOPIC"),
        ({"cameras": "left=/a left=/b"}, "cameras is .*: give every camera a name of its own"),
        ({"cameras": "front-left=/a"}, "cameras names a camera 'front-left': write letters"),
        ({"cameras": "x=/a y=/b"}, "names a camera 'y', which ROS 2 does not take for text"),
        ({"cameras": "NaN=/a"}, "names a camera 'NaN', which ROS 2 does not take for text"),
        ({"cameras": "left=/a b=/2"}, "cameras gives the topic '/2': write letters"),
    ],
)
def test_what_cameras_cannot_be_given_is_told(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parameters_and_topics(**({"cameras": "left=/l/raw"} | given))


def camera_and_others(**given: str) -> list[Any]:
    """What usb_camera.launch.py starts once gsam_node is there."""
    given = {"video_device": "/dev/null"} | given
    actions = launch_stub.describe("usb_camera.launch.py", **given)
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    started = launch_stub.handlers(actions, "OnProcessStart")
    assert all(handler.target_action(node) for handler in started)
    return [node, *(action for handler in started for action in handler.on_start)]


def test_the_camera_and_the_node_share_topic_and_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(variable, raising=False)
    node, driver = camera_and_others()
    assert dict(node.remappings)["image"] == "/camera/image_raw"
    assert dict(driver.remappings)["image_raw"] == "/camera/image_raw"
    assert driver.parameters == [{"video_device": "/dev/null", "image_size": [640, 480]}]
    assert launch_stub.environment(driver) == launch_stub.environment(node) != {}


def test_the_camera_publishes_where_it_is_told_to() -> None:
    node, driver, rviz = camera_and_others(image_topic="desk/image", namespace="n", rviz="true")
    assert (node.namespace, dict(node.remappings)["image"]) == ("n", "desk/image")
    assert dict(driver.remappings) == {
        "image_raw": "/n/desk/image",
        "image_raw/compressed": "/n/desk/image/compressed",
        "camera_info": "/n/desk/camera_info",
    }
    assert rviz.package == "rviz2"
    assert dict(rviz.remappings)["/gsam_node/overlay"] == "/n/gsam_node/overlay"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rviz": "maybe"}, '"rviz" provided value "maybe" is not valid'),
        ({"video_device": "0"}, "video_device is '0', which does not exist"),
        ({"image_size": "large"}, r"image_size is 'large': write \[WIDTH, HEIGHT\]"),
    ],
)
def test_a_wrong_camera_is_told_before_anything_starts(given: dict[str, str], words: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match=words):
        camera_and_others(**given)


def test_a_node_that_is_lost_ends_the_camera_too() -> None:
    actions = launch_stub.describe("usb_camera.launch.py", video_device="/dev/null")
    [node] = launch_stub.of_kind(actions, "LifecycleNode")
    [lost] = launch_stub.handlers(actions, "OnProcessExit")
    assert lost.target_action(node)
    [end] = lost.on_exit
    with pytest.raises(RuntimeError, match="gsam_node has ended"):
        end.function(SimpleNamespace(is_shutdown=False))
    assert not end.function(SimpleNamespace(is_shutdown=True))


@pytest.mark.parametrize(("given", "again"), [({}, False), ({"respawn": "true"}, True)])
def test_a_node_that_is_lost_is_started_again_where_that_is_asked_for(given, again) -> None:
    for file, others in (("gsam", {}), ("usb_camera", {"video_device": "/dev/null"})):
        actions = launch_stub.describe(f"{file}.launch.py", **given, **others)
        [node] = launch_stub.of_kind(actions, "LifecycleNode")
        assert node.respawn is again
        assert 0 < node.respawn_delay < 10
    assert bool(launch_stub.handlers(actions, "OnProcessExit")) is not again


def test_a_camera_that_is_lost_ends_the_launch() -> None:
    _, driver = camera_and_others()
    [ended] = driver.on_exit
    with pytest.raises(RuntimeError, match="the camera's driver has ended"):
        ended.function(SimpleNamespace(is_shutdown=False))
    assert not ended.function(SimpleNamespace(is_shutdown=True))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image_topic": "/my image"}, "image_topic gives the topic '/my image': write letters"),
        ({"depth_topic": "a=/b"}, "depth_topic gives the topic 'a=/b': write letters"),
        ({"camera_info_topic": "/i/"}, "camera_info_topic gives the topic '/i/': write letters"),
        ({"prompt_topic": "/p-1"}, "prompt_topic gives the topic '/p-1': write letters"),
        ({"result_depth": "many"}, "result_depth is 'many': write a number"),
        ({"use_sim_time": "maybe"}, '"use_sim_time" provided value "maybe" is not valid'),
        ({"config_file": "/no.yaml"}, "config_file is '/no.yaml', which is no file"),
    ],
)
def test_what_the_node_cannot_be_given_is_told(given: dict[str, str], words: str) -> None:
    with pytest.raises((ValueError, RuntimeError), match=words):
        parameters_and_topics(**given)


@pytest.mark.parametrize("topic", ["image", "/a/b_2", "~/image", "a/b"])
def test_names_that_ros_takes_are_taken(topic: str) -> None:
    assert parameters_and_topics(image_topic=topic)[1]["image"] == topic
