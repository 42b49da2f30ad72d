"""SAM 2's operations as far as they are the same in every model package.

An adapter supplies the modules' calls; how they are put together (arXiv 2408.00714, figure 3, and
Meta's code where the paper is silent) stands here once, batched over objects.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate
from torchvision.transforms.v2.functional import resize

from gsam_ros.tracking.segmenters.interface import (
    ImageFeatures,
    MemoryTokens,
    ModelBatches,
    Segmentation,
)
from gsam_ros.tracking.segmenters.mask_decoder import Decoded
from gsam_ros.tracking.segmenters.memory_attention import MemoryAttention

# ImageNet statistics, which every SAM 2 checkpoint was trained with.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)

ABSENT = -1024.0
"""Logit of every pixel of an object that is out of sight."""


@dataclass(frozen=True)
class Rules:
    """What a checkpoint's configuration says of the use of its modules.

    Attributes:
        image_size: edge of the square that the model sees, pixels.
        num_memories: memory frames, the newest prompted one included.
        max_pointers: object pointers.
        multimask_points: (least, most) points of a prompt whose mask is the best of several.
        multimask_tracking: whether a propagated mask is the best of several.
        memory_scale: of a mask's probability before it is remembered.
        memory_bias: likewise, added to it.
        timed_pointers: whether pointers carry their age.
    """

    image_size: int
    num_memories: int
    max_pointers: int
    multimask_points: tuple[int, int]
    multimask_tracking: bool
    memory_scale: float
    memory_bias: float
    timed_pointers: bool


@dataclass(frozen=True)
class Embeddings:
    """What a checkpoint learned to say where something is missing.

    Attributes:
        no_memory: [C] added to the top features of a first frame.
        no_pointer: [C] pointer of an object out of sight.
        no_object: [D] added to the memory of a frame without the object; None: nothing is.
        positions: [num_memories, T, D] of memory tokens by age in frames, from 1; the last row
            stands for a prompted frame.
    """

    no_memory: torch.Tensor
    no_pointer: torch.Tensor
    no_object: torch.Tensor | None
    positions: torch.Tensor


class Sam2Operations(ABC):
    """A `SegmentationModel` (see there for the operations) without its modules."""

    def __init__(
        self,
        rules: Rules,
        embeddings: Embeddings,
        attention: MemoryAttention,
        device: torch.device,
        dtype: torch.dtype,
    ):
        """Put the parts together; `dtype` is that of features."""
        self.device, self.dtype = device, dtype
        self.batches = ModelBatches()
        # As in the reference implementation: half the bytes, and the same masks.
        self.memory_dtype = torch.bfloat16
        self.image_size = rules.image_size
        self.num_memories, self.max_pointers = rules.num_memories, rules.max_pointers
        self._rules, self._embeddings, self._attention = rules, embeddings, attention
        self._mean = torch.tensor(_MEAN, device=device).view(3, 1, 1)
        self._deviation = torch.tensor(_DEVIATION, device=device).view(3, 1, 1)
        self._positions: torch.Tensor | None = None

    @abstractmethod
    def _encode(
        self, pixels: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor]:
        """Pixels [B, 3, S, S] to `ImageFeatures`' top and high, and the top's positions [hw, C]."""

    @abstractmethod
    def _prompt_and_decode(
        self,
        features: ImageFeatures,
        top: torch.Tensor,
        shared: bool,
        points: torch.Tensor,
        labels: torch.Tensor,
        dense: torch.Tensor | None,
        multimask: bool,
    ) -> Decoded:
        """The prompt encoder and the mask decoder.

        Args:
            features: of N objects, for their high maps.
            top: [N, C, h, w] what each object sees; if `shared`, [B, C, h, w] what each image shows
                to all of its objects.
            shared: see there; not with `dense`.
            points: [N, P, 2] pixels of the model's square image.
            labels: [N, P] int, see `SegmentationModel.prompt`.
            dense: [N, 1, 4h, 4w] mask prompts.
            multimask: whether M is 3 and not 1.
        """

    @abstractmethod
    def _point_at(self, tokens: torch.Tensor) -> torch.Tensor:
        """Output tokens [N, C] to pointers [N, C]."""

    @abstractmethod
    def _shrink(self, masks: torch.Tensor) -> torch.Tensor:
        """Given masks [N, 1, S, S] to mask prompts [N, 1, 4h, 4w]."""

    @abstractmethod
    def _encode_masks(self, features: ImageFeatures, masks: torch.Tensor) -> torch.Tensor:
        """Features of N objects and their masks [N, 1, S, S] to memories [N, D, h, w]."""

    @abstractmethod
    def _place_in_time(self, ages: torch.Tensor) -> torch.Tensor:
        """Ages [N, K] of pointers, as shares of the pointers' window, to positions [N, K, D]."""

    @torch.inference_mode()
    def encode_image(self, images: Sequence[np.ndarray]) -> ImageFeatures:
        top, high, self._positions = self._encode(self.pixels(images))
        return ImageFeatures(top, high)

    def pixels(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        """[B, 3, image_size, image_size]: squeezed to a square, as SAM 2 was trained."""
        size = [self.image_size, self.image_size]
        squares = [
            resize(torch.from_numpy(i).to(self.device).permute(2, 0, 1), size, antialias=True)
            for i in images
        ]
        pixels = (torch.stack(squares).float() / 255 - self._mean) / self._deviation
        return pixels.to(self.dtype)

    @torch.inference_mode()
    def prompt(
        self, features: ImageFeatures, points: torch.Tensor, labels: torch.Tensor
    ) -> Segmentation:
        least, most = self._rules.multimask_points
        given = (labels >= 0).sum(1)
        multimask = (given >= least) & (given <= most)
        shown = features.image_top + self._embeddings.no_memory.view(1, -1, 1, 1)

        def decode(features: ImageFeatures, rows: torch.Tensor, multimask: bool) -> Segmentation:
            return self._decode(features, shown, True, points[rows], labels[rows], multimask)

        return _by_kind(features, multimask, decode)

    @torch.inference_mode()
    def adopt(self, features: ImageFeatures, masks: torch.Tensor) -> Segmentation:
        """See `SegmentationModel.adopt`; SAM 2 does so in `_use_mask_as_output`."""
        given = masks[:, None].to(self.device, self.dtype)
        size = (self.image_size // 4, self.image_size // 4)
        logits = interpolate(
            given.float() * 20 - 10, size, mode="bilinear", align_corners=False, antialias=True
        )
        points, labels = self._no_points(len(masks))
        dense = self._shrink(given)
        decoded = self._decode(features, features.top, False, points, labels, False, dense)
        shown = given.flatten(1).any(1)
        pointer = torch.where(shown[:, None], decoded.pointer, self._embeddings.no_pointer)
        return Segmentation(logits[:, 0], shown.float() * 20 - 10, pointer)

    @torch.inference_mode()
    def attend(self, features: ImageFeatures, memories: Sequence[MemoryTokens]) -> torch.Tensor:
        assert self._positions is not None  # features come from encode_image, which sets them
        return self._attention(features, self._positions, memories)

    @torch.inference_mode()
    def decode(self, features: ImageFeatures, conditioned: torch.Tensor) -> Segmentation:
        points, labels = self._no_points(len(conditioned))
        multimask = self._rules.multimask_tracking
        return self._decode(features, conditioned, False, points, labels, multimask)

    @torch.inference_mode()
    def encode_memory(
        self, features: ImageFeatures, masks: Segmentation, prompted: torch.Tensor
    ) -> torch.Tensor:
        size = (self.image_size, self.image_size)
        shown = interpolate(masks.logits[:, None], size, mode="bilinear", align_corners=False)
        # A prompted mask is taken at its word, a propagated one by its probability. In place: these
        # are the largest tensors of tracking.
        if prompted.all():
            shown = (shown > 0).float()
        elif prompted.any():
            shown = torch.where(prompted[:, None, None, None], (shown > 0).float(), shown.sigmoid())
        else:
            shown.sigmoid_()
        shown = shown.mul_(self._rules.memory_scale).add_(self._rules.memory_bias).to(self.dtype)
        memory = self._encode_masks(features, shown)
        if self._embeddings.no_object is not None:
            hidden = (masks.presence <= 0).to(memory.dtype)
            memory = (
                memory + hidden[:, None, None, None] * self._embeddings.no_object[:, None, None]
            )
        return self._keep(memory)

    def memory_positions(self, age: int) -> torch.Tensor:
        return self._embeddings.positions[age - 1]  # age 0: the last row, as the model was trained

    @torch.inference_mode()
    def pointer_tokens(
        self, pointers: torch.Tensor, ages: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        count, number, channels = pointers.shape
        width = self._embeddings.positions.shape[-1]
        parts = channels // width
        if self._rules.timed_pointers:
            positions = self._place_in_time(ages.float() / (self.max_pointers - 1))
        else:
            positions = pointers.new_zeros(count, number, width)
        # A pointer is wider than a memory token: it is cut into several, all of its age.
        return (
            pointers.reshape(count, number * parts, width),
            positions.repeat_interleave(parts, dim=1),
        )

    def _keep(self, memory: torch.Tensor) -> torch.Tensor:
        """Memories [N, D, h, w] in the form that is kept, [N, T, D]."""
        return memory.flatten(2).mT.to(self.memory_dtype)

    def _no_points(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        points = torch.zeros(count, 1, 2, device=self.device, dtype=self.dtype)
        return points, torch.full((count, 1), -1, device=self.device, dtype=torch.int32)

    def _decode(
        self,
        features: ImageFeatures,
        top: torch.Tensor,
        shared: bool,
        points: torch.Tensor,
        labels: torch.Tensor,
        multimask: bool,
        dense: torch.Tensor | None = None,
    ) -> Segmentation:
        """Of several masks the best by predicted IoU."""
        decoded = self._prompt_and_decode(features, top, shared, points, labels, dense, multimask)
        each = torch.arange(len(points), device=self.device)
        best = decoded.quality.argmax(-1)
        # In fallback by stability there is one mask and one token, whichever mask was taken.
        token = decoded.tokens[each, best.clamp(max=decoded.tokens.shape[1] - 1)]
        visible = decoded.presence > 0
        pointer = torch.where(visible, self._point_at(token), self._embeddings.no_pointer)
        masks = decoded.masks[each, best].float()
        logits = torch.where(visible[..., None], masks, ABSENT)
        return Segmentation(logits, decoded.presence[:, 0].float(), pointer)


def _by_kind(
    features: ImageFeatures,
    kind: torch.Tensor,
    segment: Callable[[ImageFeatures, torch.Tensor, bool], Segmentation],
) -> Segmentation:
    """Segment objects of two kinds [N] (bool) apart, and put them back into order."""
    rows = [torch.nonzero(kind == value)[:, 0] for value in (False, True)]
    if features.index is None:
        features = features[torch.arange(len(kind), device=kind.device)]
    parts = [
        segment(features[own], own, value)
        for own, value in zip(rows, (False, True), strict=True)
        if len(own)
    ]
    return Segmentation.concatenate(parts)[torch.cat(rows).argsort()]
