"""What the player and the recorder share: a node that ends well, and message classes by name."""

from __future__ import annotations

import importlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


class Session:
    """One node, its executor, and whether somebody asked this process to end.

    Attributes:
        node: the node.
        stopped: SIGINT or SIGTERM came in. Nothing is shut down by that, so that what is under
            way can still be finished.
    """

    def __init__(self, name: str) -> None:
        self.node = Node(name)
        self.stopped = False
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def spin(self, seconds: float) -> None:
        """Handle what comes in until `seconds` have passed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def spin_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Handle what comes in until `done()`, a signal or the time limit; returns `done()`."""
        end = time.monotonic() + seconds
        while not done() and not self.stopped and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)
        return done()

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Signal handler."""
        self.stopped = True

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()


@contextmanager
def session(name: str) -> Iterator[Session]:
    """Start ROS with one node called `name`; signals only set `stopped`."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        current = Session(name)
        before = {s: signal.signal(s, current.stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield current
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            current.close()
    finally:
        rclpy.shutdown()


def message_class(name: str) -> Any:
    """The Python class of a message type such as `sensor_msgs/msg/Image`.

    Raises:
        ImportError: no such message is installed.
    """
    package, _, kind = name.split("/")
    module = importlib.import_module(f"{package}.msg")
    try:
        return getattr(module, kind)
    except AttributeError as error:
        raise ImportError(f"{package} has no message {kind}") from error
