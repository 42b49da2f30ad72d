"""Play a recording through gsam_node and record what comes out.

    ros2 launch gsam_ros replay.launch.py bag:=my_bag result:=my_result \
        image_topic:=/camera/image_raw prompt:="red mug. person." mode:=lossless

The recording starts when the models are loaded, the node runs on the recording's clock, and all
ends when the recording does. In live mode, the default, `ros2 bag play` doesn't wait for anybody:
results are as they would have been on the robot. In lossless mode the player waits for the node, no
frame is lost, and ids and boxes are those of `gsam track` on the same recording.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessIO, OnProcessStart
from launch.events import Shutdown
from launch.events.process import ProcessExited, ProcessIO
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from gsam_ros.camera_topics import absolute, parse_cameras
from gsam_ros.fastdds import profile_variables
from gsam_ros.launching import failing
from gsam_ros.recordings.result_topics import NODE
from gsam_ros.replay.check import check_paths, check_topics
from gsam_ros.replay.commands import (
    LEFT_OUT,
    NODE_READY,
    RECORDER_READY,
    RESULT_DEPTH,
    live_recorder_command,
    player_command,
    recorder_command,
)
from gsam_ros.replay.streams import Stream
from launch import Action, EventHandler, LaunchContext, LaunchDescription

Argument = Callable[[str], str]
# Player, recorder, and what starts them.
Replay = tuple[ExecuteProcess, ExecuteProcess, list[EventHandler]]

# Node and recorder need up to 3 s to find a player, and what is sent before is lost.
DELAY = "5.0"
LAST_RESULTS = 3.0  # seconds between the recording's end and ours


def generate_launch_description() -> LaunchDescription:
    """Describe what is started."""
    profiles = [SetEnvironmentVariable(name, path) for name, path in _profile().items()]
    # It declares prompt, models, device, ... and takes what was given to this file.
    node = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare("gsam_ros"), "launch", "gsam.launch.py"]),
        launch_arguments={"use_sim_time": "true", "result_depth": str(RESULT_DEPTH)}.items(),
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Recording to play"),
            DeclareLaunchArgument(
                "result", default_value="gsam_result", description="Recording to write; a new name"
            ),
            DeclareLaunchArgument("rate", default_value="1.0", description="Speed of the playing"),
            DeclareLaunchArgument(
                "delay",
                default_value=DELAY,
                description="Seconds that the player of live mode waits before it begins",
            ),
            DeclareLaunchArgument(
                "mode",
                default_value="live",
                choices=["live", "lossless"],
                description="As on the robot, or without losing a frame",
            ),
            DeclareLaunchArgument(
                "image_topic", default_value="/image", description="Images of the recording"
            ),
            DeclareLaunchArgument(
                "cameras",
                default_value="",
                description="Several cameras instead, NAME=IMAGE_TOPIC with spaces between",
            ),
            DeclareLaunchArgument(
                "prompt_topic", default_value="", description="Prompts in the recording, if any"
            ),
            DeclareLaunchArgument("namespace", default_value="", description="Of the node"),
            *(
                RegisterEventHandler(
                    _when_said(
                        _is_node,
                        f"{step} failed:",
                        _fail(f"gsam_node could not {step}: it said why above"),
                    )
                )
                for step in ("configure", "activate")
            ),
            RegisterEventHandler(
                OnProcessExit(
                    target_action=_is_node,
                    on_exit=[_fail("gsam_node has ended before the recording has")],
                )
            ),
            OpaqueFunction(function=_player_and_recorder),
            # A group has an environment of its own: nodes that are started beside keep theirs.
            GroupAction([*profiles, node]),
        ]
    )


def _player_and_recorder(context: LaunchContext) -> list[Action]:
    def argument(name: str) -> str:
        # Those of gsam.launch.py have no default yet: it is included after this.
        return LaunchConfiguration(name, default="").perform(context)

    bag, result = (Path(argument(name)).expanduser() for name in ("bag", "result"))
    check_paths(bag, result)
    if not _number(argument, "rate"):
        raise ValueError("rate is 0: write how fast to play, 1.0 as it was recorded")
    lossless = argument("mode") == "lossless"
    check_topics(bag, _topics(argument), readable=lossless)
    play, record, begin = (_lossless if lossless else _live)(argument, bag, result)
    # The recorder ends after all others, unless it can't write.
    unrecorded = _fail("the recorder has ended before the recording has: it said why above")
    handlers = [
        *begin,
        OnProcessExit(target_action=play, on_exit=_when_played),
        OnProcessExit(target_action=record, on_exit=[unrecorded]),
    ]
    return list(map(RegisterEventHandler, handlers))


def _lossless(argument: Argument, bag: Path, result: Path) -> Replay:
    node = absolute(NODE.removeprefix("/"), argument("namespace"))
    streams = [Stream(topic, results) for topic, results in _images(argument).items()]
    prompt, others = _prompt_topic(argument), list(_depth_topics(argument))
    play = _python(
        player_command(bag, streams, prompt=prompt, others=others, rate=argument("rate"))
    )
    record = _python(recorder_command(result, streams, node, LEFT_OUT))

    begin = [
        _when_said(_is_node, NODE_READY, record),
        _when_said(record, RECORDER_READY, play),
    ]
    return play, record, begin


def _live(argument: Argument, bag: Path, result: Path) -> Replay:
    delay = _number(argument, "delay")
    wait = ["--delay", str(delay)] if delay else []  # ros2 bag play refuses a 0
    clock = ["--clock", "100", "--rate", argument("rate")]
    # No more than the node asks for: results of the robot's own run would be recorded with ours.
    topics = ["--topics", *_topics(argument)]
    play = _process(["ros2", "bag", "play", str(bag), *clock, *wait, *topics])
    node = absolute(NODE.removeprefix("/"), argument("namespace"))
    record = _process(live_recorder_command(result, node, LEFT_OUT))
    begin = [
        # Not at once: what is started beside a node that can't be started is left running.
        OnProcessStart(target_action=_is_node, on_start=[record]),
        _when_said(_is_node, NODE_READY, play),
    ]
    return play, record, begin


def _topics(argument: Argument) -> dict[str, str]:
    """What the recording has to have, as gsam.launch.py has the node subscribe.

    Each topic with the argument that asks for it.
    """
    images = dict.fromkeys(_images(argument), "cameras" if argument("cameras") else "image_topic")
    prompt = _prompt_topic(argument)
    return images | _depth_topics(argument) | ({prompt: "prompt_topic"} if prompt else {})


def _images(argument: Argument) -> dict[str, str]:
    """Topics of images, each with the place of its results."""
    namespace = argument("namespace")
    node = absolute(NODE.removeprefix("/"), namespace)
    cameras = parse_cameras(argument("cameras"))
    images = {f"{node}/{camera}": topic for camera, topic in cameras.items()}
    images = images or {node: argument("image_topic")}
    transport = "/compressed" * (argument("image_transport") == "compressed")
    return {absolute(topic, namespace) + transport: results for results, topic in images.items()}


def _prompt_topic(argument: Argument) -> str:
    topic = argument("prompt_topic")
    return absolute(topic, argument("namespace")) if topic else ""


def _depth_topics(argument: Argument) -> dict[str, str]:
    """Topics of depth images and of their camera_info, with the arguments that ask for them."""
    depth, info = argument("depth_topic"), argument("camera_info_topic")
    if not depth:
        return {}
    depths, infos = {"": depth}, {"": info or "camera_info"}
    cameras = parse_cameras(argument("cameras"))
    if cameras:
        depths = parse_cameras(depth, "depth_topic")
        infos = {camera: f"{camera}/camera_info" for camera in depths}
        infos |= parse_cameras(info, "camera_info_topic")
    asked = dict.fromkeys(depths.values(), "depth_topic")
    asked |= dict.fromkeys(infos.values(), "camera_info_topic")
    return {absolute(topic, argument("namespace")): name for topic, name in asked.items()}


def _when_said(process: ExecuteProcess | Callable, words: str, action: Action) -> OnProcessIO:
    """Run an action when a process has printed `words`.

    The node's transition events are lost where they come before launch and node have found each
    other, which takes up to 3 s.
    """

    def listen(event: ProcessIO) -> list[Action]:
        return [action] if words in event.text.decode(errors="replace") else []

    return OnProcessIO(target_action=process, on_stdout=listen, on_stderr=listen)


def _is_node(action: Action) -> bool:
    return isinstance(action, LifecycleNode)


def _when_played(event: ProcessExited, _: LaunchContext) -> list[Action]:
    if event.returncode:
        reason = f"the player has failed, with exit status {event.returncode}: it said why above"
        return [_fail(reason)]
    return [TimerAction(period=LAST_RESULTS, actions=[OpaqueFunction(function=_end)])]


def _end(context: LaunchContext) -> list[Action]:
    """End the launch, unless it is ending: launch_ros fails if it is told a second time."""
    if context.is_shutdown:
        return []
    reason = "the recording is over"  # which the event only keeps
    return [LogInfo(msg=reason), EmitEvent(event=Shutdown(reason=reason))]


def _fail(reason: str) -> OpaqueFunction:
    return OpaqueFunction(function=failing(reason))


def _number(argument: Argument, name: str) -> float:
    text = argument(name)
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name} is {text!r}: write a number, 0 or more")
    return number


def _python(command: list[str]) -> ExecuteProcess:
    return _process([sys.executable, *command])


def _process(command: list[str]) -> ExecuteProcess:
    # It is started by an event, when the environment of the node's group is gone.
    environment = {"PYTHONUNBUFFERED": "1", **_profile()}
    return ExecuteProcess(cmd=command, output="screen", additional_env=environment)


def _profile() -> dict[str, str | PathJoinSubstitution]:
    path = PathJoinSubstitution([FindPackageShare("gsam_ros"), "config", "fastdds.xml"])
    return profile_variables(path)
