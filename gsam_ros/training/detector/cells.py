"""Training-only heads that read objects straight off the backbone's cells.

They teach the backbone colours and shapes before, and then beside, the slower lessons of
matching text with queries. The shipped model does not hold them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GroundingDinoForObjectDetection

from gsam_ros.world.vocabulary import COLOURS, HELD_OUT, SHAPES


class CellHeads(nn.Module):
    """Objectness and kind of the object at the centre of each cell, for two strides.

    A pair's logit is its colour's plus its shape's, and the softmax runs over the pairs of
    training only, as is usual in compositional zero-shot learning (Misra et al., "From Red Wine
    to Red Tomato", CVPR 2017). Two softmaxes, one over colours and one over shapes, would teach
    that red things are never cones: held-out pairs would be unlearnt.
    """

    def __init__(self, width: int, levels: int = 2) -> None:
        super().__init__()
        size = 1 + len(COLOURS) + len(SHAPES)
        self.heads = nn.ModuleList(nn.Conv2d(width, size, kernel_size=1) for _ in range(levels))

    def forward(self, features: list[Tensor], cells: list[Tensor]) -> Tensor:
        """Mean loss. features: [B, width, h, w] per level. cells: int64 [B, h, w, 2] per level."""
        loss = features[0].new_zeros((), dtype=torch.float32)
        for head, feature, cell in zip(self.heads, features, cells, strict=False):
            outputs = head(feature).float().movedim(1, -1)
            objectness, colour, shape = outputs.split([1, len(COLOURS), len(SHAPES)], dim=-1)
            there = cell[..., 1] >= 0
            loss = loss + F.binary_cross_entropy_with_logits(objectness[..., 0], there.float())
            if there.any():
                loss = loss + pair_loss(colour[there], shape[there], cell[there])
        return loss / len(self.heads)


def pair_loss(colour: Tensor, shape: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy over the pairs of training.

    colour: [K, colours] logits. shape: [K, shapes] logits. truth: int64 [K, 2], their indices,
    where a colour of -1 is one without a name: the shape alone counts then.
    """
    nameless = truth[:, 0] < 0
    by_shape = F.cross_entropy(shape[nameless], truth[nameless, 1], reduction="sum")
    colour, shape, truth = colour[~nameless], shape[~nameless], truth[~nameless]
    logits = colour[:, :, None] + shape[:, None, :]
    names = list(COLOURS)
    for held_colour, held_shape in HELD_OUT:
        logits[:, names.index(held_colour), SHAPES.index(held_shape)] = -torch.inf
    kind = truth[:, 0] * len(SHAPES) + truth[:, 1]
    by_pair = F.cross_entropy(logits.flatten(1), kind, reduction="sum")
    return (by_shape + by_pair) / len(nameless)


def backbone_features(model: GroundingDinoForObjectDetection, pixel_values: Tensor) -> list[Tensor]:
    """Compute the projected feature maps of strides 16 and 32: [B, d_model, h, w] each."""
    maps = model.model.backbone.conv_encoder.model(pixel_values).feature_maps
    projections = model.model.input_proj_vision
    return [project(feature) for project, feature in zip(projections, maps, strict=False)]


class FeatureTap:
    """Keeps what the projections of `backbone_features` computed in the model's last forward."""

    def __init__(self, model: GroundingDinoForObjectDetection) -> None:
        self.features: list[Tensor] = [torch.empty(0)] * 2
        for level in range(2):
            model.model.input_proj_vision[level].register_forward_hook(self._keeper(level))

    def _keeper(self, level: int) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self.features[level] = output

        return keep
