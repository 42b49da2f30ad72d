"""The annotated video: all cameras side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from gsam_ros.evaluation.pictures.panels import Panel, text_strip

_STRIP = 40  # pixels above the pictures


def side_by_side(cameras: Sequence[Iterator[Panel]]) -> Iterator[np.ndarray]:
    """The cameras' frames in step, under a strip that tells the prompt and the time.

    The first camera sets the pace; each other one shows its newest frame that is not newer, as high
    as the first one's. A video keeps its size, so a camera that changes its own is fitted to that.
    """
    leader, followers = cameras[0], [_Latest(panels) for panels in cameras[1:]]
    start: int | None = None
    size = (0, 0)
    for panel in leader:
        if start is None:
            start, size = panel.stamp, panel.picture.shape[:2]
            for follower in followers:
                follower.be_as_high_as(size[0])
        shown = [_fitted(panel.picture, size), *(f.at(panel.stamp) for f in followers)]
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
        self._size = (0, 0)

    def be_as_high_as(self, height: int) -> None:
        """Show pictures of this height, and as wide as the first one then is."""
        rows, columns = self._next.picture.shape[:2] if self._next else (1, 0)
        self._size = height, round(columns * height / rows)

    def at(self, stamp: int) -> np.ndarray:
        """The newest picture at `stamp`; black before the first."""
        while self._next is not None and self._next.stamp <= stamp:
            self._current, self._next = self._next, next(self._panels, None)
        if self._current is None:
            return np.zeros((*self._size, 3), np.uint8)
        return _fitted(self._current.picture, self._size)


def _fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[height, width, 3] out of a picture of any size."""
    if picture.shape[:2] == size:
        return picture
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )
