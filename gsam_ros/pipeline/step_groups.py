"""Which cameras share a step, after a step has failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

APART = 10.0
"""Seconds for which a camera that made a step fail has steps of its own."""


class StepGroups:
    """Steps are shared, which is fast, but for cameras that made one fail of late.

    So an image that the models fail on costs its own camera's tracks and no other's; and cameras
    that are too many for the device's memory at once go through one by one for a while.

    Args:
        now: a clock in seconds that never jumps.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._apart_until: dict[str, float] = {}

    def keep_apart(self, cameras: Iterable[str]) -> None:
        """Give these cameras steps of their own from now on, for a while."""
        self._apart_until.update(dict.fromkeys(cameras, self._now() + APART))

    def of(self, members: Sequence[T], camera: Callable[[T], str]) -> list[list[T]]:
        """Members that share a step; those that are kept apart come last."""
        now = self._now()
        apart = [m for m in members if self._apart_until.get(camera(m), now) > now]
        together = [m for m in members if m not in apart]
        return ([together] if together else []) + [[member] for member in apart]
