"""SAM 2's mask decoder, for many objects of one image.

The modules of the model packages compute the same in more steps; they are the tests' oracle:

- Of an image without memory all objects see the same until the first block tells them apart: what
  that block asks of the image is computed once.
- Places keep their positions: what keys and queries owe to them is computed when the model is
  loaded, and the three projections of the image in a block are one.
- A transposed convolution whose stride is its size is a linear map of each place into the places
  that it becomes. They stay beside each other until the mask is done, so that nothing large is put
  into another order, and masks are made of those tokens alone that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import layer_norm, linear, scaled_dot_product_attention

from gsam_ros.tracking.segmenters.interface import ImageFeatures
from gsam_ros.tracking.segmenters.memory_attention import Projections

Network = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Block:
    """One block of the two-way transformer, in the order of its parts.

    Attributes:
        self_attention: among tokens.
        to_image: tokens attend to the image.
        feed_forward: of tokens.
        to_tokens: the image attends to tokens.
        norms: behind each of the four.
    """

    self_attention: Projections
    to_image: Projections
    feed_forward: Network
    to_tokens: Projections
    norms: tuple[nn.LayerNorm, nn.LayerNorm, nn.LayerNorm, nn.LayerNorm]


@dataclass(frozen=True)
class Upscaling:
    """What makes the image four times as large: two transposed convolutions of stride 2.

    Attributes:
        first: from C to C / 4 channels.
        norm: behind it, over channels.
        second: to C / 8 channels.
    """

    first: nn.ConvTranspose2d
    norm: nn.LayerNorm
    second: nn.ConvTranspose2d


@dataclass(frozen=True)
class Heads:
    """What is told of the tokens.

    Attributes:
        masks: each mask token [N, C] to the weights of its mask, [N, C / 8].
        quality: [N, C] to the predicted IoU of each mask, [N, masks].
        presence: [N, C] to the logit of the object being visible, [N, 1].
        stable: masks [N, M, H, W] and their qualities [N, M] of all mask tokens to the one mask
            that is taken where one is asked for, [N, 1, H, W] and [N, 1]; None: the first.
    """

    masks: Sequence[Network]
    quality: Network
    presence: Network
    stable: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]] | None


@dataclass(frozen=True)
class Decoded:
    """What the mask decoder says of N objects.

    Attributes:
        masks: [N, M, 4h, 4w] logits.
        quality: [N, M] predicted IoU of each mask.
        tokens: [N, T, C] output tokens, T of 1 or M.
        presence: [N, 1] logit of the object being visible.
    """

    masks: torch.Tensor
    quality: torch.Tensor
    tokens: torch.Tensor
    presence: torch.Tensor


class MaskDecoder:
    """SAM's mask decoder (arXiv 2304.02643, figure 14) as SAM 2 extends it (2408.00714, D.1)."""

    def __init__(
        self,
        tokens: torch.Tensor,
        blocks: Sequence[Block],
        last: tuple[Projections, nn.LayerNorm],
        attention_heads: int,
        upscaling: Upscaling,
        heads: Heads,
        positions: torch.Tensor,
    ):
        """Put the parts together.

        Args:
            tokens: [2 + masks, C] of the presence, of the quality and of each mask.
            blocks: of the two-way transformer, in order.
            last: attention of the tokens to the image behind the blocks, and its norm.
            attention_heads: of every attention.
            upscaling: of the image.
            heads: of the tokens.
            positions: [h * w, C] of the image's places.
        """
        self._tokens, self._blocks, self._heads = tokens, blocks, heads
        self._last, self._last_norm = last
        self._attention_heads = attention_heads
        self._norm = upscaling.norm
        self._enlarge = (_as_linear(upscaling.first), _as_linear(upscaling.second))
        self._of_image = [
            _Asked(positions, b.to_image.key, b.to_image.value, b.to_tokens.query) for b in blocks
        ]
        self._of_image.append(_Asked(positions, self._last.key, self._last.value))

    def __call__(
        self,
        features: ImageFeatures,
        top: torch.Tensor,
        shared: bool,
        prompts: torch.Tensor,
        multimask: bool,
    ) -> Decoded:
        """Masks of N objects.

        Args:
            features: of the objects, for their high maps.
            top: [N, C, h, w] what each object sees, or [B, C, h, w] what is to be seen in each
                image.
            shared: whether it is the latter.
            prompts: [N, P, C] tokens that say where the objects are.
            multimask: whether each has three masks, of its parts and its whole, and not one.
        """
        height, width = top.shape[2:]
        spread = features.spread if shared else _as_it_is
        queries, image = self._attend(top.flatten(2).mT, spread, prompts)
        heads = self._heads
        tokens = queries[:, 2 : 2 + len(heads.masks)]
        wanted = slice(1, None) if multimask else slice(1)
        choose = None if multimask else heads.stable
        made = slice(None) if choose else wanted
        weights = [
            head(token)
            for head, token in zip(heads.masks[made], tokens.unbind(1)[made], strict=True)
        ]
        fine = self._upscale(features, image)
        masks = _in_order(fine @ torch.stack(weights, 2), height, width)
        quality = heads.quality(queries[:, 1])[:, made]
        if choose:
            masks, quality = choose(masks, quality)
        return Decoded(masks, quality, tokens[:, wanted], heads.presence(queries[:, 0]))

    def _attend(
        self, image: torch.Tensor, spread: Network, prompts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The two-way transformer: tokens [N, T, C] and the image [N, h * w, C] as they leave it.

        `spread` makes what objects see of what `image` [M, h * w, C] shows.
        """
        tokens = torch.cat([self._tokens.expand(len(prompts), -1, -1), prompts], 1)
        queries = tokens
        for number, block in enumerate(self._blocks):
            if number == 0:
                queries = self._attention(block.self_attention, queries, queries, queries)
            else:
                placed = queries + tokens
                queries = queries + self._attention(block.self_attention, placed, placed, queries)
            queries = block.norms[0](queries)
            key, value, asked = (spread(x) for x in self._of_image[number](image))
            query = block.to_image.query(queries + tokens)
            queries = queries + block.to_image.out(self._average(query, key, value))
            queries = block.norms[1](queries)
            queries = block.norms[2](queries + block.feed_forward(queries))
            key = block.to_tokens.key(queries + tokens)
            average = self._average(asked, key, block.to_tokens.value(queries))
            told = block.to_tokens.out(average)
            told += spread(image)
            image, spread = block.norms[3](told), _as_it_is  # each object's own from here on
        key, value = self._of_image[-1](image)
        query = self._last.query(queries + tokens)
        queries = queries + self._last.out(self._average(query, key, value))
        return self._last_norm(queries), image

    def _attention(
        self,
        projections: Projections,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
    ) -> torch.Tensor:
        average = self._average(
            projections.query(query), projections.key(key), projections.value(value)
        )
        return projections.out(average)

    def _average(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Values as queries see them; all [N, any, I]."""
        split = [
            x.unflatten(-1, (self._attention_heads, -1)).transpose(1, 2)
            for x in (query, key, value)
        ]
        return scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)

    def _upscale(self, features: ImageFeatures, image: torch.Tensor) -> torch.Tensor:
        """[N, h * w * 4 * 4, C / 8] the places of every cell together, see `_in_order`."""
        fine, middle = features.image_high
        x = linear(image, *self._enlarge[0]).unflatten(2, (4, -1))
        x += features.spread(_in_cells(middle, 1))
        norm = self._norm
        x = layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        torch.ops.aten.gelu_(x)
        x = linear(x, *self._enlarge[1]).unflatten(3, (4, -1))
        x += features.spread(_in_cells(fine, 2))
        torch.ops.aten.gelu_(x)
        return x.flatten(1, 3)


class _Asked:
    """What a block asks of the image: several linear maps at once, of places that stay."""

    @torch.no_grad()
    def __init__(
        self, positions: torch.Tensor, key: nn.Linear, value: nn.Linear, *queries: nn.Linear
    ):
        """Keys and queries know where they are, values do not."""
        maps = (key, value, *queries)
        self._weight = torch.cat([one.weight for one in maps])
        self._bias = torch.cat([one.bias for one in maps])
        self._widths = [one.out_features for one in maps]
        owed = [positions @ one.weight.T for one in maps]
        owed[1].zero_()
        self._owed = torch.cat(owed, 1)

    def __call__(self, image: torch.Tensor) -> Sequence[torch.Tensor]:
        """Image [M, h * w, C] to [M, h * w, I] of each map."""
        asked = linear(image, self._weight, self._bias)
        asked += self._owed
        return asked.split(self._widths, 2)


def _as_it_is(x: torch.Tensor) -> torch.Tensor:
    return x


def _as_linear(convolution: nn.ConvTranspose2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight [4 * out, in] and bias [4 * out] of a place's map into four: rows first."""
    weight = convolution.weight.detach().permute(2, 3, 1, 0)  # [2, 2, out, in]
    bias = convolution.bias
    assert bias is not None
    return weight.flatten(0, 2).contiguous(), bias.detach().repeat(4)


def _in_cells(x: torch.Tensor, halvings: int) -> torch.Tensor:
    """A map [B, C, H, W] as [B, cells, 4, C], or [B, cells, 4, 4, C] for cells of 4 x 4 places."""
    for axis in (2, 2 + 1 + halvings):
        x = x.unflatten(axis, (-1, *[2] * halvings))
    if halvings == 1:
        return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)
    return x.permute(0, 2, 5, 3, 6, 4, 7, 1).flatten(5, 6).flatten(3, 4).flatten(1, 2)


def _in_order(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """[N, h * w * 4 * 4, M] cell by cell to maps [N, M, 4h, 4w]."""
    x = x.unflatten(1, (height, width, 2, 2, 2, 2))  # y, x, dy, dx, ddy, ddx
    x = x.permute(0, 7, 1, 3, 5, 2, 4, 6)
    return x.reshape(*x.shape[:2], 4 * height, 4 * width)
