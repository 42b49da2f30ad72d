"""Which layers of transformers' Grounding DINO are replaced by faster ones."""

from __future__ import annotations

import torch
from torch import nn
from transformers import GroundingDinoForObjectDetection
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoBiMultiHeadAttention,
    GroundingDinoFrozenBatchNorm2d,
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
        if isinstance(getattr(module, "normalization", None), GroundingDinoFrozenBatchNorm2d):
            _fold_normalization(module)
    # As oneDNN takes convolutions, and pooling over a plane runs along the channels.
    detector.model.backbone.to(memory_format=torch.channels_last)
    decoder = detector.model.decoder
    decoder.reference_points_head = _InOwnFormat(decoder.reference_points_head)
    use_compiled_kernel(detector)
    return detector


def _fold_normalization(layer: nn.Module) -> None:
    """Make a convolution with a frozen normalization behind it one convolution (ResNet).

    Args:
        layer: transformers' ResNetConvLayer or ResNetShortCut.
    """
    frozen = layer.normalization
    if not isinstance(layer.convolution, nn.Conv2d) or layer.convolution.bias is not None:
        return
    scale = frozen.weight.float() * (frozen.running_var.float() + 1e-5).rsqrt()
    bias = frozen.bias.float() - frozen.running_mean.float() * scale
    weight = layer.convolution.weight
    layer.convolution.weight.data = (weight.float() * scale[:, None, None, None]).to(weight.dtype)
    layer.convolution.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)
    layer.normalization = nn.Identity()


class _InOwnFormat(nn.Module):
    """Hands a layer its input, places in float32, in the number format of its weights."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer
        self.dtype = next(layer.parameters()).dtype

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        narrowed: torch.Tensor = self.layer(values.to(self.dtype))
        return narrowed
