"""The detector at work beside the stream: a thread of its own, and on a GPU a stream of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from queue import Empty, SimpleQueue
from typing import NamedTuple

import torch

from gsam_ros.instances import Frame
from gsam_ros.pipeline.looking import Found
from gsam_ros.pipeline.step_errors import CamerasFailed
from gsam_ros.pipeline.step_groups import APART

Job = Callable[[], list[Found | None]]
"""A look at frames: one answer per frame; None where it could not look."""


class Answer(NamedTuple):
    """What the detector found on a frame, and how long it took for its batch, in ms."""

    frame: Frame
    found: Found
    detect_ms: float


class _Task(NamedTuple):
    frames: Sequence[Frame]
    job: Job
    ready: torch.cuda.Event | None


class _Outcome(NamedTuple):
    frames: Sequence[Frame]
    found: list[Found | None] | Exception
    detect_ms: float


class BesideDetector:
    """Gives frames to the detector, one batch at a time, at most one frame of each camera.

    All methods are for the thread that owns the tracker.

    Args:
        device: that the detector runs on.
        done: called in the detector's thread whenever there is something to `take`.
        now: a clock in seconds that never jumps.
    """

    def __init__(
        self,
        device: torch.device,
        done: Callable[[], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._done = done
        self._asked: dict[str, Frame] = {}
        self._waiting: list[Frame] = []
        self._busy_since: float | None = None
        self._now = now
        self._one_by_one_until = now()
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        # A daemon, so that a detection that hangs can't keep the process alive.
        self._thread = threading.Thread(target=self._work, name="gsam-detector", daemon=True)
        self._thread.start()

    @property
    def asked(self) -> dict[str, int]:
        """Stamp of the frame, by camera, of which an answer is still to come."""
        return {camera: frame.stamp for camera, frame in self._asked.items()}

    @property
    def looking_for(self) -> float:
        """Seconds since the look began whose answer is still to come; any thread may ask."""
        since = self._busy_since
        return 0.0 if since is None else self._now() - since

    def try_out(self, look: Callable[[], object]) -> None:
        """Run something in the detector's thread and wait for it, before anything is asked.

        Raises:
            Exception: what it raises.
        """

        def job() -> list[Found | None]:
            look()
            return []

        self._tasks.put(_Task((), job, None))
        outcome = self._outcomes.get()
        if isinstance(outcome.found, Exception):
            raise outcome.found

    def ask(self, frame: Frame) -> None:
        """Have a frame looked at as soon as the detector is free."""
        self._asked[frame.camera] = frame
        self._waiting.append(frame)

    def begin(self, make: Callable[[Sequence[Frame]], Job]) -> None:
        """If the detector is free, let it look at all frames that wait for it."""
        if self._busy_since is not None or not self._waiting:
            return
        alone = self._now() < self._one_by_one_until
        frames, self._waiting = (
            (self._waiting[:1], self._waiting[1:]) if alone else (self._waiting, [])
        )
        ready = None
        if self._device.type == "cuda":  # the prompt's encoding may still be in the making
            ready = torch.cuda.Event()
            ready.record(torch.cuda.current_stream(self._device))
        self._tasks.put(_Task(frames, make(frames), ready))
        self._busy_since = self._now()

    def take(self) -> list[Answer]:
        """What was found since the last time; nothing of frames that were forgotten or not seen.

        Raises:
            CamerasFailed: from what the detector raised; its frames are as if never asked for, and
                for a while it gets one at a time, so that no camera suffers from another's.
        """
        try:
            frames, found, detect_ms = self._outcomes.get_nowait()
        except Empty:
            return []
        self._busy_since = None
        wanted = [self._asked.get(frame.camera) is frame for frame in frames]
        for frame, is_wanted in zip(frames, wanted, strict=True):
            if is_wanted:
                del self._asked[frame.camera]
        if isinstance(found, Exception):
            self._one_by_one_until = self._now() + APART
            blamed = [f.camera for f, is_wanted in zip(frames, wanted, strict=True) if is_wanted]
            if not blamed:
                return []
            raise CamerasFailed(blamed) from found
        return [
            Answer(frame, each, detect_ms)
            for frame, each, is_wanted in zip(frames, found, wanted, strict=True)
            if is_wanted and each is not None
        ]

    def forget(self, camera: str | None = None) -> None:
        """No answer is wanted any more, of one camera or of all; work that was begun is ended."""
        for name in list(self._asked) if camera is None else [camera]:
            self._asked.pop(name, None)
        self._waiting = [f for f in self._waiting if camera is not None and f.camera != camera]

    def close(self) -> None:
        """End the thread, after the work that it is at."""
        self.forget()
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        on_gpu = self._device.type == "cuda"
        # Kernels of the stream's own thread don't queue up behind the detector's.
        stream = torch.cuda.Stream(self._device) if on_gpu else None
        with torch.cuda.stream(stream) if stream else nullcontext():
            while task := self._tasks.get():
                self._outcomes.put(_perform(task, stream))
                del task  # its images are not kept until the next one comes
                self._done()


def _perform(task: _Task, stream: torch.cuda.Stream | None) -> _Outcome:
    start = time.perf_counter()
    found: list[Found | None] | Exception
    try:
        if stream and task.ready:
            stream.wait_event(task.ready)
        found = task.job()
    except Exception as error:  # noqa: BLE001  raised again in the thread that takes the answers
        found = error
    return _Outcome(task.frames, found, 1e3 * (time.perf_counter() - start))
