"""What memories gave on a frame, so that a second look at the frame pays only for what is new.

Memory attention is nearly all that an object costs, and its outcome depends on nothing but the
frame and the memory that is asked. A frame on which detections come late is gone through again
(`history`): a track whose memory has not changed since gets the same mask, and the same new memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.propagation import propagate
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel


@dataclass
class _Known:
    """One memory's outcome: a row of masks, and the memory with that mask in it, once written."""

    masks: Segmentation
    row: int
    after: TrackMemory | None = None


class KnownMasks:
    """The outcomes on one frame, by the edition of the memory that was asked."""

    def __init__(self) -> None:
        self._of: dict[int, _Known] = {}
        self._asked: set[int] = set()

    def begin(self) -> None:
        """The frame is looked at once more: only memories asked from now on are written."""
        self._asked.clear()

    def ask(self, edition: int) -> None:
        """A memory is asked in this look; others get their masks elsewhere, as from a close-up."""
        self._asked.add(edition)

    def add(self, edition: int, masks: Segmentation, row: int) -> None:
        """Keep what a memory gave: a row of masks."""
        self._of[edition] = _Known(masks, row)

    def mask(self, edition: int) -> Segmentation | None:
        """What a memory gave, as N = 1 masks; None where it was not asked."""
        known = self._of.get(edition)
        if known is None:
            return None
        index = torch.tensor([known.row], device=known.masks.logits.device)
        return known.masks[index]

    def written(self, edition: int, after: TrackMemory) -> None:
        """A memory took in the mask that it gave."""
        if edition in self._asked:
            self._of[edition].after = after.copy()

    def overrule(self, edition: int) -> None:
        """What a memory gave is not what is shown: no memory of it is kept, or asked for."""
        self._asked.discard(edition)
        if edition in self._of:
            self._of[edition].after = None

    def after(self, edition: int) -> TrackMemory | None:
        """A memory with the mask in it that it gave; None where that is not written."""
        return self._of[edition].after if edition in self._asked else None

    def follow(self, before: KnownMasks) -> None:
        """Take over the answers of an earlier frame that is dropped.

        A memory as it was there is answered with what it led to on this frame.
        """
        for edition, known in before._of.items():
            if known.after and (then := self._of.get(known.after.edition)):
                self._of.setdefault(edition, then)

    def sizes(self) -> dict[int, int]:
        """Bytes of the masks and of the memories written, as of `TrackMemory.sizes`."""
        sizes = {id(known.masks): known.masks.logits.nbytes for known in self._of.values()}
        for known in self._of.values():
            sizes |= known.after.sizes() if known.after else {}
        return sizes


def propagate_once(
    model: SegmentationModel,
    features: ImageFeatures,
    image_index: Sequence[int],
    memories: Sequence[TrackMemory],
    known: Sequence[KnownMasks | None],
) -> Segmentation:
    """`propagate`, but for the memories that were asked on this frame before.

    Args:
        model: supplies the operations.
        features: of the images.
        image_index: [N] which image each object lies in.
        memories: [N] what is known of each.
        known: [N] what is known of each one's image; None: nothing, and nothing is kept.
    """
    given: dict[int, Segmentation] = {}
    for place, (memory, own) in enumerate(zip(memories, known, strict=True)):
        if own is None:
            continue
        own.ask(memory.edition)
        if (mask := own.mask(memory.edition)) is not None:
            given[place] = mask
    new = [place for place in range(len(memories)) if place not in given]
    parts = [given[place] for place in sorted(given)]
    if new:
        masks = propagate(
            model, features, [image_index[n] for n in new], [memories[n] for n in new]
        )
        device = masks.logits.device
        for own in {id(each): each for each in known if each is not None}.values():
            rows = [row for row, place in enumerate(new) if known[place] is own]
            if not rows:
                continue
            # A copy where others are among them: those would be kept, too, for as long.
            kept = masks if len(rows) == len(new) else masks[torch.tensor(rows, device=device)]
            for place, row in enumerate(rows):
                own.add(memories[new[row]].edition, kept, place)
        if not given:
            return masks
        parts.append(masks)
    order = torch.tensor(sorted(given) + new, device=parts[0].logits.device).argsort()
    return Segmentation.concatenate(parts)[order]
