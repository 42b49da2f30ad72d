"""What became of a camera's frames: counts since the start, rates and ages of late."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gsam_ros.pipeline.drops import SUPERSEDED

WINDOW = 5.0
"""Seconds over which rates and ages are taken."""


@dataclass(frozen=True)
class Snapshot:
    """One camera's statistics at one moment.

    Attributes:
        received: frames that came in, whatever became of them.
        processed: frames that were answered with results.
        drops: frames that were not, by cause.
        rate_in: frames per second that came in, over the last `WINDOW` seconds.
        rate_out: frames per second that were answered with results, likewise.
        recent_drops: frames dropped within the window, by cause.
        age_p50: seconds from a frame's stamp to its results, median of the window; None: no frame.
        age_p99: likewise, 99th percentile.
        silence: seconds since the last frame came in or was answered, or since the start. It is 0
            while frames wait, as their sender may pause until it gets answers.
        waiting: seconds for which frames have come in and none was answered; 0: none is due.
        objects: in sight in the newest results.
    """

    received: int
    processed: int
    drops: dict[str, int]
    rate_in: float
    rate_out: float
    recent_drops: dict[str, int]
    age_p50: float | None
    age_p99: float | None
    silence: float
    waiting: float
    objects: int


class CameraStatistics:
    """Counts one camera's frames; every method may be called from any thread.

    Args:
        now: a clock in seconds that never jumps.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Start to count from zero."""
        with self._lock:
            self._start = self._last = self._now()
            self._due: float | None = None
            self._received = 0
            self._processed = 0
            self._drops: Counter[str] = Counter()
            self._arrivals: deque[float] = deque()
            self._answers: deque[tuple[float, float]] = deque()
            self._losses: deque[tuple[float, str]] = deque()
            self._objects = 0

    def expect_frames(self) -> None:
        """Frames may come from now on: silence counts from here."""
        with self._lock:
            self._last = self._now()

    def frame_received(self) -> None:
        """Count a frame that came in."""
        with self._lock:
            self._received += 1
            self._last = self._now()
            self._due = self._last if self._due is None else self._due
            self._arrivals.append(self._last)
            self._forget()

    def frame_processed(self, age: float, objects: int) -> None:
        """Count a frame that was answered `age` seconds after its stamp with so many objects."""
        with self._lock:
            self._objects = objects
            self._processed += 1
            self._last = self._now()
            self._answers.append((self._last, age))
            self._wait_anew()
            self._forget()

    def frame_dropped(self, cause: str) -> None:
        """Count a frame that was given up."""
        with self._lock:
            self._drops[cause] += 1
            self._losses.append((self._now(), cause))
            if cause != SUPERSEDED:  # such a one only waited
                self._wait_anew()
            self._forget()

    def counts(self) -> tuple[int, int, dict[str, int]]:
        """Frames received, frames processed, frames dropped by cause."""
        with self._lock:
            return self._received, self._processed, dict(self._drops)

    def snapshot(self) -> Snapshot:
        """Everything, at this moment."""
        with self._lock:
            self._forget()
            now = self._now()
            unanswered = self._unanswered > 0
            span = min(WINDOW, max(now - self._start, 1e-3))
            ages = [age for _, age in self._answers]
            p50, p99 = np.percentile(ages, (50, 99)).tolist() if ages else (None, None)
            return Snapshot(
                received=self._received,
                processed=self._processed,
                drops=dict(self._drops),
                rate_in=len(self._arrivals) / span,
                rate_out=len(self._answers) / span,
                recent_drops=dict(Counter(cause for _, cause in self._losses)),
                age_p50=p50,
                age_p99=p99,
                silence=0.0 if unanswered else now - self._last,
                waiting=now - self._due if unanswered and self._due is not None else 0.0,
                objects=self._objects,
            )

    @property
    def _unanswered(self) -> int:
        return self._received - self._processed - self._drops.total()

    def _wait_anew(self) -> None:
        """A frame got its answer; the next one is due from now on, or from when it comes."""
        self._due = self._now() if self._unanswered > 0 else None

    def _forget(self) -> None:
        """Let go of what is older than the window."""
        oldest = self._now() - WINDOW
        while self._arrivals and self._arrivals[0] < oldest:
            self._arrivals.popleft()
        while self._answers and self._answers[0][0] < oldest:
            self._answers.popleft()
        while self._losses and self._losses[0][0] < oldest:
            self._losses.popleft()
