"""Processes of ours: started with the same code, with a log each, and ended in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import gsam_ros

_TAIL = 15  # lines of a log that are shown when its process failed


class ProcessError(RuntimeError):
    """A process failed; the message names it and ends with its last log lines."""


def run_this_code(environment: dict[str, str]) -> None:
    """Let children run the same code as this process, from wherever it was started."""
    package = str(Path(gsam_ros.__file__).resolve().parent.parent)
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([package, known] if known else [package])


class Child:
    """A process of ours whose output goes to a log file.

    Attributes:
        name: for people.
        log: the file.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: dict[str, str],
        own_terminal: bool = False,
    ) -> None:
        """Start it.

        Args:
            name: for people.
            command: program and arguments.
            log: file for its output.
            environment: its environment variables.
            own_terminal: leave standard error on the terminal, where a progress bar belongs.
        """
        self.name = name
        self.log = log
        with log.open("wb") as output:
            # In a session of its own, Ctrl-C at the terminal reaches only us, and we end the
            # children in their order.
            self._process = subprocess.Popen(
                command,
                stdout=output,
                stderr=None if own_terminal else subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def says(self, words: str) -> bool:
        """Whether a line of the log holds `words`."""
        with self.log.open(errors="replace") as lines:
            return any(words in line for line in lines)

    def stop(self, patience: float = 15.0) -> int:
        """Ask it to end, more firmly when it doesn't; returns the exit status."""
        for ask in (signal.SIGINT, signal.SIGTERM):
            if self.status is None:
                self._process.send_signal(ask)
                self._wait(patience)
        if self.status is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def failure(self, what: str) -> ProcessError:
        """An error about this process that ends with its last log lines."""
        with self.log.open(errors="replace") as lines:
            tail = "".join(deque(lines, _TAIL)).rstrip()
        return ProcessError(f"{what}; the end of {self.log}:\n{tail}" if tail else what)

    def _wait(self, patience: float) -> None:
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            print(f"{self.name} is still there after {patience:g} s", file=sys.stderr)
