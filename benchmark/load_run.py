"""One load on the running node: cameras in a process, the node in another, and what it answers."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gsam_ros.msg import FrameStatus, InstanceArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from benchmark.camera_feed import READY, SEED
from gsam_ros.bridge.stamps import nanoseconds
from gsam_ros.evaluation.frame_timing import stages_of
from gsam_ros.process_memory import resident_bytes
from gsam_ros.processes import Child
from gsam_ros.replay.family import Family
from gsam_ros.replay.ros_session import Session, session
from gsam_ros.stages import milliseconds
from gsam_ros.world.scene import Scene
from gsam_ros.world.vocabulary import phrase_of

_PATIENCE = 180.0  # seconds for the models to load and the cameras to be drawn
_SHARED = (
    "detect",
    "encode",
    "track",
    "refine",
)  # stages of a step, the same for all cameras in it


@dataclass(frozen=True)
class Load:
    """What the cameras do.

    Attributes:
        cameras: how many.
        size: "WIDTHxHEIGHT" of their images.
        rate: images per second of each.
    """

    cameras: int
    size: str = "640x480"
    rate: float = 30.0

    def __str__(self) -> str:
        return f"{self.cameras} of {self.size} at {self.rate:g} Hz"


class Answer(NamedTuple):
    """A frame's status, and what the sums need of it."""

    camera: str
    age: float
    started: float
    """Seconds: when its step began to read it."""
    published: float
    ros: float
    """Milliseconds from the message to pixels, and from results to messages that have left."""
    step: tuple[float, ...]
    """Names the step that it was in."""
    counts: tuple[int, int, dict[str, int]]
    """Received, processed, dropped by cause; of its camera, until then."""


@dataclass(frozen=True)
class Figures:
    """What became of the frames within some seconds; times in milliseconds."""

    seconds: float
    received: int
    processed: int
    drops: dict[str, int]
    age_p50: float
    age_p99: float
    round_p50: float
    round_p99: float
    ros_p50: float
    node_cpu: float
    """Cores that the node used."""
    busy: float
    """Cores of the machine that were at work, for whomever."""
    memory: float
    """MB at the end."""


class Stream:
    """The running node and its cameras, seen from a client that listens to all but the overlay."""

    def __init__(self, current: Session, node: Child, cameras: Child, load: Load) -> None:
        self._session = current
        self.node = node
        self.cameras = cameras
        self._answers: list[Answer] = []
        for index in range(load.cameras):
            base = f"/gsam_node/cam{index}"
            self._listen(FrameStatus, f"{base}/frame_status", self._take)
            for kind, topic in (
                (Detection2DArray, "detections"),
                (InstanceArray, "instances"),
                (Image, "instance_mask"),
                (Image, "semantic_mask"),
            ):
                self._listen(kind, f"{base}/{topic}", lambda _: None, raw=True)

    def measure(self, seconds: float, tick: Callable[[float], object]) -> Figures:
        """Listen for so long; `tick` is told of the seconds that pass."""
        self._answers.clear()
        pid, start = self.node.pid, time.monotonic()
        cpu, busy = _cpu_seconds(pid), _busy_seconds()
        while (past := time.monotonic() - start) < seconds and not self._session.stopped:
            self._session.spin(min(0.5, seconds - past))
            tick(time.monotonic() - start - past)
        past = time.monotonic() - start
        cores = (_cpu_seconds(pid) - cpu) / past, (_busy_seconds() - busy) / past
        return figures(self._answers, past, cores, resident_bytes(pid))

    @property
    def stopped(self) -> bool:
        """Whether the user asked to end."""
        return self._session.stopped

    def _listen(
        self, kind: Any, topic: str, handle: Callable[[Any], None], raw: bool = False
    ) -> None:
        self._session.node.create_subscription(kind, topic, handle, QoSProfile(depth=10), raw=raw)

    def _take(self, status: FrameStatus) -> None:
        stages = milliseconds(stages_of(status))
        if not stages:
            return
        self._answers.append(
            Answer(
                status.camera,
                status.age,
                nanoseconds(status.received) / 1e9 + stages["wait"] / 1e3,
                nanoseconds(status.published) / 1e9,
                stages["decode"] + stages["messages"],
                # Told from each camera's own receipt on, which costs the last bits.
                tuple(round(stages[name], 4) for name in _SHARED if name in stages),
                (
                    status.frames_received,
                    status.frames_processed,
                    dict(zip(status.drop_causes, status.drop_counts, strict=True)),
                ),
            )
        )


@contextmanager
def stream(load: Load, logs: Path, parameters: list[str]) -> Iterator[Stream]:
    """Start the node and the cameras; both are ended with the context.

    Args:
        load: what the cameras do.
        logs: folder for the processes' output, and `sent.json` of the cameras.
        parameters: of the node, besides its cameras and prompt, as NAME:=VALUE.
    """
    names = [f"cam{index}" for index in range(load.cameras)]
    words = sorted({phrase_of(pair) for pair in Scene(SEED).pairs.values()})[:4]
    given = [f"cameras:={json.dumps(names)}", f"prompt:='{'. '.join(words)}.'", *parameters]
    with Family(logs) as family:
        os.environ.update(family.environment)
        node = family.start(
            "gsam_node",
            *("-m", "gsam_ros.node.process", "--ros-args"),
            *(part for parameter in given for part in ("-p", parameter)),
        )
        feed = ("--cameras", str(load.cameras), "--rate", str(load.rate), "--size", load.size)
        cameras = family.start(
            "cameras", "-m", "benchmark.camera_feed", *feed, "--sent", str(logs / "sent.json")
        )
        family.wait_for(node, "ready: ", _PATIENCE)
        family.wait_for(cameras, READY, _PATIENCE)
        with session("load") as current:
            yield Stream(current, node, cameras, load)
        family.stop(cameras)
        family.stop(node)


def figures(
    answers: list[Answer], seconds: float, cores: tuple[float, float], memory: int
) -> Figures:
    """What the answers of some seconds say.

    Args:
        answers: in the order in which they came.
        seconds: that they took.
        cores: that the node used, and that were at work.
        memory: bytes of the node.
    """
    by_camera: dict[str, list[Answer]] = defaultdict(list)
    steps: dict[tuple[float, ...], list[Answer]] = defaultdict(list)
    for answer in answers:
        by_camera[answer.camera].append(answer)
        steps[answer.step].append(answer)
    drops: Counter[str] = Counter()
    received = processed = 0
    for own in by_camera.values():
        first, last = own[0].counts, own[-1].counts
        received += last[0] - first[0]
        processed += last[1] - first[1]
        drops.update({cause: n - first[2].get(cause, 0) for cause, n in last[2].items()})
    ages = [1e3 * answer.age for answer in answers] or [float("nan")]
    rounds = [
        1e3 * (max(a.published for a in step) - min(a.started for a in step))
        for step in steps.values()
    ] or [float("nan")]
    return Figures(
        seconds,
        received,
        processed,
        dict(drops),
        *np.percentile(ages, (50, 99)).tolist(),
        *np.percentile(rounds, (50, 99)).tolist(),
        float(np.median([answer.ros for answer in answers] or [float("nan")])),
        *cores,
        memory / 1e6,
    )


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process: proc_pid_stat(5), fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _busy_seconds() -> float:
    """CPU time of the machine that was not idle: proc_stat(5), all but the fields 4 and 5."""
    fields = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
