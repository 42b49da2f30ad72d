"""Layer norm over the channels of maps that have few of them, on a CPU.

The first maps of SAM 2's memory encoder have 4 and 16 channels and a quarter of the image's side.
torch's layer norm goes row by row, and sets up more for a row of 4 numbers than it computes: whole
maps at a time take a quarter of the time (128 x 128 maps of 4 channels) to half (16 channels).
"""

from __future__ import annotations

import torch
from torch import nn

MOST_CHANNELS = 16


class ChannelNorm(nn.Module):
    """Layer norm (arXiv 1607.06450) of [N, C, H, W] over C, with the weights of another."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise every place."""
        centred = x - x.mean(1, keepdim=True)
        scale = centred.square().mean(1, keepdim=True).add_(self.eps).rsqrt_()
        scaled = centred.mul_(scale).mul_(self.weight[:, None, None])
        return scaled.add_(self.bias[:, None, None])


def replace_norms(layers: nn.ModuleList) -> None:
    """Give `ChannelNorm` to those of a mask downsampler's layers that have few channels."""
    for layer in layers:
        if layer.conv.out_channels <= MOST_CHANNELS:
            layer.layer_norm = ChannelNorm(layer.layer_norm)
            layer.conv.to(memory_format=torch.contiguous_format)
