"""What to do when a device's memory runs out: less at once, and more again after a while.

Memory is shared with other processes and comes and goes. Nobody can say in advance what fits, so it
is tried: a batch that does not fit is halved, what fitted is remembered, and from time to time
twice as much is tried again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from gsam_ros.errors import first_sentence

T = TypeVar("T")
R = TypeVar("R")

PATIENCE = 10.0
"""Seconds until more is tried again; twice as long after each trial that failed."""
_LONGEST = 320.0  # seconds, up to which that grows
_SIGNS = (  # that have no exception of theirs
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",  # its workspace found no room
    "CUDNN_STATUS_ALLOC_FAILED",
)

_LOG = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's memory ran out, or the CPU's."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def give_back() -> None:
    """Let other sizes have what torch keeps for later: call it where the error is gone."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


class Shortage:
    """Work that is left out while memory is short: said once when that begins and once at its end.

    It ends when nothing failed for `PATIENCE`: memory that is just enough comes and goes by the
    frame.

    Args:
        left_out: what is left out, for people.
        over: what to say at the end.
        now: a clock in seconds that never jumps.

    Attributes:
        told: for people, while it lasts; else empty.
    """

    def __init__(self, left_out: str, over: str, now: Callable[[], float] = time.monotonic) -> None:
        self._left_out, self._over, self._now = left_out, over, now
        self._failed = 0.0
        self.told = ""

    def attempt(self, work: Callable[[], R]) -> R | None:
        """What the work gives; None where memory ran out.

        Raises:
            Exception: what `work` raises for other reasons.
        """
        try:
            done = work()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            why = first_sentence(error)
        else:
            if self.told and self._now() - self._failed >= PATIENCE:
                self._tell("")
            return done
        give_back()
        self._failed = self._now()
        self._tell(f"{why}: {self._left_out}")
        return None

    def _tell(self, shortage: str) -> None:
        if not (shortage and self.told):
            _LOG.warning(shortage or self._over)
        self.told = shortage


class Limit:
    """How many items fit in memory at once, as learnt from recent failures.

    Args:
        what: is counted, in words: "images at once in the detector".
        advice: what to do about it for good.
        now: a clock in seconds that never jumps.
    """

    def __init__(self, what: str, advice: str, now: Callable[[], float] = time.monotonic) -> None:
        self._what, self._advice, self._now = what, advice, now
        self._fits: int | None = None
        self._wanted = 0
        self._told: int | None = None
        self._patience = PATIENCE
        self._retry = 0.0

    def of(self, most: int) -> int:
        """How many to try at once, `most` at most."""
        if self._fits is None:
            return most
        if self._now() >= self._retry and self._fits < self._wanted:
            self._fits = min(2 * self._fits, self._wanted)
            self._retry = self._now() + self._patience
        return min(most, self._fits)

    def lower(self, failed: int, to: int, why: str) -> None:
        """So many did not fit: try fewer from now on.

        Args:
            failed: how many did not fit.
            to: how many to try instead.
            why: in words, said once.
        """
        if self._told is not None and to >= self._told:  # more were tried again in vain
            self._patience = min(2 * self._patience, _LONGEST)
        self._wanted = max(self._wanted, failed)
        self._fits = to
        self._retry = self._now() + self._patience
        if self._told is None or to < self._told:
            self._told = to
            _LOG.warning("%s: %s; %s", why, self.shortage, self._advice)

    def passed(self, count: int) -> None:
        """So many went well at once: the shortage is over if all that were wanted may be tried."""
        if self._fits is not None and self._fits >= self._wanted:
            _LOG.warning("memory is there again: %d %s are tried", self._wanted, self._what)
            proven = count >= self._wanted
            self._patience = PATIENCE if proven else min(2 * self._patience, _LONGEST)
            self._fits, self._wanted, self._told = None, 0, None

    @property
    def shortage(self) -> str:
        """For people; empty where there is none."""
        fits = self._fits
        if fits is None or fits >= self._wanted:
            return ""
        return f"memory is short for {self._wanted} {self._what}, {fits} fit"


class Batches:
    """Cuts work into batches that fit into memory; the results are those of the whole.

    Args:
        what: as of `Limit`.
        advice: likewise.
        now: likewise.
    """

    def __init__(self, what: str, advice: str, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = Limit(what, advice, now)

    def in_turn(
        self, items: Sequence[T], work: Callable[[Sequence[T]], R], most: int | None = None
    ) -> list[R]:
        """Work on items in their order; what came of each batch.

        Args:
            items: any number.
            work: on some of them.
            most: items at once, however much memory there is.

        Raises:
            Exception: what `work` raises, also where a single item does not fit.
        """
        results: list[R] = []
        place = 0
        while place < len(items):
            size = self.limit.of(len(items) if most is None else most)
            some = items[place : place + size]
            try:
                results.append(work(some))
            except Exception as error:
                if len(some) == 1 or not is_out_of_memory(error):
                    raise
                why = first_sentence(error)
            else:
                place += len(some)
                self.limit.passed(len(some))
                continue
            give_back()
            self.limit.lower(len(some), len(some) // 2, why)
        return results
