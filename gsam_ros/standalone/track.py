"""`gsam track`: the pipeline on a recording, a video, images or a webcam, without ROS running.

What it leaves in its folder:

    result/       bag (mcap) with the node's topics and messages
    results.json  COCO data set: boxes, masks as RLE, scores, track ids, stamps
    mot.txt       MOTChallenge text (mot_NAME.txt of a camera with a name)
    video.mp4     annotated (video_NAME.mp4)
    frames.csv    every frame with its name and stamp, and what was wrong with it
    run.json      source, prompt, settings and counts; its being there says that the run is whole
    unfinished/   while it runs: see run_parts.py
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

import gsam_ros
from gsam_ros.instances import Frame, FrameResult
from gsam_ros.pipeline.drops import STAMP
from gsam_ros.pipeline.runner import LATE_NS
from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import Prompt, PromptError
from gsam_ros.recordings.run_folder import write_run
from gsam_ros.recordings.sources.source import (
    Item,
    Origin,
    PromptText,
    Source,
    SourceError,
    Unreadable,
)
from gsam_ros.settings import leaves
from gsam_ros.stages import Stage
from gsam_ros.standalone.file_states import model_states
from gsam_ros.standalone.part_writer import TOLD, PartWriter, camera_file, join_parts
from gsam_ros.standalone.run_parts import Parts, RunProgress
from gsam_ros.standalone.stop_signals import stop_signals


class Tracker(Protocol):
    """What is needed of a `GroundedTracker`."""

    settings: Settings
    device: Any

    def set_prompt(self, text: str) -> Prompt:
        """Look for something else."""

    def step(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """One frame in, its result out."""

    def state(self) -> Any:
        """What the next step depends on."""

    def restore(self, state: Any) -> None:
        """Go on from a state."""


@dataclass(frozen=True)
class TrackOutcome:
    """What became of a run.

    Attributes:
        frames: that were answered.
        unreadable: that could not be.
        problems: of the source, and the first unreadable frames, in words.
        finished: False if it was interrupted; the same call goes on from there.
        resumed: frames that an earlier, interrupted call had answered.
    """

    frames: int
    unreadable: int
    problems: tuple[str, ...]
    finished: bool
    resumed: int = 0


def track(
    source: Source,
    tracker: Tracker,
    out: Path,
    prompt: str = "",
    *,
    video: bool = True,
    limit: int = 0,
    part_seconds: float = 60.0,
) -> TrackOutcome:
    """Take every frame of the source through the tracker and write the results.

    The same frames give the same results, whether the run was interrupted in between or not, and
    memory does not grow with their number.

    Args:
        source: of the frames.
        tracker: that has seen no frame yet.
        out: folder of the results.
        prompt: what to look for; empty where the source brings its prompts.
        video: whether to draw the results.
        limit: end after so many frames; 0: at the source's end.
        part_seconds: how often the run is secured.

    Raises:
        SourceError: nothing more can be read, or nothing was ever asked for.
        BagError: the bag is damaged, or something is in the way.
        PartsError: an unfinished run of another kind is in `out`.
        PromptError: the prompt can't be used.
        VideoError: the video can't be written.
    """
    _check_place(source, out)
    out.mkdir(parents=True, exist_ok=True)
    identity = _identity(source, tracker.settings, prompt, video, limit)
    parts = Parts(out, identity)
    progress, state = parts.resume(tracker.device)
    resumed = progress.processed
    if state is not None:
        tracker.restore(state)
    run = _Run(source, tracker, parts, progress, prompt, video, limit, part_seconds)
    ended = run.go()
    if ended and progress.frames and not progress.prompt:
        parts.remove()
        why = next(iter(progress.refused), "no prompt came")
        raise SourceError(f"nothing was asked for ({why}): give a --prompt")
    problems = (*source.problems, *_lost(progress), *progress.refused, *progress.unreadable)
    unreadable = progress.frames - progress.processed
    outcome = TrackOutcome(progress.processed, unreadable, problems, ended, resumed)
    if ended:
        join_parts(parts.complete, parts.folder / "joined.part", source, progress, out)
        write_run(out, {**identity, **_summary(source, outcome, progress)})
        parts.remove()
    return outcome


class _Run:
    """One call of `track`."""

    def __init__(
        self,
        source: Source,
        tracker: Tracker,
        parts: Parts,
        progress: RunProgress,
        prompt: str,
        video: bool,
        limit: int,
        part_seconds: float,
    ) -> None:
        self._source = source
        self._tracker = tracker
        self._parts = parts
        self._progress = progress
        self._prompt = prompt
        self._video = video
        self._limit = limit
        self._part_seconds = part_seconds

    def go(self) -> bool:
        """Write parts to the end of the source; False if somebody interrupted it before."""
        total = self._source.length
        total = min(total, self._limit) if total and self._limit else total or self._limit
        items = self._items()
        with (
            stop_signals() as stopped,
            tqdm(
                total=total or None,
                initial=self._progress.frames,
                desc="frames",
                unit="frame",
                smoothing=0.1,
            ) as bar,
        ):
            more = True
            while more and not stopped.is_set():
                more = self._part(items, bar, stopped)
        return not more or self._source.endless

    def _items(self) -> Iterator[tuple[Item, Stage]]:
        """What is left of the source, and when it was read."""
        items = self._source.items(self._progress.items)
        while not self._limit or self._progress.frames < self._limit:
            begin = time.perf_counter()
            item = next(items, None)
            if item is None:
                return
            yield item, Stage("decode", begin, time.perf_counter())

    def _part(self, items: Iterator[tuple[Item, Stage]], bar: tqdm, stop: threading.Event) -> bool:
        """Write one part; False if the source has ended."""
        end = time.monotonic() + self._part_seconds
        folder = self._parts.begin()
        more = False
        with PartWriter(folder, self._source, self._progress, self._video) as writer:
            for item, read in items:
                self._take(writer, item, read, bar)
                if more := stop.is_set() or time.monotonic() > end:
                    break
        self._parts.end(folder, self._progress, self._tracker.state())
        return more

    def _take(self, writer: PartWriter, item: Item, read: Stage, bar: tqdm) -> None:
        self._progress.items += 1
        if isinstance(item, PromptText):
            try:
                self._ask(writer, item)
            except PromptError as error:  # as in the node, the prompt before stays in force
                told = f"the recording's prompt at {item.time / 1e9:.3f} is left out: {error}"
                if len(self._progress.refused) < TOLD:
                    self._progress.refused.append(told)
                tqdm.write(f"gsam: {told}", sys.stderr)
            return
        origin = item.token if isinstance(item, Frame) else item.origin
        assert isinstance(origin, Origin)
        if not self._progress.prompt and self._prompt:
            self._ask(writer, PromptText(origin.time, self._prompt))
        self._progress.unasked += not self._progress.prompt
        if isinstance(item, Frame):
            item = self._checked(item)
        if isinstance(item, Unreadable):
            told = writer.leave_out(item)
            if told in self._progress.unreadable:  # the first ones
                tqdm.write(f"gsam: {told}", sys.stderr)
        else:
            [result] = self._tracker.step([item])
            writer.add(result, origin, read)
        bar.update()

    def _ask(self, writer: PartWriter, prompt: PromptText) -> None:
        threshold = self._tracker.settings.detector.box_threshold
        understood = self._tracker.set_prompt(prompt.text)
        writer.announce(understood, threshold, prompt.time)
        self._progress.prompt = prompt.text
        for phrase in understood.unknown:
            tqdm.write(f"gsam: the detector knows no word of {phrase!r}", sys.stderr)

    def _checked(self, frame: Frame) -> Frame | Unreadable:
        """A frame whose stamp is not newer than the one before can't be used; as in the node."""
        last = self._progress.cameras[frame.camera].stamp
        if last is None or not last - LATE_NS <= frame.stamp <= last:
            return frame
        assert isinstance(frame.token, Origin)
        reason = f"its stamp {frame.stamp / 1e9:.3f} is not newer than that of the frame before"
        return Unreadable(frame.camera, frame.stamp, frame.token, reason, STAMP)


def _lost(progress: RunProgress) -> Iterator[str]:
    """What many frames have in common that have no answer, in words."""
    if progress.unasked:
        yield f"{progress.unasked} of {progress.frames} frames came before the first prompt"
    late = sum(camera.drops.get(STAMP, 0) for camera in progress.cameras.values())
    if late:
        yield (
            f"{late} of {progress.frames} frames are left out for their stamps: the camera driver "
            "must stamp every image with the time it was taken"
        )


def _check_place(source: Source, out: Path) -> None:
    """Refuse to write results over their source.

    Raises:
        SourceError: that would happen.
    """
    place = source.identity().get("path")
    written = [out / "result", *(out / camera_file("video", c, "mp4") for c in source.cameras)]
    if place in [str(path.resolve()) for path in written]:
        raise SourceError(f"{place} would be written over by its own results: give another --out")


def _identity(
    source: Source, settings: Settings, prompt: str, video: bool, limit: int
) -> dict[str, Any]:
    told = {
        "version": gsam_ros.__version__,
        "source": source.identity(),
        "prompt": prompt,
        "settings": {name: value for name, value, _ in leaves(settings)},
        "model": model_states(settings),
        "video": video,
        "limit": limit,
    }
    return dict(json.loads(json.dumps(told)))  # as it will be read: tuples are lists


def _summary(source: Source, outcome: TrackOutcome, progress: RunProgress) -> dict[str, Any]:
    return {
        "cameras": list(source.cameras),
        "frames": outcome.frames,
        "unreadable": outcome.unreadable,
        "problems": list(outcome.problems),
        "seconds": round(progress.seconds, 3),
    }
