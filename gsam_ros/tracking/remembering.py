"""Masks on their way into the memories of their tracks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch

from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel
from gsam_ros.tracking.track import Track


class Taken(NamedTuple):
    """A track, the index of its view, and the row of the mask that it takes for its own."""

    view_index: int
    track: Track
    row: int


def write(
    model: SegmentationModel,
    features: ImageFeatures,
    views: Sequence[View],
    taken: Sequence[Taken],
    masks: Segmentation,
    prompted: bool,
) -> None:
    """Put masks into their tracks' memories, all in one batch.

    Args:
        model: supplies the operations.
        features: of the views' images.
        views: the frames of a step.
        taken: which track remembers which row of the masks.
        masks: any number.
        prompted: whether they came from a prompt and not from memory.
    """
    if not prompted:  # what a look at the same frame before has written
        taken = [one for one in taken if not _recall(one, views[one.view_index])]
    if not taken:
        return

    def encode(some: Sequence[Taken]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        index = torch.tensor([one.view_index for one in some], device=model.device)
        chosen = masks[torch.tensor([one.row for one in some], device=model.device)]
        flags = torch.full((len(some),), prompted, device=model.device)
        memory = model.encode_memory(features[index], chosen, flags)
        return list(zip(memory, chosen.pointer, strict=True))

    memories = chain.from_iterable(model.batches.memories.in_turn(taken, encode))
    for one, (memory, pointer) in zip(taken, memories, strict=True):
        view, own = views[one.view_index], one.track.memory
        before = own.edition
        own.remember(memory, pointer, prompted)
        one.track.remembered = view.stamp
        if view.known and not prompted:
            view.known.written(before, own)


def _recall(one: Taken, view: View) -> bool:
    """Remember the propagated mask as it was remembered before, if it was."""
    after = view.known.after(one.track.memory.edition) if view.known else None
    if after is None:
        return False
    one.track.memory.become(after)
    one.track.remembered = view.stamp
    return True
