"""Detections that are made beside the stream: from the question to their place among the tracks."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from gsam_ros.instances import Frame, LateDetection
from gsam_ros.pipeline.beside import Answer, BesideDetector, Job
from gsam_ros.pipeline.looking import Found
from gsam_ros.pipeline.step_errors import CamerasFailed
from gsam_ros.tracking.history import History

_LONG_LOOK = 30.0  # seconds; the largest detector on a CPU takes some ten


class LateDetections:
    """Gives keyframes to the detector, and works its answers in when they are there.

    Args:
        detector: beside the stream.
        history: works them in.
        job: makes a look at frames out of frames.
    """

    def __init__(
        self,
        detector: BesideDetector,
        history: History,
        job: Callable[[Sequence[Frame]], Job],
    ) -> None:
        self._detector = detector
        self._history = history
        self._job = job
        self._news: dict[str, LateDetection] = {}
        self._failure: CamerasFailed | None = None

    def warm_up(self, look: Callable[[], object]) -> None:
        """Have the detector's thread look once, and wait for it.

        Raises:
            Exception: what `look` raises.
        """
        self._detector.try_out(look)

    @property
    def asked(self) -> dict[str, int]:
        """Stamp of the keyframe, by camera, of which the answer is still to come."""
        return self._detector.asked

    @property
    def long_look(self) -> str:
        """For people: that the detector is at one look for too long; empty where it is not."""
        seconds = self._detector.looking_for
        if seconds < _LONG_LOOK:
            return ""
        return (
            f"the detector is at one look for {seconds:.0f} s, and nothing new is found meanwhile: "
            "look at fewer tiles (detector.slices), or it hangs"
        )

    def ask(self, frames: Sequence[Frame]) -> None:
        """Have keyframes looked at, of cameras of which no answer is still to come."""
        for frame in frames:
            self._detector.ask(frame)
        self._detector.begin(self._job)

    def work_in(self, new: Sequence[Frame] = ()) -> tuple[set[str], dict[str, Found]]:
        """Bring the tracks to where they would be, had the answers been there in time.

        Args:
            new: frames that the tracks have not come to yet.

        Returns:
            Cameras whose tracks may have changed, and by camera the answers to new frames, which
            come in time. What the detector raised is left for `check`.
        """
        changed: set[str] = set()
        in_time: dict[str, Found] = {}
        for frame, found, detect_ms in self._take():
            start = time.perf_counter()
            if any(frame is each for each in new):
                in_time[frame.camera] = found
            elif self._detected(frame, found):
                changed.add(frame.camera)
            else:
                continue
            ms = 1e3 * (time.perf_counter() - start)
            self._news[frame.camera] = LateDetection(frame.stamp, detect_ms, ms)
        self._detector.begin(self._job)
        return changed, in_time

    def _take(self) -> list[Answer]:
        try:
            return self._detector.take()
        except CamerasFailed as failure:
            self._failure = failure
            return []

    def _detected(self, frame: Frame, found: Found) -> bool:
        try:
            return self._history.detected(frame.camera, frame.stamp, *found)
        except Exception as error:  # noqa: BLE001  raised where frames fail and people are told
            self._failure = CamerasFailed([frame.camera])
            self._failure.__cause__ = error
            return False

    def check(self, cameras: Collection[str]) -> None:
        """Tell of what went wrong with frames of these cameras, once.

        Raises:
            CamerasFailed: something did.
        """
        failure = self._failure
        if failure and not failure.cameras.isdisjoint(cameras):
            self._failure = None
            raise failure

    def news(self, camera: str) -> LateDetection | None:
        """What was worked in since the camera's frame before, told once."""
        return self._news.pop(camera, None)

    def forget(self, camera: str | None = None) -> None:
        """Nothing that was asked or worked in counts any more, of one camera or of all."""
        self._detector.forget(camera)
        if self._failure and camera is not None and (rest := self._failure.cameras - {camera}):
            cause = self._failure.__cause__
            self._failure = CamerasFailed(rest)
            self._failure.__cause__ = cause
        elif self._failure:
            self._failure = None
        for name in list(self._news) if camera is None else [camera]:
            self._news.pop(name, None)

    def close(self) -> None:
        """End the detector's thread, after the work that it is at."""
        self._detector.close()
