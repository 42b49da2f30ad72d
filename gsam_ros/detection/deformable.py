"""Multi-scale deformable attention (Deformable DETR, arXiv 2010.04159) as fast as a device has it.

transformers samples with `grid_sample`, level by level: on a CPU that is most of what a frame
costs besides matrix products. Here each query of each head is one bag of an `embedding_bag`: the
four corners of all its points, weighted by attention and by distance, are read as rows of one
table and summed at once, five times as fast. On a GPU transformers' own layer samples, through the
compiled kernel of the `kernels` package where that is installed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GroundingDinoForObjectDetection
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoMultiscaleDeformableAttention,
)

_CORNERS = 1 << 18
"""Corners whose places are computed at once: what lies between two steps stays in the cache."""

_LOG = logging.getLogger(__name__)

Shapes = Sequence[tuple[int, int]]
"""(height, width) of each level."""


class DeformableAttention(nn.Module):
    """Stands in for transformers' layer, with its weights; places and sampling are in float32.

    In bfloat16 a place would be off by a pixel of the finest level, whatever the model's weights.
    """

    def __init__(self, original: GroundingDinoMultiscaleDeformableAttention):
        """Share the weights of a layer."""
        super().__init__()
        self.attn = original.attn
        self.sampling_offsets = original.sampling_offsets
        self.attention_weights = original.attention_weights
        self.value_proj = original.value_proj
        self.output_proj = original.output_proj
        self.grid = (original.n_heads, original.n_levels, original.n_points)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        position_embeddings: Tensor | None = None,
        reference_points: Tensor | None = None,
        spatial_shapes: Tensor | None = None,
        spatial_shapes_list: Shapes = (),
        level_start_index: Tensor | None = None,
        **_: object,
    ) -> tuple[Tensor, None]:
        """See `GroundingDinoMultiscaleDeformableAttention`; weights are not handed out."""
        assert encoder_hidden_states is not None and reference_points is not None
        if position_embeddings is not None:
            hidden_states = hidden_states + position_embeddings
        batch, queries, _channels = hidden_states.shape
        heads, _, points = self.grid
        value = self.value_proj(encoder_hidden_states)
        if attention_mask is not None:
            value = value.masked_fill(~attention_mask[..., None], 0)
        value = value.view(batch, value.shape[1], heads, -1).float()
        offsets = self.sampling_offsets(hidden_states).view(batch, queries, *self.grid, 2).float()
        weights = self.attention_weights(hidden_states).view(batch, queries, heads, -1).float()
        weights = weights.softmax(-1).view(batch, queries, *self.grid)
        references = reference_points[:, :, None, :, None]
        if references.shape[-1] == 2:  # points: offsets in pixels of the level
            sizes = references.new_tensor([[w, h] for h, w in spatial_shapes_list])
            places = references + offsets / sizes[:, None]
        else:  # boxes: offsets in shares of the box
            places = references[..., :2] + offsets * references[..., 2:] * (0.5 / points)
        if value.device.type == "cpu":
            sampled = sample(value, spatial_shapes_list, places, weights)
        else:
            sampled = self.attn(
                value, spatial_shapes, spatial_shapes_list, level_start_index, places, weights, 64
            )
        return self.output_proj(sampled.to(hidden_states.dtype)), None


def sample(value: Tensor, shapes: Shapes, places: Tensor, weights: Tensor) -> Tensor:
    """Bilinear samples of several levels, weighted and summed; zero outside of a level.

    Args:
        value: [B, S, heads, D] float32, the levels one behind the other.
        shapes: their sizes.
        places: [B, Q, heads, levels, points, 2] float32 (x, y) in [0, 1] of the level.
        weights: [B, Q, heads, levels, points] float32.

    Returns:
        [B, Q, heads * D].
    """
    batch, queries, heads, levels, points, _ = places.shape
    table, starts = _with_borders(value, shapes)
    ints = {"dtype": torch.int32, "device": value.device}
    size = value.new_tensor([[[w, h]] for h, w in shapes])  # [levels, 1, 2]
    down = torch.tensor([[(w + 2) * heads] for _, w in shapes], **ints)  # to the next row's pixel
    first = torch.tensor([[start * heads] for start in starts], **ints) + down + heads
    first = first + torch.arange(heads, **ints)[:, None, None]  # [heads, levels, 1] pixel (0, 0)
    corners = torch.stack([0 * down, 0 * down + heads, down, down + heads])  # [4, levels, 1]
    image = torch.arange(batch, **ints).repeat_interleave(queries) * (table.shape[1] * heads)

    places, weights = places.flatten(0, 1), weights.flatten(0, 1)
    rows = table.view(-1, table.shape[-1])
    step = max(1, _CORNERS // (4 * heads * levels * points))
    if torch.compiler.is_compiling():
        step = len(places)  # the compiler fuses the steps; a loop would be unrolled
    sums = []
    for start in range(0, len(places), step):
        place = places[start : start + step] * size - 0.5
        # Past the border all is zero, however far.
        place = place.clamp(min=-1).minimum(size)
        low = place.floor()
        right, below = (place - low).unbind(-1)
        x, y = low.to(torch.int32).unbind(-1)
        corner = (x * heads + y * down + first + image[start : start + step, None, None, None])[
            :, :, None
        ] + corners
        lower = weights[start : start + step] * below
        upper = weights[start : start + step] - lower
        lower_right, upper_right = lower * right, upper * right
        share = torch.stack(
            [upper - upper_right, upper_right, lower - lower_right, lower_right], dim=2
        )
        bags = len(place) * heads
        sums.append(
            functional.embedding_bag(
                corner.view(bags, -1), rows, per_sample_weights=share.view(bags, -1), mode="sum"
            )
        )
    return torch.cat(sums).view(batch, queries, -1)


def _with_borders(value: Tensor, shapes: Shapes) -> tuple[Tensor, list[int]]:
    """[B, R, heads, D] the levels with one pixel of zeros around each, and where each begins.

    One row more at the end: the corner below the last border is read, with weight zero.
    """
    sizes = [(h + 2) * (w + 2) for h, w in shapes]
    starts = [sum(sizes[:level]) for level in range(len(sizes))]
    table = value.new_zeros(len(value), sum(sizes) + shapes[-1][1] + 3, *value.shape[2:])
    source = value.split([h * w for h, w in shapes], dim=1)
    for level, start, size, (h, w) in zip(source, starts, sizes, shapes, strict=True):
        bordered = table[:, start : start + size].unflatten(1, (h + 2, w + 2))
        bordered[:, 1:-1, 1:-1] = level.unflatten(1, (h, w))
    return table, starts


def use_compiled_kernel(model: GroundingDinoForObjectDetection) -> bool:
    """Sample with a compiled kernel where the `kernels` package offers one for the model's device.

    The kernel comes from the Hugging Face hub, so nothing is tried unless somebody installed the
    package. It is taken only if it gives what torch gives.

    Returns:
        Whether it is used.
    """
    if model.device.type == "cpu":
        return False  # there is none
    layers = [module for module in model.modules() if isinstance(module, DeformableAttention)]
    return take_kernel(layers, partial(model.set_use_kernels, True), model.device)


def take_kernel(
    layers: Sequence[DeformableAttention], install: Callable[[], object], device: torch.device
) -> bool:
    """Install a kernel into layers, and keep it if it gives what torch gives.

    Args:
        layers: of one model.
        install: puts the kernel into their `attn`, or says why not by an exception.
        device: of the model.

    Returns:
        Whether it is used.
    """
    case = _small_case(device)
    expected = layers[0].attn(*case)
    try:
        install()
        same = torch.allclose(layers[0].attn(*case), expected, atol=1e-4)
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        _LOG.info("deformable attention runs in torch: %s", error)
        same = False
    else:
        if not same:
            _LOG.warning("the compiled kernel for deformable attention is wrong here: torch's runs")
    if not same:
        for layer in layers:
            layer.attn = type(layer.attn)()
    return same


def _small_case(device: torch.device) -> tuple[object, ...]:
    """Arguments of `MultiScaleDeformableAttention` at which a wrong kernel shows."""
    generator = torch.Generator().manual_seed(0)

    def random(*size: int) -> Tensor:
        return torch.rand(size, generator=generator).to(device)

    shapes, starts = [(6, 8), (3, 4)], torch.tensor([0, 48], device=device)
    sizes = torch.tensor(shapes, device=device)
    value, places = random(1, 60, 2, 32), random(1, 5, 2, 2, 4, 2) * 1.2 - 0.1
    return value, sizes, shapes, starts, places, random(1, 5, 2, 2, 4), 64
