"""EdgeTAM (arXiv 2501.07256) through transformers' `EdgeTamVideoModel` modules.

It is SAM 2 for small computers: a convolutional image encoder, half the layers of memory
attention, and a perceiver that turns each memory frame into a fixed number of tokens, some of which
stand for the whole image and the others for places in a coarse grid of it.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import EdgeTamVideoConfig, EdgeTamVideoModel

from gsam_ros.tracking.segmenters.memory_attention import axial_rope
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2


class TransformersEdgeTam(TransformersSam2):
    """A `SegmentationModel` (see there for the operations) made of EdgeTAM's modules."""

    model_class = EdgeTamVideoModel
    config_class = EdgeTamVideoConfig
    size_step = 256
    """The perceiver cuts the image's 16 pixel cells into 16 x 16 windows."""

    def _keep(self, memory: torch.Tensor) -> torch.Tensor:
        """[N, T, D]: latents of the whole image first, then those of the grid."""
        perceiver, config = self.model.spatial_perceiver, self.model.config
        parts = []
        if config.perceiver_resampler_num_latents:
            shape = torch.Size((len(memory), *memory.shape[1:]))
            place = self.model.memory_encoder.position_encoding(shape, self.device, self.dtype)
            parts.append(perceiver._forward_1d(memory, place)[0])
        if config.perceiver_resampler_num_latents_2d:
            parts.append(self._grid_latents(memory))
        # In full, as transformers keeps it: there are few tokens.
        return torch.cat(parts, 1).to(self.dtype)

    def _grid_latents(self, memory: torch.Tensor) -> torch.Tensor:
        """The perceiver's `_forward_2d`, which fails for more than one object (5.23)."""
        perceiver = self.model.spatial_perceiver
        count, channels, height, _ = memory.shape
        edge = self._grid_edge
        size = height // edge
        cells = memory.unflatten(2, (edge, size)).unflatten(4, (edge, size))
        # [N, D, rows, size, columns, size]: each window is a batch entry of its own.
        cells = cells.permute(0, 2, 4, 3, 5, 1).reshape(-1, size * size, channels)
        latents = perceiver.latents_2d.repeat(count, 1)[:, None]
        for layer in perceiver.layers:
            latents = layer(latents, cells, positional_encoding=None)
        return perceiver.layer_norm(latents.reshape(count, -1, channels))

    @property
    def _grid_edge(self) -> int:
        return round(self.model.config.perceiver_resampler_num_latents_2d**0.5)

    def _places(self, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        config, edge = self.model.config, self._grid_edge
        width = config.perceiver_resampler_hidden_size
        grid = self.model.spatial_perceiver.positional_encoding(
            torch.Size((1, width, edge, edge)), device, dtype
        )
        anywhere = torch.zeros(config.perceiver_resampler_num_latents, width).to(device, dtype)
        return torch.cat([anywhere, grid[0].flatten(1).mT])

    def _memory_rope(self, rope: torch.Tensor) -> torch.Tensor:
        """Latents of the whole image don't turn; those of the grid do by a grid of their own."""
        config = self.model.config
        size = config.memory_attention_rope_k_sizes
        theta = config.rope_parameters["rope_theta"]
        grid = axial_rope(size[0], size[1], 2 * rope.shape[1], theta).to(rope.device)
        still = grid.new_ones(config.perceiver_resampler_num_latents, rope.shape[1])
        return torch.cat([still, grid])

    @staticmethod
    def _feed_forward(layer: Any) -> Any:
        return layer.mlp
