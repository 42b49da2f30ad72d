"""The process of one contender: frames come in, answers, seconds and megabytes go out.

Each has a process of its own, so that its peak memory is its own; they are asked in turn, stretch
by stretch, so that what else the machine does falls on all alike.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np

from . import machine
from .answers import EncodedAnswer
from .contenders import Entry


class ContenderError(RuntimeError):
    """A contender could not go on; the message names it and says why."""


@dataclass(frozen=True)
class Stretch:
    """What came of some frames.

    Attributes:
        seconds: that all of them took together.
        answers: one per frame.
        memory: MB after them.
        stages: milliseconds by stage, one per frame that had it; only ours tells them.
    """

    seconds: float
    answers: list[EncodedAnswer]
    memory: float
    stages: dict[str, list[float]] = field(default_factory=dict)


class Worker:
    """The other end of a contender's process; a context manager that ends it."""

    def __init__(self, entry: Entry) -> None:
        """Start it; `ready` waits until its models are loaded."""
        self.entry = entry
        context = multiprocessing.get_context("spawn")  # with nothing of this process in its memory
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, entry), daemon=True)
        # Read when torch is imported: threads that wait by spinning take the cores from the others.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        os.environ["OMP_NUM_THREADS"] = str(entry.threads)
        self._process.start()
        other.close()
        self.loaded_memory = 0.0
        self.needs_whole_video = False

    def ready(self) -> None:
        """Wait until the models are loaded.

        Raises:
            ContenderError: they can't be.
        """
        self.loaded_memory = self._receive()

    def begin(self, prompt: str, images: Sequence[np.ndarray]) -> float:
        """Start on a scene; returns the seconds that preparing all its frames took."""
        self.needs_whole_video = self._ask("begin", prompt)
        if not self.needs_whole_video:
            return 0.0
        return sum(self._ask("prepare", image) for image in images)

    def answer(self, images: Sequence[np.ndarray]) -> Stretch:
        """Answer the next frames."""
        return self._ask("answer", list(images))

    def look(self, image: np.ndarray, phrases: tuple[str, ...]) -> tuple[float, Any]:
        """Seconds and `Detections` of one large picture."""
        return self._ask("look", (image, phrases))

    def count(self, command: str, argument: Any) -> tuple[int, Any]:
        """Like the method named `command`, slower, and the operations it took.

        What counts as an operation: see `machine.flop_counter`.
        """
        return self._ask("count", (command, argument))

    def peak(self) -> float:
        """The most MB since the models were loaded."""
        return self._ask("peak", None)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _ask(self, command: str, argument: Any) -> Any:
        try:
            self._pipe.send((command, argument))
        except OSError as error:
            raise ContenderError(f"{self.entry.name}: its process is gone") from error
        return self._receive()

    def _receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join(5)
            status = self._process.exitcode
            raise ContenderError(
                f"{self.entry.name}: its process ended with status {status} (out of memory?)"
            ) from error
        if isinstance(answer, ContenderError):
            raise answer
        return answer


def _serve(pipe: Connection, entry: Entry) -> None:
    """Main function of the process."""
    try:
        import torch
        from transformers.utils import logging

        torch.set_num_threads(entry.threads)
        logging.disable_progress_bar()  # there is one for all
        logging.set_verbosity_error()
        served = _Served(entry)
        pipe.send(machine.memory_now(entry.models.device))
        while True:
            command, argument = pipe.recv()
            pipe.send(served.do(command, argument))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # nobody asks any more
    except Exception as error:  # noqa: BLE001  # whatever it is, the other side tells it
        pipe.send(ContenderError(f"{entry.name}: {type(error).__name__}: {error}"))


class _Served:
    """A contender and the commands it is given."""

    def __init__(self, entry: Entry) -> None:
        self._device = entry.models.device
        self._contender = entry.build()
        machine.reset_peak(self._device)

    def do(self, command: str, argument: Any) -> Any:
        """Carry out one command of a `Worker`."""
        if command == "begin":
            self._contender.begin(argument)
            return self._contender.needs_whole_video
        if command == "prepare":
            return self._timed(self._contender.prepare, argument)[0]
        if command == "answer":
            return self._answer(argument)
        if command == "look":
            return self._timed(self._contender.look, *argument)
        if command == "count":
            with machine.flop_counter() as counter:
                result = self.do(*argument)
            return counter.get_total_flops(), result
        return machine.memory_peak(self._device)

    def _answer(self, images: list[np.ndarray]) -> Stretch:
        seconds, answers = self._timed(self._contender.answer, images)
        stages = getattr(self._contender, "stages", {})
        memory = machine.memory_now(self._device)
        return Stretch(seconds, [a.encoded() for a in answers], memory, stages)

    def _timed(self, function: Any, *arguments: Any) -> tuple[float, Any]:
        machine.wait_for(self._device)
        start = time.perf_counter()
        result = function(*arguments)
        machine.wait_for(self._device)
        return time.perf_counter() - start, result
