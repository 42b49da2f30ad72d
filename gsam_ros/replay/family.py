"""Processes that belong to one run: started together, watched, and all ended whatever happens."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from types import TracebackType

from gsam_ros.fastdds import profile_variables
from gsam_ros.installation import shared_file
from gsam_ros.processes import Child, ProcessError, run_this_code


def ros_environment(logs: Path) -> dict[str, str]:
    """The environment for processes that talk to each other and to nobody else.

    They get a ROS domain of their own, so that a demo can't disturb a robot, and shared memory
    that is large enough for images: Fast DDS's default of 512 KiB loses every image that is
    bigger. A profile or a discovery range that the user has set stays.

    Args:
        logs: folder for ROS's own log files.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    environment = dict(os.environ)
    environment["ROS_DOMAIN_ID"] = str(_free_domain())
    environment["ROS_LOG_DIR"] = str(logs)
    environment["PYTHONUNBUFFERED"] = "1"
    run_this_code(environment)
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "SYSTEM_DEFAULT")
    environment.update(profile_variables(str(shared_file("config/fastdds.xml"))))
    return environment


def _free_domain() -> int:
    """A ROS domain in which nobody on this machine takes part.

    Its first participant would hold UDP port 7410 + 250 * domain (RTPS 2.5, 9.6.2). Domains 1 to
    101 lie below the ports that Linux hands out to others.
    """
    first = os.getpid()  # so that two runs that start together don't both take the lowest
    for domain in (1 + (first + i) % 101 for i in range(101)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain))
            except OSError:
                continue
            return domain
    raise ProcessError("every ROS domain from 1 to 101 is in use on this machine")


class Family:
    """The processes of one run; leaving the context ends all, the youngest first."""

    def __init__(self, logs: Path) -> None:
        """Args: logs: folder for the log files; it is made."""
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self.environment = ros_environment(logs)
        """Variables under which its processes run, and with which others can talk to them."""
        self._children: list[Child] = []

    def start(self, name: str, *arguments: str, own_terminal: bool = False) -> Child:
        """Run this Python interpreter with `arguments`, for example `-m`, a module, its options."""
        child = Child(
            name,
            [sys.executable, *arguments],
            self._logs / f"{name}.log",
            self.environment,
            own_terminal,
        )
        self._children.append(child)
        return child

    def wait_for(
        self,
        child: Child,
        words: str | None = None,
        seconds: float = float("inf"),
        gives_up: str | None = None,
    ) -> None:
        """Wait until `child` has ended well, or until a line of its log holds `words`.

        Args:
            child: whom to wait for.
            words: what it says when it is ready; None: it has to end.
            seconds: how long to wait.
            gives_up: what it says when it never will be.

        Raises:
            ProcessError: any process of the family failed, or the time is over.
        """
        end = time.monotonic() + seconds
        while not (child.status == 0 if words is None else child.says(words)):
            for other in self._children:
                # Whoever else ends is missed, even if it ends without an error.
                if other.status is not None and (other is not child or other.status != 0):
                    raise other.failure(f"{other.name} ended with status {other.status}")
            if gives_up and child.says(gives_up):
                raise child.failure(f"{child.name} gave up")
            if time.monotonic() > end:
                raise child.failure(f"{child.name} was not ready after {seconds:g} s")
            time.sleep(0.1)

    def stop(self, child: Child) -> None:
        """End one process.

        Raises:
            ProcessError: it ended with an error.
        """
        status = child.stop()
        self._children.remove(child)
        if status != 0:
            raise child.failure(f"{child.name} ended with status {status}")

    def __enter__(self) -> Family:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in reversed(self._children):
            child.stop()
