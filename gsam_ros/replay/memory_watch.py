"""How much memory a process holds while a run goes on: what leaks shows here first."""

from __future__ import annotations

import csv
import threading
import time
from pathlib import Path
from types import TracebackType

import numpy as np

from gsam_ros.process_memory import resident_bytes

_PERIOD = 0.5  # seconds between two looks


class MemoryWatch:
    """Samples a process's resident memory for as long as the context lasts.

    Args:
        pid: of the process; when it ends, so do the samples.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._samples: list[tuple[float, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def samples(self) -> np.ndarray:
        """[T, 2] float64: seconds since the first sample, and bytes."""
        return np.array(self._samples, np.float64).reshape(-1, 2)

    def write(self, path: Path) -> None:
        """Write the samples as a CSV file."""
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("seconds", "bytes"))
            writer.writerows((f"{seconds:.1f}", size) for seconds, size in self._samples)

    def _watch(self) -> None:
        start = time.monotonic()
        while not self._over.is_set():
            try:
                size = resident_bytes(self._pid)
            except (FileNotFoundError, ProcessLookupError):
                return
            self._samples.append((time.monotonic() - start, size))
            self._over.wait(_PERIOD)
