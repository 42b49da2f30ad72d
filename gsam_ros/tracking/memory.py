"""What SAM 2 keeps of one object, bounded for any number of frames.

Time is counted in frames of which the track kept a memory: while an object is out of sight its
clock stands still, so its last good memories don't age away and its state stays constant
(SAMURAI, arXiv 2411.11922, shows that memories of frames without the object do harm).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import torch

from gsam_ros.tracking.segmenters.interface import MemoryTokens, SegmentationModel

_editions = count(1)

MAX_PROMPTED = 4
"""Prompted frames kept: the first, which says what the object is, and the newest."""


@dataclass(frozen=True)
class Remembered:
    """One frame of one object.

    Attributes:
        time: on the track's own clock.
        features: [T, D] spatial memory in the number format of the model's memories.
        pointer: [C] object pointer.
    """

    time: int
    features: torch.Tensor
    pointer: torch.Tensor


class TrackMemory:
    """Prompted frames, recent frames and the pointers' window of one track.

    Attributes:
        edition: another number after every change; copies of one edition hold the same.
    """

    edition = 0

    def __init__(self, num_memories: int, max_pointers: int):
        """Make room for as many memories and pointers as the model was trained with."""
        self.clock = 0
        self._num_memories = num_memories
        self._max_pointers = max_pointers
        self._prompted: list[Remembered] = []
        self._recent: deque[Remembered] = deque(maxlen=num_memories - 1)
        self._pointers: deque[tuple[int, torch.Tensor]] = deque(maxlen=max_pointers - 1)

    def remember(self, features: torch.Tensor, pointer: torch.Tensor, prompted: bool) -> None:
        """Keep one more frame; what falls out of the windows is forgotten.

        Args:
            features: [h * w, D], a view of a batch or not: it is copied.
            pointer: [C], likewise.
            prompted: whether the mask came from a prompt.
        """
        # A view would keep the whole batch alive.
        frame = Remembered(self.clock, features.clone(), pointer.clone())
        self.clock += 1
        self.edition = next(_editions)
        if not prompted:
            self._recent.append(frame)
            self._pointers.append((frame.time, frame.pointer))
            return
        self._prompted.append(frame)
        if len(self._prompted) > MAX_PROMPTED:
            del self._prompted[1]

    def copy(self) -> TrackMemory:
        """One that goes its own way; what is remembered is shared, as nothing changes it."""
        other = TrackMemory(self._num_memories, self._max_pointers)
        other.become(self)
        return other

    def become(self, other: TrackMemory) -> None:
        """Remember what another one does, and nothing else."""
        self.clock, self.edition = other.clock, other.edition
        self._prompted = list(other._prompted)
        self._recent = deque(other._recent, self._num_memories - 1)
        self._pointers = deque(other._pointers, self._max_pointers - 1)

    def sizes(self) -> dict[int, int]:
        """Bytes of the spatial memories on the device, by what tells one tensor from others."""
        return {id(f.features): f.features.nbytes for f in (*self._prompted, *self._recent)}

    def frames(self, few: bool = False) -> list[tuple[int, Remembered]]:
        """(age, frame) of the spatial memories, prompted ones (age 0) first, then oldest first.

        Args:
            few: only the first and the newest prompted, and the two newest others.
        """
        recent = [(self.clock - frame.time, frame) for frame in self._recent]
        recent = [(age, frame) for age, frame in recent if age < self._num_memories]
        prompted = self._prompted
        if few:
            recent, prompted = recent[-2:], prompted[:1] + prompted[1:][-1:]
        return [(0, frame) for frame in prompted] + recent

    def pointers(self) -> list[tuple[int, torch.Tensor]]:
        """(age, pointer): of the prompted frames first, then of the others, newest first."""
        recent = [(self.clock - time, pointer) for time, pointer in reversed(self._pointers)]
        return [(self.clock - frame.time, frame.pointer) for frame in self._prompted] + [
            (age, pointer) for age, pointer in recent if age < self._max_pointers
        ]

    def shape(self, few: bool = False) -> tuple[tuple[int, ...], int]:
        """Ages of the spatial memories and the number of pointers; equal ones make a batch."""
        return tuple(age for age, _ in self.frames(few)), len(self.pointers())


def gather(
    model: SegmentationModel, memories: Sequence[TrackMemory], few: bool = False
) -> MemoryTokens:
    """Memories of N objects of equal `shape` as one batch of tokens; `few` as in `frames`."""
    frames = [memory.frames(few) for memory in memories]
    pointers = [memory.pointers() for memory in memories]
    places = torch.cat([model.memory_positions(age) for age, _ in frames[0]])
    stacked = torch.stack([torch.stack([pointer for _, pointer in own]) for own in pointers])
    ages = torch.tensor([[age for age, _ in own] for own in pointers], device=stacked.device)
    pointed, times = model.pointer_tokens(stacked, ages)
    spatial = len(places)
    tokens = pointed.new_empty(len(memories), spatial + pointed.shape[1], pointed.shape[2])
    for row, own in enumerate(frames):
        tokens[row, :spatial] = torch.cat([frame.features for _, frame in own])
    tokens[:, spatial:] = pointed
    return MemoryTokens(tokens, places, times)
