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

from gsam_ros.world.vocabulary import COLOURS, SHAPES


class CellHeads(nn.Module):
    """Objectness, colour and shape of the object at the centre of each cell, for two strides."""

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
            there = cell[..., 0] >= 0
            loss = loss + F.binary_cross_entropy_with_logits(objectness[..., 0], there.float())
            if there.any():
                loss = loss + F.cross_entropy(colour[there], cell[there][:, 0])
                loss = loss + F.cross_entropy(shape[there], cell[there][:, 1])
        return loss / len(self.heads)


def backbone_features(model: GroundingDinoForObjectDetection, pixel_values: Tensor) -> list[Tensor]:
    """Compute the projected feature maps of strides 16 and 32: [B, d_model, h, w] each."""
    maps = model.model.backbone.conv_encoder.model(pixel_values).feature_maps
    projections = model.model.input_proj_vision
    return [project(feature) for project, feature in zip(projections, maps, strict=False)]


class FeatureTap:
    """Keeps what the projections of `backbone_features` computed in the model's last forward."""

    def __init__(self, model: GroundingDinoForObjectDetection, levels: int = 2) -> None:
        self.features: list[Tensor] = [torch.empty(0)] * levels
        for level in range(levels):
            model.model.input_proj_vision[level].register_forward_hook(self._keeper(level))

    def _keeper(self, level: int) -> Callable[[nn.Module, object, Tensor], None]:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            self.features[level] = output

        return keep
