"""`gsam track`: the machine on a recording or a video, without ROS running."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from gsam_ros.drawing import draw_instances
from gsam_ros.evaluation.coco_file import CocoFile
from gsam_ros.evaluation.sources import Source
from gsam_ros.evaluation.video import write_video
from gsam_ros.instances import Frame, FrameResult


class Tracker(Protocol):
    """What is needed of a `GroundedTracker`."""

    def step(self, frames: list[Frame]) -> list[FrameResult]:
        """One frame in, its result out."""


def track(source: Source, tracker: Tracker, out: Path) -> int:
    """Take every frame of the source through the tracker; returns how many.

    Writes `results.json` (see `CocoFile`) and `video.mp4` into `out`. What was done so far is
    written even if the source breaks off.

    Raises:
        SourceError: a frame can't be read.
        BagError: the bag is damaged.
        VideoError: the video can't be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    results = CocoFile()
    frames = tqdm(source, total=source.length or None, desc="frames", unit="frame")
    try:
        return write_video(out / "video.mp4", _pictures(frames, tracker, results), source.rate)
    finally:
        results.write(out / "results.json")


def _pictures(frames: Iterable[Frame], tracker: Tracker, results: CocoFile) -> Iterator[np.ndarray]:
    for frame in frames:
        [result] = tracker.step([frame])
        results.add(result)
        yield draw_instances(frame.image, result)
