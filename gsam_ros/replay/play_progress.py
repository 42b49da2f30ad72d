"""How far the playing of a recording is, for people."""

from __future__ import annotations

import time

from tqdm import tqdm

_TELL_EVERY = 5.0  # seconds between two lines of progress


class PlayProgress:
    """Shows how many frames are answered; a context manager.

    A bar in a terminal and a line now and then elsewhere: launch shows nothing but whole lines.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._answered = 0
        self._told = time.monotonic()
        self._bar = tqdm(
            total=total, desc="frames answered", unit="frame", smoothing=0.1, disable=None
        )

    def count(self) -> None:
        """One more is answered."""
        self._answered += 1
        self._bar.update()
        now = time.monotonic()
        if self._bar.disable and (self._answered == self._total or now > self._told + _TELL_EVERY):
            print(f"{self._answered} of {self._total} frames answered", flush=True)
            self._told = now

    def __enter__(self) -> PlayProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
