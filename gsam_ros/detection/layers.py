"""Which layers of transformers' Grounding DINO are replaced by faster ones."""

from __future__ import annotations

import torch
from torch import nn
from transformers import GroundingDinoForObjectDetection
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoBiMultiHeadAttention,
    GroundingDinoMultiscaleDeformableAttention,
)

from gsam_ros.detection.deformable import DeformableAttention, use_compiled_kernel
from gsam_ros.detection.fusion import FewWordsAttention


def replace_layers(detector: GroundingDinoForObjectDetection) -> GroundingDinoForObjectDetection:
    """Put faster layers in place of those that there are some for; the weights stay the same.

    The model then runs through `forward.find` only.
    """
    for module in list(detector.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, GroundingDinoMultiscaleDeformableAttention):
                setattr(module, name, DeformableAttention(child))
            elif isinstance(child, GroundingDinoBiMultiHeadAttention):
                setattr(module, name, FewWordsAttention(child))
    decoder = detector.model.decoder
    decoder.reference_points_head = _InOwnFormat(decoder.reference_points_head)
    use_compiled_kernel(detector)
    return detector


class _InOwnFormat(nn.Module):
    """Hands a layer its input, places in float32, in the number format of its weights."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer
        self.dtype = next(layer.parameters()).dtype

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        narrowed: torch.Tensor = self.layer(values.to(self.dtype))
        return narrowed
