"""Writes the results of one part of a run, and joins the parts."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TextIO

from gsam_ros.drawing import draw_instances
from gsam_ros.instances import FrameResult
from gsam_ros.prompts import Prompt
from gsam_ros.recordings.bag_writer import remove_bag
from gsam_ros.recordings.run_folder import NAMES, sync_folder
from gsam_ros.recordings.sources.source import Origin, Source, Unreadable
from gsam_ros.recordings.video import VideoWriter, join_videos
from gsam_ros.stages import Stage, since
from gsam_ros.standalone.coco_file import annotation_entries, image_entry, join_coco, write_line
from gsam_ros.standalone.mot_file import mot_lines
from gsam_ros.standalone.result_bag import ResultBag, join_bags
from gsam_ros.standalone.run_parts import CameraProgress, RunProgress

_BAG, _IMAGES, _ANNOTATIONS, _FRAMES = "bag", "images.lines", "annotations.lines", "frames.csv"
_HEAD = ("camera", "frame", "stamp_ns", "name", "instances", "keyframe", "problem")
TOLD = 20
"""Unreadable frames, and prompts, that are kept in words."""


class PartWriter:
    """The files of one part; a context manager, complete once it is left.

    Args:
        folder: of the part.
        source: of the frames.
        progress: what goes on counting from the part before; it is kept up to date.
        video: whether to draw the results.
    """

    def __init__(self, folder: Path, source: Source, progress: RunProgress, video: bool) -> None:
        self._folder = folder
        self._cameras = source.cameras
        self._progress = progress
        self._closing = ExitStack()
        self._bag = ResultBag(folder / _BAG, source.cameras)
        self._closing.enter_context(self._bag)
        self._images, self._annotations, frames = (
            self._closing.enter_context((folder / name).open("w", errors=NAMES))
            for name in (_IMAGES, _ANNOTATIONS, _FRAMES)
        )
        self._frames = csv.writer(frames)
        self._texts: dict[str, TextIO] = {}
        self._videos: dict[str, VideoWriter] = {}
        for camera in source.cameras:
            state = progress.cameras.setdefault(camera, CameraProgress())
            text = folder / camera_file("mot", camera, "txt")
            self._texts[camera] = self._closing.enter_context(text.open("w"))
            if video:
                path = folder / camera_file("video", camera, "mp4")
                writer = VideoWriter(path, source.rate, state.video_size)
                self._videos[camera] = self._closing.enter_context(writer)

    def announce(self, prompt: Prompt, threshold: float, moment: int) -> None:
        """From `moment` (nanoseconds) on, this is asked for."""
        for camera in self._cameras:
            self._bag.announce(camera, prompt, threshold, moment)

    def add(self, result: FrameResult, origin: Origin, read: Stage) -> None:
        """Write a frame's results everywhere; `read`: when it was read."""
        progress, camera = self._progress, result.frame.camera
        state = progress.cameras[camera]
        state.frames += 1
        state.processed += 1
        state.stamp = result.frame.stamp
        begin = time.perf_counter()
        self._bag.add(result, origin)
        stages = [read, *result.stages, Stage("messages", begin, time.perf_counter())]
        if camera in self._videos:
            begin = time.perf_counter()
            self._videos[camera].add(draw_instances(result.frame.image, result))
            stages.append(Stage("overlay", begin, time.perf_counter()))
            state.video_size = self._videos[camera].size
        progress.seconds += stages[-1].end - read.begin
        counts = state.frames, state.processed, state.drops
        own = since(stages, read.begin)
        self._bag.add_status(camera, result.frame.stamp, origin, own, counts, result)
        image_id = progress.processed
        first = progress.annotations + 1
        write_line(self._images, image_entry(result, image_id, origin.name))
        for entry in annotation_entries(result, image_id, first, progress.categories):
            write_line(self._annotations, entry)
        progress.annotations += len(result.instances)
        self._texts[camera].writelines(mot_lines(result.instances, state.frames))
        told = len(result.instances), int(result.keyframe), ""
        self._frames.writerow((camera, state.frames, result.frame.stamp, origin.name, *told))

    def leave_out(self, item: Unreadable) -> str:
        """Count a frame that can't be used, and tell of it; returns what was told."""
        state = self._progress.cameras[item.camera]
        state.frames += 1
        state.drops[item.cause] = state.drops.get(item.cause, 0) + 1
        counts = state.frames, state.processed, state.drops
        self._bag.add_status(item.camera, item.stamp, item.origin, (), counts)
        told = f"{item.origin.name} is left out: {item.reason}"
        if len(self._progress.unreadable) < TOLD:
            self._progress.unreadable.append(told)
        self._frames.writerow(
            (item.camera, state.frames, item.stamp, item.origin.name, "", "", item.reason)
        )
        return told

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.__exit__(kind, error, trace)


def join_parts(
    parts: Sequence[Path], folder: Path, source: Source, progress: RunProgress, out: Path
) -> None:
    """Join the parts in a folder, then move everything to where it belongs.

    Args:
        parts: folders of the parts, in order.
        folder: to write into; on the same file system as `out`.
        source: of the frames.
        progress: after the last part.
        out: folder of the run.

    Raises:
        BagError: something that is no recording is in the way.
        VideoError: a video can't be written.
    """
    folder.mkdir()
    join_coco(
        folder / "results.json",
        (part / _IMAGES for part in parts),
        (part / _ANNOTATIONS for part in parts),
        progress.categories,
    )
    _join_text(folder / _FRAMES, (part / _FRAMES for part in parts), ",".join(_HEAD) + "\n")
    for camera in source.cameras:
        text = camera_file("mot", camera, "txt")
        _join_text(folder / text, (part / text for part in parts))
        video = camera_file("video", camera, "mp4")
        found = [part / video for part in parts if (part / video).exists()]
        if found:
            join_videos(folder / video, found, source.rate)
    join_bags(folder / "result", (part / _BAG for part in parts), source.cameras)
    sync_folder(folder)
    remove_bag(out / "result")
    for made in folder.iterdir():
        made.replace(out / made.name)
    folder.rmdir()


def camera_file(stem: str, camera: str, ending: str) -> str:
    """A file's name: "video_left.mp4", of a camera without a name "video.mp4"."""
    name = "_".join([stem, *camera.split("/")]) if camera else stem
    return f"{name}.{ending}"


def _join_text(path: Path, parts: Iterable[Path], head: str = "") -> None:
    with path.open("w", errors=NAMES) as out:
        out.write(head)
        for part in parts:
            with part.open(errors=NAMES) as lines:
                out.writelines(lines)
