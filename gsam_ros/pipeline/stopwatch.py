"""How long each stage of a step takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Collects milliseconds by stage, in the order in which the stages first ran."""

    def __init__(self, device: torch.device):
        """Time work on a device; on a GPU each stage waits for its kernels, and for no others."""
        self._device = device
        self.stage_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        elapsed = (time.perf_counter() - start) * 1e3
        self.stage_ms[name] = self.stage_ms.get(name, 0.0) + elapsed
