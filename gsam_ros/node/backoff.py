"""Exponential back-off: wait less often for what keeps not coming."""

from __future__ import annotations

import time
from collections.abc import Callable

_IN_VAIN = 3  # waits in a row, after which the next is put off
_PAUSE = 1.0  # seconds until the next, twice as long after every other one that was in vain
_LONGEST_PAUSE = 8.0


class Backoff:
    """Whether to wait once more for what did not come of late.

    Only waits count: what is there without one does not tell that waiting is worth it.

    Args:
        now: a clock in seconds that never jumps.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.reset()

    def reset(self) -> None:
        """Wait as if it had never been in vain."""
        self._in_vain = 0
        self._pause = _PAUSE
        self._next = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the next wait may begin."""
        return self._in_vain < _IN_VAIN or self._now() >= self._next

    def count(self, came: bool) -> None:
        """A wait has ended, and what was waited for `came` or did not."""
        if came:
            self.reset()
            return
        self._in_vain += 1
        if self._in_vain >= _IN_VAIN:
            self._next = self._now() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
