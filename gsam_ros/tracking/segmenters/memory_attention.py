"""Memory attention: an image's features in the light of what objects remember, N objects at once.

The modules of the model packages compute the same in more steps; they are the tests' oracle:

- The first layer's self attention and the queries that follow from it know nothing of memory yet.
  They are computed once per image, not per object.
- Objects whose memories have different shapes go apart in attention to memory alone.
- A value is a linear map of a memory token, and so is what becomes of it behind the attention. Both
  are applied after the average over tokens was taken, as one map, and tokens are narrow (64 of 256
  channels): a quarter of the work, and no values are made.
- On a CPU one object is taken after the other, and the scores of a few queries at a time: what is
  in work stays in the cache, and its place is used again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from gsam_ros.tracking.segmenters.interface import ImageFeatures, MemoryTokens

_QUERIES = 128
"""Queries whose scores are in work at a time: measured on 256 to 4096 places."""


@dataclass(frozen=True)
class Projections:
    """The four linear maps of one attention."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    out: nn.Linear


@dataclass(frozen=True)
class Layer:
    """One layer: self attention, attention to memory, and a feed forward network, in this order.

    Attributes:
        self_attention: among the image's places.
        cross_attention: to memory.
        norms: before each of the three.
        feed_forward: the feed forward network.
    """

    self_attention: Projections
    cross_attention: Projections
    norms: tuple[nn.LayerNorm, nn.LayerNorm, nn.LayerNorm]
    feed_forward: Callable[[torch.Tensor], torch.Tensor]


def axial_rope(width: int, height: int, channels: int, theta: float = 10000.0) -> torch.Tensor:
    """Rotary position encoding of a grid (RoPE-ViT, arXiv 2403.13298): half of it x, half of it y.

    Returns:
        [height * width, channels / 2] complex64 of length 1, by which pairs of channels turn.
    """
    frequencies = theta ** -(torch.arange(0, channels // 2, 2) / (channels // 2))
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    angles = torch.cat([x.reshape(-1, 1) * frequencies, y.reshape(-1, 1) * frequencies], 1)
    return torch.polar(torch.ones_like(angles), angles)


class MemoryAttention:
    """SAM 2's memory attention (arXiv 2408.00714, section 4) with the weights of any package."""

    def __init__(
        self,
        layers: Sequence[Layer],
        norm: nn.LayerNorm,
        heads: int,
        rope: torch.Tensor,
        memory_rope: torch.Tensor,
    ):
        """Put the parts together.

        Args:
            layers: in order.
            norm: behind the last layer.
            heads: of every attention.
            rope: [h * w, C / heads / 2] see `axial_rope`: of the image's features.
            memory_rope: [T, C / heads / 2] of the T tokens of one memory frame.
        """
        self._layers, self._norm, self._heads = layers, norm, heads
        self._rope, self._memory_rope = rope, memory_rope

    def __call__(
        self, features: ImageFeatures, positions: torch.Tensor, memories: Sequence[MemoryTokens]
    ) -> torch.Tensor:
        """Condition the images' top features on memory.

        Args:
            features: of N objects.
            positions: [h * w, C] of the top features.
            memories: of the same N objects, in groups.

        Returns:
            [N, C, h, w].
        """
        counts = [len(memory.tokens) for memory in memories]
        images = features.image_top
        x = images.flatten(2).mT + 0.1 * positions
        for number, layer in enumerate(self._layers):
            x += self._self_attend(layer, layer.norms[0](x))
            query = self._rotate(
                self._split(layer.cross_attention.query(layer.norms[1](x))), self._rope
            )
            if number == 0:  # from here on each object has features of its own
                x, query = features.spread(x), features.spread(query)
            told = [
                self._cross_attend(layer.cross_attention, some, memory)
                for some, memory in zip(query.split(counts), memories, strict=True)
            ]
            x = x + (told[0] if len(told) == 1 else torch.cat(told))
            x += layer.feed_forward(layer.norms[2](x))
        return self._norm(x).mT.unflatten(2, images.shape[2:])

    def _self_attend(self, layer: Layer, x: torch.Tensor) -> torch.Tensor:
        query = self._rotate(self._split(layer.self_attention.query(x)), self._rope)
        key = self._rotate(self._split(layer.self_attention.key(x)), self._rope)
        value = self._split(layer.self_attention.value(x))
        return layer.self_attention.out(_merge(scaled_dot_product_attention(query, key, value)))

    def _cross_attend(
        self, cross: Projections, query: torch.Tensor, memory: MemoryTokens
    ) -> torch.Tensor:
        """Attention of rotated queries [N, heads, h * w, E] to memory, [N, h * w, C]."""
        if self._heads == 1 and query.device.type == "cpu" and query.dtype == torch.float32:
            return self._cross_attend_in_cache(cross, query[:, 0], memory)
        tokens, spatial = memory.tokens.to(query.dtype), len(memory.places)
        positions = torch.cat([memory.places.expand(len(tokens), -1, -1), memory.times], 1)
        key = self._split(cross.key(tokens + positions.to(query.dtype)))
        # The same place turns by the same angle, however old its memory is.
        frames = key[:, :, :spatial].unflatten(2, (-1, len(self._memory_rope)))
        rotated = self._rotate(frames, self._memory_rope).flatten(2, 3)
        key = torch.cat([rotated, key[:, :, spatial:]], 2)
        value = self._split(cross.value(tokens))
        return cross.out(_merge(scaled_dot_product_attention(query, key, value)))

    def _cross_attend_in_cache(
        self, cross: Projections, query: torch.Tensor, memory: MemoryTokens
    ) -> torch.Tensor:
        """The same for one head, object by object."""
        count, length, width = memory.tokens.shape
        places, channels = query.shape[1:]
        query = query * channels**-0.5
        spatial, weight = len(memory.places), cross.key.weight.T
        # What keys owe to positions, which most objects share.
        of_places = cross.key(memory.places.to(query.dtype))
        of_times = cross.key(memory.times.to(query.dtype))
        key = query.new_empty(length, channels)
        frames = key[:spatial].view(-1, len(self._memory_rope), channels)
        rotated = torch.view_as_complex(frames.unflatten(-1, (-1, 2)))
        scores = query.new_empty(min(_QUERIES, places), length)
        averages = query.new_empty(count, places, width)
        for number in range(count):
            tokens = memory.tokens[number].to(query.dtype)
            torch.addmm(of_places, tokens[:spatial], weight, out=key[:spatial])
            torch.addmm(of_times[number], tokens[spatial:], weight, out=key[spatial:])
            rotated.mul_(self._memory_rope)
            for start in range(0, places, _QUERIES):
                rows = query[number, start : start + _QUERIES]
                part = torch.mm(rows, key.T, out=scores[: len(rows)])
                torch.softmax(part, -1, out=part)
                torch.mm(part, tokens, out=averages[number, start : start + _QUERIES])
        both = cross.out.weight @ cross.value.weight
        return linear(averages, both, cross.out(cross.value.bias))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """[N, L, C] into heads: [N, heads, L, C / heads]."""
        return x.unflatten(2, (self._heads, -1)).transpose(1, 2)

    @staticmethod
    def _rotate(x: torch.Tensor, rope: torch.Tensor) -> torch.Tensor:
        """Rotate pairs of channels [..., T, D] by [T, D / 2]."""
        pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * rope).flatten(-2).to(x.dtype)


def _merge(x: torch.Tensor) -> torch.Tensor:
    """[N, heads, L, D] to [N, L, heads * D]."""
    return x.transpose(1, 2).flatten(2)
