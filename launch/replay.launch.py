"""Play a recording through gsam_node and record what comes out.

    ros2 launch gsam_ros replay.launch.py bag:=my_bag result:=my_result \
        image_topic:=/camera/image_raw prompt:="red mug. person."

The recording starts when the models are loaded, the node runs on the recording's clock, and all
ends when the recording does. In live mode, the default, results are as they would have been on the
robot. `gsam demo` and `gsam track` wait for the node instead and lose no frame.
"""

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.event_handlers import OnStateTransition
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

# The overlay is left out: it is drawn only where somebody looks.
RECORDED = (
    ".*/gsam_node/(detections|detections_3d|instances|instance_mask|semantic_mask|label_info|"
    "frame_status)"
)
LAST_RESULTS = 3.0  # seconds between the recording's end and ours


def generate_launch_description() -> LaunchDescription:
    """Describe what is started."""
    bag, result = LaunchConfiguration("bag"), LaunchConfiguration("result")
    play = ExecuteProcess(
        cmd=["ros2", "bag", "play", bag, "--clock", "100", "--rate", LaunchConfiguration("rate")],
        output="screen",
    )
    record = ExecuteProcess(
        cmd=["ros2", "bag", "record", "--output", result, "--regex", RECORDED], output="screen"
    )
    # It declares image_topic, prompt, models, device, ... and takes what was given to this file.
    node = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare("gsam_ros"), "launch", "gsam.launch.py"]),
        launch_arguments={"use_sim_time": "true"}.items(),
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Recording to play"),
            DeclareLaunchArgument(
                "result", default_value="gsam_result", description="Recording to write; a new name"
            ),
            DeclareLaunchArgument("rate", default_value="1.0", description="Speed of the playing"),
            RegisterEventHandler(OnStateTransition(goal_state="active", entities=[play])),
            RegisterEventHandler(
                OnStateTransition(
                    start_state="configuring",
                    goal_state="unconfigured",
                    entities=[
                        EmitEvent(event=Shutdown(reason="gsam_node could not be configured"))
                    ],
                )
            ),
            RegisterEventHandler(
                OnProcessExit(
                    target_action=play,
                    on_exit=[
                        TimerAction(
                            period=LAST_RESULTS,
                            actions=[EmitEvent(event=Shutdown(reason="the recording is over"))],
                        )
                    ],
                )
            ),
            record,
            node,
        ]
    )
