"""One lossless run of the node over a recording: player, node and recorder as three processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from gsam_ros.replay.commands import (
    NODE_FAILED,
    NODE_READY,
    RECORDER_READY,
    RESULT_DEPTH,
    player_command,
    recorder_command,
)
from gsam_ros.replay.family import Family
from gsam_ros.replay.memory_watch import MemoryWatch
from gsam_ros.replay.streams import streams_of

_LOAD_LIMIT = 300.0  # seconds until the node has loaded its models
_DISCOVERY_LIMIT = 30.0  # seconds until the recorder has found its topics


def replay(
    sample: Path, result: Path, cameras: Sequence[str], logs: Path, parameters: Path | None = None
) -> np.ndarray:
    """Play `sample` through the node in real time and record everything that the node says.

    Args:
        sample: bag with `/NAME/image` and `/NAME/camera_info` of each camera and `/prompt`.
        result: the bag to make.
        cameras: names of the cameras.
        logs: folder for log files and for the node's parameters.
        parameters: further parameters of the node, a ROS 2 parameter file.

    Returns:
        [T, 2] seconds and bytes: the node's resident memory while the recording was played, which
        is in `logs`/memory.csv as well.

    Raises:
        ProcessError: one of the three failed; the others are ended.
        OSError: a file can't be written.
    """
    with Family(logs) as family:
        own = write_parameters(logs / "lossless.yaml", cameras)
        files = [own] if parameters is None else [own, parameters]
        node = family.start(
            "node",
            "-m",
            "gsam_ros.node.process",
            "--ros-args",
            "-r",
            "~/prompt:=/prompt",
            *(word for file in files for word in ("--params-file", str(file))),
        )
        streams = streams_of(cameras)
        recorder = family.start("recorder", *recorder_command(result, streams))
        family.wait_for(node, NODE_READY, _LOAD_LIMIT, gives_up=NODE_FAILED)
        family.wait_for(recorder, RECORDER_READY, _DISCOVERY_LIMIT)
        infos = [f"/{name}/camera_info" for name in cameras]
        player = family.start(
            "player",
            *player_command(sample, streams, prompt="/prompt", others=infos),
            own_terminal=True,
        )
        with MemoryWatch(node.pid) as memory:
            family.wait_for(player)
        memory.write(logs / "memory.csv")
        family.stop(recorder)
        family.stop(node)
        return memory.samples


def write_parameters(path: Path, cameras: Sequence[str]) -> Path:
    """Write the node's parameters for a run that loses nothing; returns `path`."""
    values = {
        "use_sim_time": True,
        "mode": "lossless",
        "cameras": list(cameras),
        "result_depth": RESULT_DEPTH,
    }
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}, sort_keys=False))
    return path
