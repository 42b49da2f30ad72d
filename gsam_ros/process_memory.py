"""The memory that a process holds."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import numpy as np

_M_ARENA_MAX = -8  # of malloc.h


def resident_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process in bytes (proc_pid_statm(5), second field).

    Raises:
        FileNotFoundError: there is no such process.
    """
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def trim() -> None:
    """Have the C library give the pages back that it keeps free for this process, where it can.

    glibc keeps them per thread: of the demo models' 50 MB, 10 came back by themselves.
    """
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back:
        give_back(0)


class RegularTrim:
    """Gives memory back now and then, called between two pieces of work.

    Tensors of every size come and go with objects and prompts, and what glibc keeps free in
    between grows for hours. Beside a stream of one camera a trim took 10 ms and gave back 110 MB of
    1,370, of which the next minute takes most again.

    Args:
        every_s: seconds between two.
    """

    def __init__(self, every_s: float = 60.0) -> None:
        self._every_s = every_s
        self._last = time.monotonic()

    def __call__(self) -> None:
        """Trim if it is time again."""
        if time.monotonic() - self._last >= self._every_s:
            trim()
            self._last = time.monotonic()


def share_arenas() -> None:
    """Have this process's threads share two arenas of glibc; call it before they start.

    By default there may be eight for each core. Threads that load models one after the other each
    fill one, of which little goes back: the node grew by 70 MB over 14 rounds of its lifecycle, and
    by nothing with two.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_ARENA_MAX, 2)


def growth(samples: np.ndarray) -> tuple[float, float]:
    """Bytes held in a run's second quarter and in its last quarter, each the median.

    The first quarter is left out: caches fill, windows of memory grow to their bounds.

    Args:
        samples: [T, 2] seconds and bytes.

    >>> growth(np.array([[0, 1.0], [1, 5], [2, 5], [3, 6]]))
    (5.0, 6.0)
    """
    if not len(samples):
        return float("nan"), float("nan")
    start, end = samples[0, 0], samples[-1, 0]
    seconds, sizes = samples[:, 0], samples[:, 1]
    share = (seconds - start) / max(end - start, 1e-9)
    second = sizes[(share >= 0.25) & (share < 0.5)]
    last = sizes[share >= 0.75]
    return float(np.median(second if len(second) else sizes)), float(np.median(last))
