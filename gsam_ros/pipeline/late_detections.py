"""Detections that are made beside the stream: from the question to their place among the tracks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gsam_ros.instances import Frame, LateDetection
from gsam_ros.pipeline.beside import BesideDetector, Job
from gsam_ros.pipeline.keyframes import Found
from gsam_ros.tracking.history import History


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
        self._failure: Exception | None = None

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

    def ask(self, frames: Sequence[Frame]) -> None:
        """Have keyframes looked at, of cameras of which no answer is still to come."""
        for frame in frames:
            self._detector.ask(frame)
        self._detector.begin(self._job)

    def work_in(self, new: Sequence[Frame] = ()) -> tuple[bool, dict[str, Found]]:
        """Bring the tracks to where they would be, had the answers been there in time.

        Args:
            new: frames that the tracks have not come to yet.

        Returns:
            Whether tracks may have changed, and by camera the answers to new frames, which come in
            time. What the detector raised is left for `check`.
        """
        changed, in_time = False, {}
        try:
            for frame, found, detect_ms in self._detector.take():
                start = time.perf_counter()
                if any(frame is each for each in new):
                    in_time[frame.camera] = found
                elif not self._history.detected(frame.camera, frame.stamp, *found):
                    continue
                else:
                    changed = True
                ms = 1e3 * (time.perf_counter() - start)
                self._news[frame.camera] = LateDetection(frame.stamp, detect_ms, ms)
        except Exception as error:  # noqa: BLE001  raised where frames fail and people are told
            self._failure = error
        self._detector.begin(self._job)
        return changed, in_time

    def check(self) -> None:
        """Raise what went wrong since the last time, if anything did."""
        failure, self._failure = self._failure, None
        if failure:
            raise failure

    def news(self, camera: str) -> LateDetection | None:
        """What was worked in since the camera's frame before, told once."""
        return self._news.pop(camera, None)

    def forget(self, camera: str | None = None) -> None:
        """Nothing that was asked or worked in counts any more, of one camera or of all."""
        self._detector.forget(camera)
        for name in list(self._news) if camera is None else [camera]:
            self._news.pop(name, None)

    def close(self) -> None:
        """End the detector's thread, after the work that it is at."""
        self._detector.close()
