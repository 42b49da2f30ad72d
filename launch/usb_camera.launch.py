"""Start a USB camera and gsam_node on it.

    ros2 launch gsam_ros usb_camera.launch.py prompt:="red mug. person."

The driver is v4l2_camera (`sudo apt install ros-$ROS_DISTRO-v4l2-camera`). Every argument of
gsam.launch.py may be given as well; rviz:=true shows the results.
"""

from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    SetEnvironmentVariable,
)
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from gsam_ros.launching import profile_variables
from launch import LaunchDescription

IMAGE_TOPIC = "/camera/image_raw"


def generate_launch_description() -> LaunchDescription:
    """Describe what is started."""
    share = FindPackageShare("gsam_ros")
    profile = PathJoinSubstitution([share, "config", "fastdds.xml"])
    profiles = [
        SetEnvironmentVariable(name, path) for name, path in profile_variables(profile).items()
    ]
    size = ParameterValue(LaunchConfiguration("image_size"), value_type=list[int])
    driver = Node(
        package="v4l2_camera",
        executable="v4l2_camera_node",
        namespace="/camera",
        parameters=[{"video_device": LaunchConfiguration("video_device"), "image_size": size}],
        output="screen",
    )
    gsam = IncludeLaunchDescription(
        PathJoinSubstitution([share, "launch", "gsam.launch.py"]),
        launch_arguments={"image_topic": IMAGE_TOPIC}.items(),
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", PathJoinSubstitution([share, "config", "gsam.rviz"])],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "video_device", default_value="/dev/video0", description="The camera"
            ),
            DeclareLaunchArgument(
                "image_size", default_value="[640, 480]", description="Width and height in pixels"
            ),
            DeclareLaunchArgument("rviz", default_value="false", description="Show the results"),
            # A group has an environment of its own: nodes that are started beside keep theirs.
            GroupAction([*profiles, driver, gsam, rviz]),
        ]
    )
