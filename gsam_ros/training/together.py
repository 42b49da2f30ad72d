"""Processes of one machine that train one model together, each on batches of its own.

One thread each: a second process brings almost twice the steps, a second thread of one process
hardly any (the tensors of a small model are too short to be worth sharing out).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, multiprocessing

_GRACE_S = 20.0


@dataclass(frozen=True)
class Team:
    """The processes of a training, seen from one of them.

    Attributes:
        place: of this process, from 0; the first one also writes and reports.
        size: how many there are.
    """

    place: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.place == 0

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Give every process the mean of all processes' gradients; without one counts as 0."""
        if self.size == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        _collectively(lambda: torch.distributed.all_reduce(flat))
        flat /= self.size
        parts = flat.split([parameter.numel() for parameter in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def wait(self) -> None:
        """Go on when every process has come here."""
        if self.size > 1:
            _collectively(torch.distributed.barrier)


def _collectively(operation: Callable[[], object]) -> None:
    """Run an operation of all processes; raise the error of the one that failed, not its echo."""
    try:
        operation()
    except RuntimeError:  # the connection to it broke
        time.sleep(_GRACE_S)  # `spawn` tells of the first process that ends, and ends the others
        raise


def run_together(size: int, work: Callable[..., None], *arguments: object) -> None:
    """Call `work(team, *arguments)` in `size` processes; in this one if it is one.

    Raises:
        torch.multiprocessing.ProcessRaisedException: one of them failed; the others are ended.
    """
    if size == 1:
        work(Team(), *arguments)
        return
    with tempfile.TemporaryDirectory(prefix="gsam-training-") as folder:
        multiprocessing.spawn(_join, (size, f"file://{folder}/meeting", work, arguments), size)


def _join(
    place: int, size: int, meeting: str, work: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a host's name may lead nowhere
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=place, world_size=size)
    try:
        work(Team(place, size), *arguments)
    finally:
        torch.distributed.destroy_process_group()
