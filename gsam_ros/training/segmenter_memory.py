"""What a training step's clip has in memory, and how much of it a frame gets to see.

Three readings of one memory, so that the model meets all that it is used with:

- as a session of `Sam2VideoModel` has it: every frame, by its age in frames;
- as this project's tracker has it: only frames that showed the object, on the object's own clock;
- thinned: some of the recent frames are missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Sam2VideoModel

from gsam_ros.training.segmenter_forward import Features, Memory, recall

Dated = tuple[int, Memory]
"""(the frame's number, what is kept of it)."""
THINNED = 0.4
"""Chance of each recent frame but the newest to be left out, where memory is thinned."""


class ClipMemory:
    """Memories of the B objects of a batch of clips."""

    def __init__(self, born: int, own_clock: bool, thinned: bool) -> None:
        """Start with nothing.

        `born` is the number that the first prompted frame pretends to have (0 or below).
        """
        self._born, self._own_clock, self._thinned = born, own_clock, thinned
        self._prompted: list[Dated] = []
        self._propagated: list[Dated] = []
        self._showed: list[Tensor] = []

    def add(self, t: int, memory: Memory, present: Tensor, prompted: bool) -> None:
        """Keep frame `t`; `present` [B] bool tells which objects it shows."""
        if prompted:
            self._prompted.append((t if self._prompted else self._born, memory))
        else:
            self._propagated.append((t, memory))
            self._showed.append(present)

    def recall(
        self, model: Sam2VideoModel, features: Features, now: int, generator: torch.Generator
    ) -> Tensor:
        """[B, C, 16, 16] top level of frame `now` in the light of memory."""
        recent = [(now - t, memory) for t, memory in self._propagated]
        if self._own_clock:
            window = model.config.max_object_pointers_in_encoder - 1
            recent = _on_own_clocks(self._propagated, self._showed, window)
        elif self._thinned:
            kept = torch.rand(len(recent), generator=generator) >= THINNED
            recent = [pair for pair, keep in zip(recent, kept, strict=True) if keep or pair[0] == 1]
        prompted = [(now - t, memory) for t, memory in self._prompted]
        return recall(model, features, prompted, recent)


def _on_own_clocks(
    propagated: Sequence[Dated], showed: Sequence[Tensor], window: int
) -> list[Dated]:
    """The newest frames that showed each object, aged 1, 2, ..., oldest first.

    A batch needs as many for one object as for the next: as many as the poorest has.
    """
    if not propagated:
        return []
    shown = torch.stack(list(showed))
    count = min(int(shown.sum(0).min()), window)
    frames = [column.nonzero()[:, 0].flip(0)[:count].tolist() for column in shown.unbind(1)]
    memories = [memory for _, memory in propagated]

    def gather(age: int) -> Memory:
        chosen = [memories[own[age - 1]] for own in frames]
        return Memory(
            torch.stack([memory.spatial[:, b] for b, memory in enumerate(chosen)], 1),
            torch.stack([memory.position[:, b] for b, memory in enumerate(chosen)], 1),
            torch.stack([memory.pointer[b] for b, memory in enumerate(chosen)]),
        )

    return [(age, gather(age)) for age in range(count, 0, -1)]
