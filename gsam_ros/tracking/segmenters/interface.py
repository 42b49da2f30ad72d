"""What tracking asks of a segmentation model: operations on images, and nothing about time.

A model package only supplies these; who remembers what, and for how long, is the tracker's affair.
Every operation works on N objects at once, which may lie in different images of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

import numpy as np
import torch

from gsam_ros.batches import Batches
from gsam_ros.masks import Closeup


@dataclass(frozen=True)
class ImageFeatures:
    """What the image encoder made of images, as N objects see it.

    Objects of one image share its features: nothing is copied for one image, and what is the same
    for all objects of an image can be computed once, of `images`.

    Attributes:
        image_top: [B, C, h, w] features of B images that memory attends to (stride 16).
        image_high: their maps at strides 4 and 8, [B, C/8, 4h, 4w] and [B, C/4, 2h, 2w].
        index: [N] which of the images each object lies in; None: one object in each.
    """

    image_top: torch.Tensor
    image_high: tuple[torch.Tensor, ...]
    index: torch.Tensor | None = None

    def __getitem__(self, index: torch.Tensor) -> ImageFeatures:
        """The features of N objects: `index` [N] counts in those that are here."""
        chosen = index if self.index is None else self.index[index]
        return ImageFeatures(self.image_top, self.image_high, chosen)

    @property
    def images(self) -> ImageFeatures:
        """Of the images, each once."""
        return ImageFeatures(self.image_top, self.image_high)

    @property
    def top(self) -> torch.Tensor:
        """[N, C, h, w]."""
        return self.spread(self.image_top)

    @property
    def high(self) -> tuple[torch.Tensor, ...]:
        """[N, C/8, 4h, 4w] and [N, C/4, 2h, 2w]."""
        return tuple(self.spread(x) for x in self.image_high)

    @staticmethod
    def concatenate(parts: Sequence[ImageFeatures]) -> ImageFeatures:
        """Of all images of the parts, each image once."""
        if len(parts) == 1:
            return parts[0].images
        high = zip(*(part.image_high for part in parts), strict=True)
        return ImageFeatures(
            torch.cat([part.image_top for part in parts]), tuple(torch.cat(maps) for maps in high)
        )

    def spread(self, x: torch.Tensor) -> torch.Tensor:
        """From each image's [B, ...] to each object's [N, ...]; a view where there is one image."""
        if self.index is None:
            return x
        if len(x) == 1:
            return x.expand(len(self.index), *x.shape[1:])
        return x[self.index]


@dataclass(frozen=True)
class Segmentation:
    """N masks.

    Attributes:
        logits: [N, 4h, 4w] float32, object where > 0; all far below 0 where the object is absent.
        presence: [N] float32 logit of the object being visible.
        pointer: [N, C] what memory keeps of the object's identity.
        closeups: [N] the same masks of small objects, in more detail; None where there is none,
            empty where there are none at all.
    """

    logits: torch.Tensor
    presence: torch.Tensor
    pointer: torch.Tensor
    closeups: tuple[Closeup | None, ...] = ()

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: torch.Tensor) -> Segmentation:
        closeups: tuple[Closeup | None, ...] = ()
        if self.closeups:
            rows = torch.arange(len(self), device=index.device)[index].tolist()
            closeups = tuple(self.closeups[row] for row in rows)
        return Segmentation(self.logits[index], self.presence[index], self.pointer[index], closeups)

    @property
    def each_closeup(self) -> tuple[Closeup | None, ...]:
        """[N], also where there is none of any object."""
        return self.closeups or (None,) * len(self)

    @staticmethod
    def concatenate(parts: Sequence[Segmentation]) -> Segmentation:
        return Segmentation(
            torch.cat([part.logits for part in parts]),
            torch.cat([part.presence for part in parts]),
            torch.cat([part.pointer for part in parts]),
            tuple(chain.from_iterable(part.each_closeup for part in parts))
            if any(part.closeups for part in parts)
            else (),
        )


@dataclass(frozen=True)
class MemoryTokens:
    """What N objects remember, as the tokens that memory attention takes.

    Attributes:
        tokens: [N, S + P, D] S of spatial memories first, then P of pointers.
        places: [S, D] positions of the former, the same for all objects.
        times: [N, P, D] positions of the latter, which have no place in the image.
    """

    tokens: torch.Tensor
    places: torch.Tensor
    times: torch.Tensor


def _batches(what: str) -> Batches:
    return Batches(
        what,
        "lower tracker.max_objects or segmenter.image_size, or leave more of the device to this "
        "process",
    )


@dataclass(frozen=True)
class ModelBatches:
    """How much of each operation a device's memory takes at once, as was found out."""

    images: Batches = field(default_factory=lambda: _batches("images at once in the segmenter"))
    prompts: Batches = field(default_factory=lambda: _batches("prompted objects at once"))
    attention: Batches = field(default_factory=lambda: _batches("tracked objects at once"))
    memories: Batches = field(default_factory=lambda: _batches("objects remembered at once"))

    @property
    def shortages(self) -> list[str]:
        """What does not fit at the moment, for people; any thread may ask."""
        every = (self.images, self.prompts, self.attention, self.memories)
        return [told for each in every if (told := each.limit.shortage)]


class SegmentationModel(Protocol):
    """SAM 2 by its operations (arXiv 2408.00714, figure 3)."""

    image_size: int
    """The square image that the model sees has this edge, in pixels."""
    num_memories: int
    """How many memory frames, the newest prompted one included, the model was trained to use."""
    max_pointers: int
    """How many object pointers the model was trained to use."""
    device: torch.device
    batches: ModelBatches
    """How many rows to ask of the operations at once."""

    def encode_image(self, images: Sequence[np.ndarray]) -> ImageFeatures:
        """[H, W, 3] uint8 RGB images of any sizes to features."""
        ...

    def prompt(
        self, features: ImageFeatures, points: torch.Tensor, labels: torch.Tensor
    ) -> Segmentation:
        """Masks from points, without memory.

        Args:
            features: of N images.
            points: [N, P, 2] (x, y) in pixels of the model's square image.
            labels: [N, P] int: 1 on the object, 0 off it, 2 and 3 a box's top left and bottom
                right corner, -1 padding.
        """
        ...

    def adopt(self, features: ImageFeatures, masks: torch.Tensor) -> Segmentation:
        """Masks that are known already, taken at their word, with the pointers that belong to them.

        Args:
            features: of N images.
            masks: [N, image_size, image_size] float, 1 on the object, 0 elsewhere.
        """
        ...

    def attend(self, features: ImageFeatures, memories: Sequence[MemoryTokens]) -> torch.Tensor:
        """[N, C, h, w]: the images' top features in the light of what N objects remember.

        Objects whose memories have one shape make a group; groups come in the objects' order.
        """
        ...

    def decode(self, features: ImageFeatures, conditioned: torch.Tensor) -> Segmentation:
        """Masks of N objects out of memory-conditioned features [N, C, h, w]."""
        ...

    def encode_memory(
        self, features: ImageFeatures, masks: Segmentation, prompted: torch.Tensor
    ) -> torch.Tensor:
        """[N, T, D] memory of N masks, T = h * w tokens; EdgeTAM has fewer.

        `prompted` [N] bool tells which masks are to be trusted.
        """
        ...

    def memory_positions(self, age: int) -> torch.Tensor:
        """[T, D] position of a memory `age` frames old; age 0 stands for a prompted frame."""
        ...

    def pointer_tokens(
        self, pointers: torch.Tensor, ages: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pointers [N, K, C] of ages [N, K] in frames to tokens and positions [N, L, D] each."""
        ...
