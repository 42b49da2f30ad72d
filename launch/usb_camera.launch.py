"""Start a USB camera and gsam_node on it.

    ros2 launch gsam_ros usb_camera.launch.py prompt:="red mug. person."

The driver is v4l2_camera (`sudo apt install ros-$ROS_DISTRO-v4l2-camera`). Every argument of
gsam.launch.py may be given as well; rviz:=true shows the results.
"""

import re
from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare

from gsam_ros.camera_topics import absolute
from gsam_ros.fastdds import profile_variables
from gsam_ros.launching import BOOLEANS, RVIZ_SHOWS, failing, is_true
from launch import Action, LaunchContext, LaunchDescription

SHARE = FindPackageShare("gsam_ros")
PROFILE = PathJoinSubstitution([SHARE, "config", "fastdds.xml"])


def generate_launch_description() -> LaunchDescription:
    """Describe what is started."""
    profiles = [
        SetEnvironmentVariable(name, path) for name, path in profile_variables(PROFILE).items()
    ]
    # It takes what was given to this file.
    gsam = IncludeLaunchDescription(PathJoinSubstitution([SHARE, "launch", "gsam.launch.py"]))
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "video_device", default_value="/dev/video0", description="The camera"
            ),
            DeclareLaunchArgument(
                "image_size", default_value="[640, 480]", description="Width and height in pixels"
            ),
            DeclareLaunchArgument(
                "image_topic",
                default_value="/camera/image_raw",
                description="Where the camera's images go",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="Of gsam_node"),
            DeclareLaunchArgument(
                "rviz", default_value="false", choices=BOOLEANS, description="Show the results"
            ),
            DeclareLaunchArgument(
                "respawn",
                default_value="false",
                choices=BOOLEANS,
                description="Start gsam_node again when it has ended, instead of ending the launch",
            ),
            OpaqueFunction(function=_watch_node),
            OpaqueFunction(function=_beside_node),
            # A group has an environment of its own: nodes that are started beside keep theirs.
            GroupAction([*profiles, gsam]),
        ]
    )


def _watch_node(context: LaunchContext) -> list[Action]:
    if is_true(_argument(context, "respawn")):
        return []
    lost = OpaqueFunction(function=failing("gsam_node has ended: see above"))
    return [RegisterEventHandler(OnProcessExit(target_action=_is_node, on_exit=[lost]))]


def _beside_node(context: LaunchContext) -> list[Action]:
    actions = [_driver(context)]
    if is_true(_argument(context, "rviz")):
        actions.append(_rviz(context))
    # launch leaves running what it started in the same breath as something that can't be started
    # (a wrong argument of the node, a package that isn't installed), so each has one of its own.
    return [
        RegisterEventHandler(
            OnProcessStart(target_action=_is_node, on_start=[action], handle_once=True)
        )
        for action in actions
    ]


def _driver(context: LaunchContext) -> Node:
    device, size = _argument(context, "video_device"), _argument(context, "image_size")
    if not Path(device).exists():  # the driver says so and waits for ever
        raise ValueError(
            f"video_device is {device!r}, which does not exist: is the camera plugged in? "
            "`v4l2-ctl --list-devices` tells the names"
        )
    numbers = [int(number) for number in re.findall(r"\d+", size)]
    if len(numbers) != 2:
        raise ValueError(f"image_size is {size!r}: write [WIDTH, HEIGHT]")
    topic = absolute(_argument(context, "image_topic"), _argument(context, "namespace"))
    return Node(
        package="v4l2_camera",
        executable="v4l2_camera_node",
        namespace="/camera",
        parameters=[{"video_device": device, "image_size": numbers}],
        remappings=[
            ("image_raw", topic),
            ("image_raw/compressed", f"{topic}/compressed"),
            ("camera_info", f"{topic.rpartition('/')[0]}/camera_info"),
        ],
        output="screen",
        additional_env=profile_variables(PROFILE),
        on_exit=[OpaqueFunction(function=failing("the camera's driver has ended: see above"))],
    )


def _rviz(context: LaunchContext) -> Node:
    return Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([SHARE, "config", "gsam.rviz"])],
        remappings=[
            (f"/gsam_node/{shown}", absolute(f"~/{shown}", _argument(context, "namespace")))
            for shown in RVIZ_SHOWS
        ],
        additional_env=profile_variables(PROFILE),
    )


def _argument(context: LaunchContext, name: str) -> str:
    return LaunchConfiguration(name).perform(context)


def _is_node(action: Action) -> bool:
    return isinstance(action, LifecycleNode)
