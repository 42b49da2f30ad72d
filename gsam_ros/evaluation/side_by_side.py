"""The annotated video: all cameras side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gsam_ros.evaluation.panels import Panel, text_strip

_STRIP = 40  # pixels above the pictures


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
