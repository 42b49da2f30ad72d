"""Two clocks for `benchmark.beside`: the machine's own, and one that counts computation alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gsam_ros.instances import Frame, FrameResult
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.inbox import Arrival, LiveInbox
from gsam_ros.pipeline.runner import Runner
from gsam_ros.pipeline.settings import Settings
from gsam_ros.stages import Stage


@dataclass(frozen=True)
class Answered:
    """A frame's results.

    Attributes:
        result: what was found.
        came: seconds since the first frame's arrival, when the results were there.
    """

    result: FrameResult
    came: float

    @property
    def age(self) -> float:
        """Seconds from the frame's arrival to its results."""
        return self.came - self.result.frame.stamp / 1e9


class RealClock:
    """The live runner, fed by a thread as from a camera; it is its own outlet."""

    def __init__(self, settings: Settings) -> None:
        self._answers: list[Answered] = []
        self._start = 0.0
        self._failure = ""
        self._runner = Runner(
            partial(GroundedTracker, settings, live=True),
            LiveInbox(lambda arrival, cause: None),
            lambda arrival: Frame(arrival.payload, arrival.stamp, arrival.camera),
            self,
        )
        self._runner.start()
        self._runner.ready.result()

    def run(self, prompt: str, frames: Sequence[Frame]) -> list[Answered]:
        """The answers to frames that arrive at their stamps; superseded ones have none."""
        self._runner.drain().result()
        self._runner.call(lambda tracker: tracker.set_prompt(prompt)).result()
        self._answers = []
        self._start = time.perf_counter()
        for frame in frames:
            time.sleep(max(self._start + frame.stamp / 1e9 - time.perf_counter(), 0))
            self._runner.put(Arrival(frame.camera, frame.stamp, 0, frame.image))
        while not self._answers or self._answers[-1].result.frame.stamp < frames[-1].stamp:
            self._check()
            time.sleep(0.05)
        self._runner.call(lambda tracker: None).result()
        self._check()
        return self._answers

    def close(self) -> None:
        """End the runner."""
        self._runner.stop()

    def answer(self, arrival: Arrival, result: FrameResult, stages: Sequence[Stage]) -> None:
        """Note when it came."""
        self._answers.append(Answered(result, time.perf_counter() - self._start))

    def drop(self, arrival: Arrival, cause: str, reason: str) -> None:
        """Only failures of the machine itself come here: a run with one is worth nothing."""
        self._failure = f"{cause}: {reason}"

    def notice(self, camera: str, topic: str, message: str) -> None:
        """Of cameras that start anew; each world is another camera."""

    def _check(self) -> None:
        if self._failure:
            raise RuntimeError(self._failure)


class CountedClock:
    """Time passes by the seconds of CPU that a step or a look of the detector takes.

    It is that of a machine with a core for the masks and a core for the detector that do not
    disturb each other, and other processes on this one change nothing but the caches. What the
    runner does is done here in its order: the newest frame is taken when the step before is over,
    and late detections are worked in while no frame is there.
    """

    def __init__(self, settings: Settings) -> None:
        self._machine = GroundedTracker(settings, live=True)
        self._held = _Held(self._machine, self._now) if self._machine._following.late else None
        self._passed = 0.0
        self._counting: float | None = None

    def run(self, prompt: str, frames: Sequence[Frame]) -> list[Answered]:
        """The answers to frames that arrive at their stamps; superseded ones have none."""
        self._passed = float("inf")
        self._machine.catch_up()
        self._machine.reset()
        self._machine.set_prompt(prompt)
        self._passed = 0.0
        answers, waiting = [], list(frames)
        while waiting:
            arrives = waiting[0].stamp / 1e9
            due = self._held.due() if self._held else None
            if due is not None and due <= max(self._passed, arrives):
                self._passed = max(self._passed, due)
                self._count(self._machine.catch_up)
            self._passed = max(self._passed, arrives)
            there = [frame for frame in waiting if frame.stamp / 1e9 <= self._passed]
            waiting = waiting[len(there) :]
            [result] = self._count(partial(self._machine.step, there[-1:]))
            answers.append(Answered(result, self._passed))
        return answers

    def close(self) -> None:
        """End the detector's thread."""
        self._passed = float("inf")
        self._machine.catch_up()
        self._machine.close()

    def _now(self) -> float:
        """Seconds on this clock, also while something is counted."""
        if self._counting is None:
            return self._passed
        return self._passed + time.thread_time() - self._counting

    def _count(self, work: Callable[[], Any]) -> Any:
        self._counting = time.thread_time()
        outcome = work()
        self._passed, self._counting = self._now(), None
        return outcome


class _Held:
    """The machine's detector, whose answers are held back until they are due on a clock."""

    def __init__(self, machine: GroundedTracker, now: Callable[[], float]) -> None:
        assert machine._following.late
        self._now = now
        self._detect, self._ask = machine._detector.detect, machine._following.late.ask
        self._work_in = machine._following.late.work_in
        self._looked, self._may, self._there = (threading.Semaphore(0) for _ in range(3))
        self._seconds = 0.0
        self._asked: float | None = None
        self._due: float | None = None
        machine._detector.detect = self._hold  # type: ignore[method-assign]
        machine._following.late.ask = self._note  # type: ignore[method-assign]
        machine._following.late.work_in = self._let_go  # type: ignore[method-assign]
        machine.when_detected = self._there.release

    def due(self) -> float | None:
        """When the answer is there that the detector is at; None where it is at none."""
        if self._asked is not None:
            self._looked.acquire()
            self._due, self._asked = self._asked + self._seconds, None
        return self._due

    def _note(self, frames: Sequence[Frame]) -> None:
        if frames:
            self._asked = self._now()
        self._ask(frames)

    def _hold(self, images: Sequence[np.ndarray], *arguments: Any) -> Any:
        start = time.thread_time()
        found = self._detect(images, *arguments)
        self._seconds = time.thread_time() - start
        self._looked.release()
        self._may.acquire()
        return found

    def _let_go(self, new: Sequence[Frame] = ()) -> Any:
        due = self.due()
        if due is not None and due <= self._now():
            self._may.release()
            self._there.acquire()
            self._due = None
        return self._work_in(new)
