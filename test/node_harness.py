"""The real node in a process of its own, and a client that talks to it over DDS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from gsam_ros.msg import FrameStatus, InstanceArray
from gsam_ros.srv import SetPrompt
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from vision_msgs.msg import Detection2DArray, LabelInfo

from gsam_ros.bridge.images import encode_image
from gsam_ros.bridge.stamps import to_time
from gsam_ros.replay.family import ros_environment

PATIENCE = 60.0  # seconds; a machine under load is slow, and only a failing test waits so long
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


class GsamProcess:
    """`gsam_node` as a user runs it."""

    def __init__(
        self,
        environment: dict[str, str],
        log: Path,
        parameters: dict[str, Any],
        program: Sequence[str],
        parameter_file: Path | None,
    ) -> None:
        arguments = [sys.executable, *program, "--ros-args"]
        if parameter_file:
            arguments += ["--params-file", str(parameter_file)]
        for name, value in parameters.items():
            arguments += ["-p", f"{name}:={value}"]
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                arguments, stdout=output, stderr=subprocess.STDOUT, env=environment
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self, number: int = signal.SIGINT) -> tuple[int, float]:
        """Ask it to end: its exit status, and how many seconds it took."""
        start = time.monotonic()
        self.process.send_signal(number)
        try:
            status = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        return status, time.monotonic() - start


class Client:
    """Publishes images and prompts, keeps all that the node publishes, calls its services."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.images: dict[str, Any] = {}
        self.got: dict[str, list[Any]] = defaultdict(list)
        self._services: dict[str, Any] = {}
        self.prompts = node.create_publisher(String, "/gsam_node/prompt", LATCHED)
        self.listen(DiagnosticArray, "/diagnostics")
        self.listen(Log, "/rosout", QoSProfile(depth=1000))

    def listen(self, kind: type, topic: str, profile: QoSProfile | int = 100) -> list[Any]:
        """Keep the messages of a topic from now on."""
        self.node.create_subscription(kind, topic, self.got[topic].append, profile)
        return self.got[topic]

    def listen_to_results(self, base: str = "/gsam_node") -> None:
        for kind, topic in (
            (FrameStatus, "frame_status"),
            (InstanceArray, "instances"),
            (Detection2DArray, "detections"),
            (Image, "instance_mask"),
            (Image, "semantic_mask"),
        ):
            self.listen(kind, f"{base}/{topic}")
        self.listen(LabelInfo, f"{base}/label_info", LATCHED)

    def show(self, message: Any, topic: str = "/image") -> None:
        """Publish an image once the node listens."""
        if topic not in self.images:
            self.images[topic] = self.node.create_publisher(type(message), topic, 100)
        publisher = self.images[topic]
        self.wait(lambda: publisher.get_subscription_count() > 0, f"a subscriber of {topic}")
        publisher.publish(message)

    def call(self, kind: type, name: str, request: Any, patience: float = PATIENCE) -> Any:
        if name not in self._services:
            self._services[name] = self.node.create_client(kind, name)
        client = self._services[name]
        assert client.wait_for_service(patience), name
        future = client.call_async(request)
        self.wait(future.done, f"an answer of {name}", patience)
        return future.result()

    def set_prompt(self, text: str, camera: str = "") -> SetPrompt.Response:
        request = SetPrompt.Request(text=text, camera=camera)
        return self.call(SetPrompt, "/gsam_node/set_prompt", request)

    def set_parameter(self, name: str, value: Any) -> Any:
        request = SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()]
        )
        return self.call(SetParameters, "/gsam_node/set_parameters", request).results[0]

    def change_state(self, label: str) -> bool:
        request = ChangeState.Request(transition=Transition(label=label))
        return self.call(ChangeState, "/gsam_node/change_state", request).success

    def state(self) -> str:
        answer = self.call(GetState, "/gsam_node/get_state", GetState.Request(), patience=10)
        return answer.current_state.label

    def wait(self, done: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        end = time.monotonic() + patience
        while not (value := done()):
            assert time.monotonic() < end, f"waited {patience:g} s in vain for {what}"
            time.sleep(0.01)
        return value

    def wait_for_state(self, label: str) -> None:
        self.wait(lambda: self.state() == label, f"the state {label}")

    def wait_for(self, topic: str, count: int) -> list[Any]:
        """The first `count` messages of a topic."""
        self.wait(lambda: len(self.got[topic]) >= count, f"{count} messages on {topic}")
        return self.got[topic][:count]

    def health(self, name: str, told: Callable[[DiagnosticStatus], bool]) -> DiagnosticStatus:
        """Wait until one line of /diagnostics, by the end of its name, is as told."""

        def newest() -> DiagnosticStatus | None:
            for array in reversed(self.got["/diagnostics"][-1:]):
                for status in array.status:
                    if status.name == f"gsam_node: {name}" and told(status):
                        return status
            return None

        return self.wait(newest, f"the health of {name}")

    def logged(self, words: str) -> list[str]:
        """The log messages of the node that hold `words`."""
        return [m.msg for m in self.got["/rosout"] if m.name == "gsam_node" and words in m.msg]

    def wait_for_log(self, words: str) -> str:
        return self.wait(lambda: self.logged(words), f"a log message with {words!r}")[0]


class World:
    """One ROS domain for one test module, with a client and any number of nodes in a row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = ros_environment(folder)
        self.environment["OMP_NUM_THREADS"] = "1"
        self.environment["ROS_PYTHON_CHECK_FIELDS"] = "1"
        self._count = 0

    @contextmanager
    def client(self) -> Iterator[Client]:
        before = dict(os.environ)
        os.environ.update(self.environment)
        context = Context()
        rclpy.init(context=context)
        node = Node("test_client", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        spinner = threading.Thread(target=executor.spin, daemon=True)
        spinner.start()
        try:
            yield Client(node)
        finally:
            executor.shutdown()
            spinner.join()
            node.destroy_node()
            rclpy.shutdown(context=context)
            os.environ.clear()
            os.environ.update(before)

    @contextmanager
    def gsam_node(
        self,
        *,
        program: Sequence[str] = ("-m", "gsam_ros.node.process"),
        parameter_file: Path | None = None,
        **parameters: Any,
    ) -> Iterator[GsamProcess]:
        """The node with parameters; `__` in a name stands for the dot.

        It takes images reliably unless told otherwise: with best effort it may miss the first
        ones, since a publisher can know of a subscriber that doesn't know of the publisher yet.
        """
        self._count += 1
        given = {name.replace("__", "."): value for name, value in parameters.items()}
        if parameter_file is None:
            given.setdefault("image_reliability", "reliable")
        log = self.folder / f"node{self._count}.log"
        gsam = GsamProcess(self.environment, log, given, program, parameter_file)
        try:
            yield gsam
            if gsam.process.poll() is None:
                status, _ = gsam.end()
                assert status == 0, gsam.text()
        finally:
            if gsam.process.poll() is None:
                gsam.process.kill()
                gsam.process.wait()
            print(gsam.text())


def picture(stamp: float, array: np.ndarray, encoding: str = "rgb8", frame: str = "cam") -> Image:
    """An image message of an array, stamped in seconds."""
    header = Header(stamp=to_time(round(stamp * 1e9)), frame_id=frame)
    return encode_image(np.ascontiguousarray(array), encoding, header)


def grey(height: int = 120, width: int = 160) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)
