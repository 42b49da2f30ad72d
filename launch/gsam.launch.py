"""Start gsam_node on one camera, or on several.

    ros2 launch gsam_ros gsam.launch.py image_topic:=/camera/image_raw prompt:="red mug. person."
    ros2 launch gsam_ros gsam.launch.py cameras:="left=/left/image_raw right=/right/image_raw" ...

Every other parameter goes into a parameter file: config_file:=my.yaml (see config/gsam.yaml).
What is given here as an argument stands above the file; what is left empty is left to the file.
"""

from collections.abc import Callable
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from gsam_ros.camera_topics import check_topic, parse_camera_prompts, parse_cameras
from gsam_ros.launching import BOOLEANS, is_true
from launch import LaunchContext, LaunchDescription

# Launch argument: parameter of the node, what it is.
PARAMETERS = {
    "prompt": ("prompt", 'What to look for, phrases ended by dots: "red mug. person."'),
    "detector_model": ("detector.model", "Grounding DINO: demo-detector, a folder or a hub id"),
    "segmenter_model": ("segmenter.model", "SAM 2: demo-segmenter, a folder, a hub id, a .pt"),
    "slices": ("detector.slices.mode", "Small objects by tiles of the image: never, auto, always"),
    "device": ("device", "auto, cpu, cuda, cuda:1, ..."),
    "mode": ("mode", "live or lossless"),
    "image_transport": ("image_transport", "raw or compressed"),
}

Parameters = dict[str, str | bool | int | list[str]]
"""Of the node, by name."""

CAMERA_INFO = "camera_info"
RESPAWN_DELAY_S = 2.0


def generate_launch_description() -> LaunchDescription:
    """Describe what is started."""
    config = PathJoinSubstitution([FindPackageShare("gsam_ros"), "config", "gsam.yaml"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "image_topic",
                default_value="image",
                description="Image topic of the camera (with image_transport:=compressed, the name "
                "without /compressed)",
            ),
            DeclareLaunchArgument(
                "cameras",
                default_value="",
                description="Several cameras instead, NAME=IMAGE_TOPIC with spaces between; NAME's "
                "results come out below ~/NAME",
            ),
            DeclareLaunchArgument(
                "depth_topic",
                default_value="",
                description="Depth image registered to the camera's; gives detections_3d. With "
                "several cameras NAME=TOPIC, with spaces between, of those that have depth",
            ),
            DeclareLaunchArgument(
                "camera_info_topic",
                default_value=CAMERA_INFO,
                description="Of the camera, needed with depth_topic, and written like it",
            ),
            DeclareLaunchArgument(
                "prompt_topic",
                default_value="",
                description="Where prompts come from; by default ~/prompt",
            ),
            DeclareLaunchArgument(
                "prompts",
                default_value="",
                description="Prompts of their own for some of `cameras`: \"{left: 'red mug.'}\"",
            ),
            DeclareLaunchArgument(
                "result_depth",
                default_value="",
                description="Results that are kept for a slow subscriber; by default the file's",
            ),
            DeclareLaunchArgument("namespace", default_value="", description="Of the node"),
            DeclareLaunchArgument(
                "config_file", default_value=config, description="Parameter file of the node"
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="",
                choices=["", *BOOLEANS],
                description="Take the time from /clock; by default as the file says",
            ),
            DeclareLaunchArgument(
                "respawn",
                default_value="false",
                choices=BOOLEANS,
                description="Start the node again whenever it exits, until the launch is stopped",
            ),
            *(
                DeclareLaunchArgument(name, default_value="", description=about)
                for name, (_, about) in PARAMETERS.items()
            ),
            OpaqueFunction(function=_node),
        ]
    )


def _node(context: LaunchContext) -> list[LifecycleNode]:
    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    file = Path(argument("config_file")).expanduser()
    if not file.is_file():  # launch_ros would start the node without it
        raise ValueError(f"config_file is '{file}', which is no file: give a parameter file")
    parameters, topics = _cameras(argument)
    parameters |= {
        parameter: argument(name) for name, (parameter, _) in PARAMETERS.items() if argument(name)
    }
    if argument("use_sim_time"):
        parameters["use_sim_time"] = is_true(argument("use_sim_time"))
    if argument("result_depth"):
        if not argument("result_depth").isdecimal():
            raise ValueError(f"result_depth is {argument('result_depth')!r}: write a number")
        parameters["result_depth"] = int(argument("result_depth"))
    prompt_topic = argument("prompt_topic") or "~/prompt"
    return [
        LifecycleNode(
            package="gsam_ros",
            executable="gsam_node",
            name="gsam_node",
            namespace=argument("namespace"),
            parameters=[str(file), parameters],
            remappings=[*topics, ("~/prompt", check_topic(prompt_topic, "prompt_topic"))],
            output="screen",
            respawn=is_true(argument("respawn")),
            respawn_delay=RESPAWN_DELAY_S,
        )
    ]


def _cameras(argument: Callable[[str], str]) -> tuple[Parameters, list[tuple[str, str]]]:
    """What the node is told of its cameras, and how their topics are remapped."""
    parameters: Parameters = {}
    depth, info = argument("depth_topic"), argument("camera_info_topic")
    cameras = parse_cameras(argument("cameras"))
    if cameras:
        parameters["cameras"] = list(cameras)
        topics = {f"{name}/image": topic for name, topic in cameras.items()}
        depths = parse_cameras(depth, "depth_topic")
        infos = {} if info == CAMERA_INFO else parse_cameras(info, "camera_info_topic")
        if depths:
            parameters["depth_cameras"] = list(depths)
        others = {f"{name}/depth": topic for name, topic in depths.items()}
        others |= {f"{name}/camera_info": topic for name, topic in infos.items()}
    else:
        topics = {"image": check_topic(argument("image_topic"), "image_topic")}
        others = {"depth": depth or "depth", "camera_info": info}
        check_topic(info, "camera_info_topic")
        if depth:
            check_topic(depth, "depth_topic")
            parameters["depth"] = True
    if argument("prompts"):
        parameters["prompts"] = parse_camera_prompts(argument("prompts"), cameras)
    compressed = {f"{name}/compressed": f"{topic}/compressed" for name, topic in topics.items()}
    return parameters, [*topics.items(), *compressed.items(), *others.items()]
