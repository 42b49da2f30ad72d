"""The player's and the recorder's command lines; `gsam demo` and replay.launch.py share them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gsam_ros.recordings.result_topics import NODE
from gsam_ros.replay.streams import Stream

NODE_READY, NODE_FAILED = " ready: ", " failed: "
"""In the line that the node logs once its models are loaded."""

RECORDER_READY = "ready, recording"
"""The recorder's first words on standard output once every expected topic is being recorded."""

RESULT_DEPTH = 500
"""Results that wait for a recorder on a slow disk: the node's `result_depth`."""

LEFT_OUT = ("overlay", "instance_cloud")
"""Results that replay.launch.py doesn't record: the node makes them only for somebody who looks,
they are the largest, and both follow from others and the recording played: the overlay from image
and instances, the cloud from depth and instance mask."""


def recorder_command(
    result: Path | str,
    streams: Sequence[Stream],
    node: str = NODE,
    leave_out: Sequence[str] = (),
) -> list[str]:
    """What follows `python`: record what the node says into a new bag, but for `leave_out`.

    It says `RECORDER_READY` when no message can be missed any more.
    """
    expected = [
        f"{stream.results}/{kind}"
        for kind in ("frame_status", "label_info", "instances")
        for stream in streams
    ]
    return [
        *("-m", "gsam_ros.replay.record", str(result)),
        *("--below", node, "--expect", *expected),
        *(["--leave-out", *(f"/{kind}" for kind in leave_out)] if leave_out else []),
    ]


def live_recorder_command(result: Path | str, node: str, leave_out: Sequence[str]) -> list[str]:
    """The same topics with ROS 2's own recorder."""
    pattern = f"^{node}/(?!(.+/)?({'|'.join(leave_out)})$).*"
    return ["ros2", "bag", "record", "--output", str(result), "--regex", pattern]


def player_command(
    bag: Path | str,
    streams: Sequence[Stream],
    *,
    prompt: str = "",
    others: Sequence[str] = (),
    rate: str = "1.0",
) -> list[str]:
    """What follows `python`: play a recording, and wait for the node so that no frame is lost.

    Args:
        bag: the recording.
        streams: its cameras.
        prompt: topic of the prompts in it; "" where the node has its prompt already.
        others: further topics to play.
        rate: speed; 1 is as recorded.
    """
    return [
        *("-m", "gsam_ros.replay.play", str(bag), "--rate", rate),
        *(["--prompt", prompt] if prompt else []),
        *("--frames", *(f"{stream.image}={stream.results}/frame_status" for stream in streams)),
        *("--labels", *(f"{stream.results}/label_info" for stream in streams)),
        *(["--topics", *others] if others else []),
    ]
