"""When each stage of a step begins and ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gsam_ros.stages import Stage


class Stopwatch:
    """Collects the runs of stages, in the order in which they ended."""

    def __init__(self, device: torch.device):
        """Time work on a device; on a GPU each stage waits for its kernels, and for no others."""
        self._device = device
        self.stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage that is gone through once; one that fails leaves nothing."""
        begin = time.perf_counter()
        yield
        self.end(name, begin)

    def end(self, name: str, begin: float) -> None:
        """A stage that began then (`time.perf_counter`) is at its end."""
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        self.stages.append(Stage(name, begin, time.perf_counter()))
