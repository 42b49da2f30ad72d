"""The memory that a process holds."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

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


def share_arenas(count: int = 2) -> None:
    """Have this process's threads share so many arenas of glibc; call it before they start.

    By default there may be eight for each core. Threads that load models one after the other each
    fill one, of which little goes back: the node grew by 70 MB over 14 rounds of its lifecycle, and
    by nothing with two.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_ARENA_MAX, count)
