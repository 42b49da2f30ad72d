"""One thread that owns the tracker: takes frames from an inbox, hands results on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol

from gsam_ros.errors import with_place
from gsam_ros.instances import Frame, FrameResult
from gsam_ros.pipeline.drops import ERROR, STAMP, BadFrameError
from gsam_ros.pipeline.inbox import Arrival, Call, Inbox
from gsam_ros.pipeline.step_errors import CamerasFailed, DeviceLost, NothingBegun
from gsam_ros.pipeline.step_groups import APART, StepGroups
from gsam_ros.stages import Stage

_LOG = logging.getLogger(__name__)

LATE_NS = 500_000_000
"""A stamp that is older than the last one by up to this is a late or doubled frame. By more, time
itself went back (a bag that loops, a clock that was set) and the stream starts anew."""


class Tracker(Protocol):
    """What the runner needs of a `GroundedTracker`."""

    when_detected: Callable[[], None]

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """One frame per camera in, one result per frame out."""

    def reset(self, camera: str | None = None) -> None:
        """Forget the tracks of one camera or of all."""

    def catch_up(self) -> None:
        """Work in what was detected beside."""

    def is_lost(self) -> bool:
        """Whether the device fails on everything, so that only another process can go on."""

    def close(self) -> None:
        """End what runs beside; nothing comes after."""


class Outlet(Protocol):
    """Where the runner's results go. The runner's thread calls it, one call at a time."""

    def answer(self, arrival: Arrival, result: FrameResult, stages: Sequence[Stage]) -> None:
        """A frame was processed; `stages` are those so far, from its arrival on."""

    def drop(self, arrival: Arrival, cause: str, reason: str) -> None:
        """A frame was given up; `reason` is for people."""

    def notice(self, camera: str, topic: str, message: str) -> None:
        """Something that a user should know happened; `topic` names its kind."""


class Runner:
    """Loads a tracker and feeds it, both in one thread of its own.

    Args:
        load: makes the tracker; an error that it raises is found in `ready`.
        inbox: where the frames come from.
        decode: turns an arrival into a frame, or raises `BadFrameError`.
        outlet: where results go.
        lost: told, in the runner's thread, that the device is lost, and why. Nothing is answered
            any more then.
    """

    def __init__(
        self,
        load: Callable[[], Any],
        inbox: Inbox,
        decode: Callable[[Arrival], Frame],
        outlet: Outlet,
        lost: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._load = load
        self._lost = lost
        self._inbox = inbox
        self._decode = decode
        self._outlet = outlet
        self._last: dict[str, _Seen] = {}
        self._groups = StepGroups()
        self.ready: Future[None] = Future()
        """Done when the tracker is loaded, or holds the error that prevented it."""
        # A daemon, so that a download or a load that hangs can't keep the process alive.
        self._thread = threading.Thread(target=self._run, name="gsam-runner", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def put(self, arrival: Arrival) -> None:
        """Bring a frame in."""
        self._inbox.put(arrival)

    def call(self, function: Callable[[Any], Any]) -> Future[Any]:
        """Run `function(tracker)` between two frames, once the tracker is loaded."""
        return self._inbox.call(function)

    def drain(self) -> Future[Any]:
        """Drop the frames that wait; done when the worker is idle and all cameras start anew."""
        self._inbox.clear()
        return self.call(self._start_anew)

    def stop(self, timeout: float | None = None) -> bool:
        """End the thread after the step it is in; False if it is still at it after `timeout` s."""
        self._inbox.close()
        if self._thread.ident is None:  # told to end between its making and its start
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _start_anew(self, tracker: Tracker) -> None:
        tracker.reset()
        self._last.clear()

    def _run(self) -> None:
        try:
            tracker = self._load()
        except Exception as error:  # noqa: BLE001  handed to whoever waits for `ready`
            self._inbox.close()
            self.ready.set_exception(error)
            return
        # While no frame comes there is time for what is late.
        tracker.when_detected = lambda: self._inbox.call(lambda tracker: tracker.catch_up())
        self.ready.set_result(None)
        try:
            while work := self._inbox.take():
                for call in work.calls:
                    _perform(call, tracker)
                if work.arrivals:
                    self._process(tracker, work.arrivals)
        except DeviceLost as error:
            self._inbox.close()
            self._lost(with_place(error.__cause__ or error))
        except Exception as error:  # noqa: BLE001  a fault of ours
            _LOG.exception(
                "no image is answered any more, configure the node anew: %s", with_place(error)
            )
            self._inbox.close()  # nobody waits for what will not come
        tracker.close()

    def _process(self, tracker: Tracker, arrivals: Sequence[Arrival]) -> None:
        taken = []
        for arrival in arrivals:
            begin = time.perf_counter()
            frame = self._read(arrival)
            if frame is None:
                continue
            decode = Stage("decode", begin, time.perf_counter())
            taken.append(_Taken(arrival, frame, (Stage("wait", arrival.clock, begin), decode)))
        for group in self._groups.of(taken, lambda each: each.arrival.camera):
            self._step(tracker, group)

    def _step(self, tracker: Tracker, group: Sequence[_Taken]) -> bool:
        """Have frames processed in one step and answer them; False where it failed."""
        try:
            results = tracker.step([each.frame for each in group])
        except Exception as error:  # noqa: BLE001  the stream goes on; it is counted and told
            self._recover(tracker, group, error)
            return False
        for (arrival, _, stages), result in zip(group, results, strict=True):
            try:
                self._outlet.answer(arrival, result, stages + result.stages)
            except Exception as error:  # noqa: BLE001  results that can't leave cost their frame
                self._drop(arrival, ERROR, f"its results could not leave: {with_place(error)}")
        return True

    def _recover(self, tracker: Tracker, group: Sequence[_Taken], error: Exception) -> None:
        """Forget what a step that failed left half done, and find whose fault it was.

        Raises:
            DeviceLost: there is no use in another step.
        """
        if tracker.is_lost():
            raise DeviceLost from error.__cause__ or error
        if isinstance(error, CamerasFailed):
            self._blame(tracker, group, error)
            return
        reason = with_place(error)
        cameras = [each.arrival.camera for each in group]
        if isinstance(error, NothingBegun):
            reason = with_place(error.__cause__ or error)
        else:
            for camera in cameras:
                tracker.reset(camera)
        if len(group) == 1:
            self._groups.keep_apart(cameras)
            self._drop(group[0].arrival, ERROR, reason)
            return
        went_well = [self._step(tracker, [each]) for each in group]
        if all(went_well):  # together they were too much
            self._groups.keep_apart(cameras)
            self._notice(
                cameras[0],
                "apart",
                f"a step with the images of {len(group)} cameras failed ({reason}), "
                f"each on its own did not: for {APART:g} s they go one by one"
                + ("" if isinstance(error, NothingBegun) else "; objects get new ids"),
            )

    def _blame(self, tracker: Tracker, group: Sequence[_Taken], failed: CamerasFailed) -> None:
        """Give up what some cameras' fault it was, and go on with the others, who lose nothing."""
        reason = with_place(failed.__cause__ or failed)
        for each in group:
            if each.arrival.camera in failed.cameras:
                tracker.reset(each.arrival.camera)
                self._drop(each.arrival, ERROR, reason)
        others = [each for each in group if each.arrival.camera not in failed.cameras]
        if others:
            self._step(tracker, others)

    def _drop(self, arrival: Arrival, cause: str, reason: str) -> None:
        """Give a frame up. This thread outlives whatever its outlet can't do."""
        try:
            self._outlet.drop(arrival, cause, reason)
        except Exception as error:  # noqa: BLE001  a middleware that fails on the answer, too
            _LOG.error("a dropped frame could not be answered: %s", with_place(error))

    def _notice(self, camera: str, topic: str, message: str) -> None:
        """Tell of something, likewise."""
        try:
            self._outlet.notice(camera, topic, message)
        except Exception as error:  # noqa: BLE001  a logger that fails
            _LOG.error("%s could not be told: %s", message, with_place(error))

    def _read(self, arrival: Arrival) -> Frame | None:
        """The decoded frame, or None where it was given up."""
        last = self._last.get(arrival.camera)
        try:
            if last and last.stamp - LATE_NS <= arrival.stamp <= last.stamp:
                raise BadFrameError(
                    f"its stamp {arrival.stamp / 1e9:.3f} is not newer than that of the image "
                    "before: the camera driver must stamp every image with the time it was taken",
                    STAMP,
                )
            frame = self._decode(arrival)
        except BadFrameError as error:
            self._drop(arrival, error.cause, str(error))
            return None
        except Exception as error:  # noqa: BLE001  a library that fails on it, or no memory left
            self._drop(arrival, ERROR, with_place(error))
            return None
        seen = _Seen(frame.stamp, frame.image.shape[1], frame.image.shape[0])
        if last:
            self._compare(frame.camera, last, seen)
        self._last[arrival.camera] = seen
        return frame

    def _compare(self, camera: str, last: _Seen, seen: _Seen) -> None:
        """Tell of what makes the tracker start anew."""
        if seen.stamp < last.stamp:
            self._notice(
                camera,
                "time",
                f"time jumped back by {(last.stamp - seen.stamp) / 1e9:.1f} s (a bag that loops, "
                "or a clock that was set): its objects get new ids",
            )
        if (seen.width, seen.height) != (last.width, last.height):
            self._notice(
                camera,
                "resolution",
                f"the resolution changed from {last.width}x{last.height} to "
                f"{seen.width}x{seen.height}: its objects get new ids",
            )


class _Taken(NamedTuple):
    """A frame on its way through a step, with its stages so far."""

    arrival: Arrival
    frame: Frame
    stages: tuple[Stage, ...]


class _Seen(NamedTuple):
    """What is remembered of a camera's last good frame."""

    stamp: int
    width: int
    height: int


def _perform(call: Call, tracker: Any) -> None:
    """Run a call and keep its promise."""
    if not call.outcome.set_running_or_notify_cancel():
        return
    try:
        call.outcome.set_result(call.function(tracker))
    except Exception as error:  # noqa: BLE001  handed to whoever waits for the outcome
        call.outcome.set_exception(error)
