"""The annotated video: all cameras side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from gsam_ros.evaluation.panels import Panel, text_strip

_STRIP = 40  # pixels above the pictures


class VideoError(RuntimeError):
    """A video that can't be written or read; the message names the file."""


def write_video(path: Path, pictures: Iterable[np.ndarray], rate: float) -> int:
    """Write [H, W, 3] uint8 RGB pictures as MPEG-4; returns how many.

    Every player shows it that is not a web browser. OpenCV's wheels hold no H.264 encoder, and
    their VP9 one takes longer than the recording.

    Args:
        path: ends in .mp4.
        pictures: those that have another size than the first are scaled to it.
        rate: pictures per second.

    Raises:
        VideoError: the file can't be written.
    """
    writer: cv2.VideoWriter | None = None
    count = 0
    try:
        for picture in pictures:
            if writer is None:
                size = picture.shape[1], picture.shape[0]
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
                if not writer.isOpened():
                    raise VideoError(f"{path} can't be written: is its folder there and writable?")
            writer.write(cv2.cvtColor(cv2.resize(picture, size), cv2.COLOR_RGB2BGR))
            count += 1
    finally:
        if writer is not None:
            writer.release()
    return count


def side_by_side(cameras: Sequence[Iterator[Panel]]) -> Iterator[np.ndarray]:
    """The cameras' frames in step, under a strip that tells the prompt and the time.

    The first camera sets the pace; each other one shows its newest frame that is not newer.
    """
    leader, followers = cameras[0], [_Latest(panels) for panels in cameras[1:]]
    start: int | None = None
    for panel in leader:
        start = panel.stamp if start is None else start
        shown = [panel.picture, *(f.at(panel.stamp, panel.picture) for f in followers)]
        pictures = np.concatenate(shown, axis=1)
        prompt = " ".join(f"{phrase}." for phrase in panel.phrases)
        clock = f"{(panel.stamp - start) / 1e9:.1f} s"
        strip = text_strip(pictures.shape[1], _STRIP, f"“{prompt}”", clock)
        yield np.concatenate([strip, pictures])


class _Latest:
    """Reads panels on up to a moment."""

    def __init__(self, panels: Iterator[Panel]) -> None:
        self._panels = panels
        self._current: Panel | None = None
        self._next = next(panels, None)

    def at(self, stamp: int, like: np.ndarray) -> np.ndarray:
        """The newest picture at `stamp`; black, like another picture, before the first."""
        while self._next is not None and self._next.stamp <= stamp:
            self._current, self._next = self._next, next(self._panels, None)
        return np.zeros_like(like) if self._current is None else self._current.picture
