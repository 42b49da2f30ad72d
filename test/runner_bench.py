"""A runner with doubles around it: a tracker that finds nothing, and an outlet that takes notes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from gsam_ros.instances import Frame, FrameResult, Instances
from gsam_ros.pipeline.drops import BadFrameError
from gsam_ros.pipeline.inbox import Arrival, LiveInbox, LosslessInbox
from gsam_ros.pipeline.runner import Runner
from gsam_ros.pipeline.step_errors import CamerasFailed, NothingBegun
from gsam_ros.prompts import Prompt, PromptError, parse_phrases
from gsam_ros.stages import Stage
from gsam_ros.visual_prompts import VisualPrompt

SECOND = 10**9


class DoubleTracker:
    """Answers every frame with nothing found; fails on images whose first pixel is 12 to 15.

    On 12 its device is lost, of 14 it knows whose fault it is, and on 15 it changes nothing.
    """

    def __init__(self) -> None:
        self._prompts: dict[str | None, Prompt] = {}
        self._version = 0
        self.reset_cameras: list[str | None] = []
        self.most = 8  # frames in a step that memory holds
        self.steps: list[list[int]] = []
        self.done: list[str] = []
        self.when_detected = lambda: None
        self.lost = False  # once it failed on an image whose first pixel is 12

    @property
    def prompt(self) -> Prompt | None:
        return self._prompts.get(None)

    def prompt_of(self, camera: str) -> Prompt | None:
        return self._prompts.get(self._holder(camera))

    def set_prompt(self, text: str, camera: str | None = None) -> Prompt:
        if "refuse" in text:
            raise PromptError("the tracker refuses it")
        if not text:
            del self._prompts[camera]
            common = self.prompt.phrases if self.prompt else ()
            return self._put(None, common)
        return self._put(camera, parse_phrases(text))

    def point_out(self, pointed: VisualPrompt) -> int:
        before = self.prompt_of(pointed.camera)
        phrases = before.phrases if before else ()
        self._put(self._holder(pointed.camera), phrases, (pointed.name,))
        return 1

    def _holder(self, camera: str) -> str | None:
        return camera if camera in self._prompts else None

    def _put(
        self, holder: str | None, phrases: tuple[str, ...], names: tuple[str, ...] = ()
    ) -> Prompt:
        self._version += 1
        self._prompts[holder] = Prompt(self._version, phrases, names, unknown=("zzz",))
        return self._prompts[holder]

    def reset(self, camera: str | None = None) -> None:
        self.reset_cameras.append(camera)

    def catch_up(self) -> None:
        self.done.append("catch_up")

    def is_lost(self) -> bool:
        return self.lost

    def close(self) -> None:
        self.done.append("close")

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        self.steps.append([f.stamp for f in frames])
        if any(f.image[0, 0, 0] == 15 for f in frames):
            raise NothingBegun("no memory for an image") from MemoryError("no room")
        if any(f.image[0, 0, 0] == 12 for f in frames):
            self.lost = True
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if any(f.image[0, 0, 0] == 13 for f in frames):
            raise RuntimeError("device on fire")
        if guilty := {f.camera for f in frames if f.image[0, 0, 0] == 14}:
            raise CamerasFailed(guilty) from RuntimeError("a lens on fire")
        if len(frames) > self.most:
            raise MemoryError("out of memory")
        nothing = Instances.none(*frames[0].image.shape[:2])
        now = time.perf_counter()
        stages = (Stage("detect", now - 0.002, now),)
        return [FrameResult(f, nothing, self.prompt_of(f.camera), True, stages) for f in frames]


class Outlet:
    """Notes everything in the order in which it came."""

    def __init__(self) -> None:
        self.log: list[tuple] = []
        self.stages: list[Sequence[Stage]] = []
        self.can_publish = True

    def answer(self, arrival: Arrival, result: FrameResult, stages: Sequence[Stage]) -> None:
        if not self.can_publish:
            raise OSError("the middleware is gone")
        version = result.prompt.version if result.prompt else 0
        self.log.append(("answer", arrival.camera, arrival.stamp, version))
        self.stages.append(stages)

    def drop(self, arrival: Arrival, cause: str, reason: str) -> None:
        self.log.append(("drop", arrival.camera, arrival.stamp, cause))
        self.reason = reason

    def notice(self, camera: str, topic: str, message: str) -> None:
        self.log.append(("notice", camera, topic))
        self.message = message


def decode(arrival: Arrival) -> Frame:
    if arrival.payload is None:
        raise BadFrameError("no pixels")
    if not isinstance(arrival.payload, np.ndarray):
        raise MemoryError(f"no room for {arrival.payload}")
    return Frame(arrival.payload, arrival.stamp, arrival.camera)


class Bench:
    def __init__(self, lossless: bool = True) -> None:
        self.outlet = Outlet()
        self.tracker = DoubleTracker()
        self.may_load = threading.Event()
        self.may_load.set()
        lose = lambda arrival, cause: self.outlet.drop(arrival, cause, "")  # noqa: E731
        inbox = LosslessInbox(lose, 100) if lossless else LiveInbox(lose)
        self.lost, self.why = threading.Event(), ""
        self.runner = Runner(self.load, inbox, decode, self.outlet, self.lose)

    def lose(self, why: str) -> None:
        self.why = why
        self.lost.set()

    def load(self) -> DoubleTracker:
        assert self.may_load.wait(10)
        return self.tracker

    def put(self, stamp: float, size: tuple[int, int] = (4, 6), camera: str = "", fill: int = 0):
        image = np.full((*size, 3), fill, np.uint8)
        self.runner.put(Arrival(camera, round(stamp * SECOND), 0, image))

    def put_bad(self, stamp: float) -> None:
        self.runner.put(Arrival("", round(stamp * SECOND), 0, None))

    def put_too_large(self, stamp: float) -> None:
        self.runner.put(Arrival("", round(stamp * SECOND), 0, "10 GB"))

    def settle(self) -> list[tuple]:
        self.runner.call(lambda tracker: None).result(10)
        return self.outlet.log

    def settle_live(self) -> None:
        """A live inbox hands out calls before the frames that wait with them."""
        self.settle()
        self.settle()
