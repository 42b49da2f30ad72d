"""Where frames wait for the pipeline, in the shape in which they arrived.

Live, a camera has one place and the newest frame takes it. Lossless, frames queue up and none is
passed over. Either way nothing is decoded here: a frame that is never chosen costs its bytes.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from gsam_ros.pipeline.drops import QUEUE_FULL, STOPPED, SUPERSEDED


@dataclass(frozen=True)
class Arrival:
    """A frame as it came in, not yet decoded.

    Attributes:
        camera: name of the camera.
        stamp: nanoseconds, when the camera took it.
        received: nanoseconds, when it came in, on the same clock as `stamp`.
        payload: what the decoder understands.
        clock: `time.perf_counter()` when it came in.
    """

    camera: str
    stamp: int
    received: int
    payload: Any
    clock: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class Call:
    """Something to do with the tracker between two frames, and the promise of its outcome."""

    function: Callable[[Any], Any]
    outcome: Future[Any]

    def cancel(self) -> None:
        """Tell whoever waits for the outcome that there will be none."""
        self.outcome.cancel()
        self.outcome.set_running_or_notify_cancel()  # without it `concurrent.futures.wait` waits on


@dataclass(frozen=True)
class Work:
    """What to do next: first the calls, then the frames in one step."""

    calls: tuple[Call, ...] = ()
    arrivals: tuple[Arrival, ...] = ()


class Inbox(ABC):
    """Takes frames and calls from any thread, hands them to one worker.

    Args:
        dropped: told of every frame that is given up, with the cause. It is called without the
            inbox's lock, from the thread that caused the drop.
    """

    def __init__(self, dropped: Callable[[Arrival, str], None]) -> None:
        self._dropped = dropped
        self._condition = threading.Condition()
        self._closed = False

    def put(self, arrival: Arrival) -> None:
        """Bring a frame in; it, or the frame whose place it takes, may be dropped."""
        with self._condition:
            loss = (arrival, STOPPED) if self._closed else self._store(arrival)
            self._condition.notify()
        if loss:
            self._dropped(*loss)

    def call(self, function: Callable[[Any], Any]) -> Future[Any]:
        """Have `function(tracker)` run by the worker; after `close` the outcome is cancelled."""
        call = Call(function, Future())
        with self._condition:
            if self._closed:
                call.cancel()
            else:
                self._store_call(call)
                self._condition.notify()
        return call.outcome

    def take(self) -> Work | None:
        """Wait for work; None when the inbox is closed and there will never be any again."""
        with self._condition:
            while not (work := self._next()) and not self._closed:
                self._condition.wait()
            return work

    def clear(self) -> None:
        """Drop the frames that wait. Calls stay."""
        with self._condition:
            arrivals = self._remove_arrivals()
        for arrival in arrivals:
            self._dropped(arrival, STOPPED)

    def close(self) -> None:
        """Let the worker finish: frames that wait are dropped, calls that wait are cancelled."""
        self.clear()
        calls: list[Call] = []
        arrivals: list[Arrival] = []  # that came after all others were dropped
        with self._condition:
            self._closed = True
            while work := self._next():
                calls += work.calls
                arrivals += work.arrivals
            self._condition.notify_all()
        # Without the lock: who is told of it may hold another one, and wait for this one.
        for arrival in arrivals:
            self._dropped(arrival, STOPPED)
        for call in calls:
            call.cancel()

    @abstractmethod
    def _store(self, arrival: Arrival) -> tuple[Arrival, str] | None:
        """Keep a frame; the frame that had to give way and why, if one had to."""

    @abstractmethod
    def _store_call(self, call: Call) -> None:
        """Keep a call."""

    @abstractmethod
    def _next(self) -> Work | None:
        """Take out what is to be done next, None where there is nothing."""

    @abstractmethod
    def _remove_arrivals(self) -> list[Arrival]:
        """Take out every frame that waits."""


class LiveInbox(Inbox):
    """One place per camera; the newest frame wins, and every camera that has one is in each step.

    So a frame never waits longer than one step, and a fast camera can't starve a slow one.
    """

    def __init__(self, dropped: Callable[[Arrival, str], None]) -> None:
        super().__init__(dropped)
        self._calls: list[Call] = []
        self._newest: dict[str, Arrival] = {}

    def _store(self, arrival: Arrival) -> tuple[Arrival, str] | None:
        former = self._newest.get(arrival.camera)
        self._newest[arrival.camera] = arrival
        return (former, SUPERSEDED) if former else None

    def _store_call(self, call: Call) -> None:
        self._calls.append(call)

    def _next(self) -> Work | None:
        if not self._calls and not self._newest:
            return None
        work = Work(tuple(self._calls), tuple(self._newest.values()))
        self._calls.clear()
        self._newest.clear()
        return work

    def _remove_arrivals(self) -> list[Arrival]:
        arrivals = list(self._newest.values())
        self._newest.clear()
        return arrivals


class LosslessInbox(Inbox):
    """First in, first out, one frame per step, calls at their place among the frames.

    The result of a frame then depends on nothing but the frames and prompts before it.

    Args:
        dropped: as of `Inbox`.
        capacity: frames that may wait; one more is dropped.
    """

    def __init__(self, dropped: Callable[[Arrival, str], None], capacity: int) -> None:
        super().__init__(dropped)
        self._capacity = capacity
        self._queue: deque[Arrival | Call] = deque()
        self._waiting = 0

    def _store(self, arrival: Arrival) -> tuple[Arrival, str] | None:
        if self._waiting >= self._capacity:
            return arrival, QUEUE_FULL
        self._queue.append(arrival)
        self._waiting += 1
        return None

    def _store_call(self, call: Call) -> None:
        self._queue.append(call)

    def _next(self) -> Work | None:
        if not self._queue:
            return None
        item = self._queue.popleft()
        if isinstance(item, Call):
            return Work(calls=(item,))
        self._waiting -= 1
        return Work(arrivals=(item,))

    def _remove_arrivals(self) -> list[Arrival]:
        arrivals = [item for item in self._queue if isinstance(item, Arrival)]
        self._queue = deque(item for item in self._queue if isinstance(item, Call))
        self._waiting = 0
        return arrivals
