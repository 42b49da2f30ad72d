"""SAM 2 through the modules of Meta's own `sam2` package, for Meta's own .pt checkpoints.

The package's video predictor keeps every frame and takes objects one by one, so only its modules
are used here. Tests hold the results against the predictor.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from gsam_ros.tracking.segmenters import sam2_checkpoint
from gsam_ros.tracking.segmenters.interface import ImageFeatures, MemoryTokens
from gsam_ros.tracking.segmenters.mask_decoder import Decoded
from gsam_ros.tracking.segmenters.memory_attention import (
    Layer,
    MemoryAttention,
    Projections,
    axial_rope,
)
from gsam_ros.tracking.segmenters.sam2_operations import Embeddings, Rules, Sam2Operations


class Sam2Package(Sam2Operations):
    """A `SegmentationModel` (see there for the operations) made of sam2's modules."""

    size_step = 32
    """Image sizes are multiples of this, so that the encoder's windows and strides come out."""

    def __init__(
        self,
        name: str,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        image_size: int = 0,
    ):
        """Load a checkpoint.

        Args:
            name: as in `sam2_checkpoint.load`.
            device: where it runs.
            dtype: that it computes in. The weights stay in float32: sam2 is written for autocast.
            image_size: edge of the square that the model sees, a multiple of `size_step`; 0: as
                the checkpoint was trained.

        Raises:
            checkpoints.CheckpointError: it can't be loaded.
        """
        self.model: Any = sam2_checkpoint.load(name, image_size, device)
        model, self._autocast = self.model, dtype
        multimask = model.multimask_output_in_sam
        points = (model.multimask_min_pt_num, model.multimask_max_pt_num)
        rules = Rules(
            image_size=model.image_size,
            num_memories=model.num_maskmem,
            max_pointers=model.max_obj_ptrs_in_encoder,
            multimask_points=points if multimask else (1, 0),
            multimask_tracking=multimask and model.multimask_output_for_tracking and points[0] == 0,
            memory_scale=model.sigmoid_scale_for_mem_enc,
            memory_bias=model.sigmoid_bias_for_mem_enc,
            timed_pointers=model.add_tpos_enc_to_obj_ptrs,
        )
        absent = model.no_obj_embed_spatial
        edge = model.sam_image_embedding_size
        place = model.memory_encoder.position_encoding(torch.zeros(1, 1, edge, edge))
        place = place[0].flatten(1).mT.to(device)
        embeddings = Embeddings(
            no_memory=model.no_mem_embed.flatten(),
            no_pointer=model.no_obj_ptr.flatten(),
            no_object=None if absent is None else absent.flatten(),
            positions=place + model.maskmem_tpos_enc[:, 0],
        )
        self._image_positions = model.sam_prompt_encoder.get_dense_pe()
        # Features are float32: what autocast makes of them inside is its own affair.
        super().__init__(rules, embeddings, self._memory_attention(device), device, torch.float32)

    def _encode(
        self, pixels: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], torch.Tensor]:
        with self._precision():
            outputs = self.model.forward_image(pixels)
        *high, top = (x.float() for x in outputs["backbone_fpn"])
        positions = outputs["vision_pos_enc"][-1][0].flatten(1).mT
        return top, tuple(high), positions.float()

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
        with self._precision():
            sparse, dense = self.model.sam_prompt_encoder((points, labels), None, dense)
            masks, quality, tokens, presence = self.model.sam_mask_decoder(
                image_embeddings=features.spread(top) if shared else top,
                image_pe=self._image_positions,
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
                repeat_image=False,
                high_res_features=list(features.high),
            )
        return Decoded(masks, quality, tokens.float(), presence)

    def _point_at(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.model.obj_ptr_proj(tokens)

    def _shrink(self, masks: torch.Tensor) -> torch.Tensor:
        return self.model.mask_downsample(masks)

    def _encode_masks(self, features: ImageFeatures, masks: torch.Tensor) -> torch.Tensor:
        with self._precision():
            encoded = self.model.memory_encoder(features.top, masks, skip_mask_sigmoid=True)
        return encoded["vision_features"]

    def _place_in_time(self, ages: torch.Tensor) -> torch.Tensor:
        from sam2.modeling.sam2_utils import get_1d_sine_pe

        model = self.model
        width = model.hidden_dim if model.proj_tpos_enc_in_obj_ptrs else model.mem_dim
        return model.obj_ptr_tpos_proj(get_1d_sine_pe(ages, dim=width))

    def attend(self, features: ImageFeatures, memories: Sequence[MemoryTokens]) -> torch.Tensor:
        with self._precision():
            return super().attend(features, memories).float()

    def _memory_attention(self, device: torch.device) -> MemoryAttention:
        attention = self.model.memory_attention
        first = attention.layers[0].cross_attn_image
        edge = self.model.sam_image_embedding_size
        theta = first.compute_cis.keywords["theta"]
        rope = axial_rope(edge, edge, first.internal_dim // first.num_heads, theta).to(device)
        layers = [
            Layer(
                self_attention=_projections(layer.self_attn),
                cross_attention=_projections(layer.cross_attn_image),
                norms=(layer.norm1, layer.norm2, layer.norm3),
                feed_forward=_feed_forward(layer),
            )
            for layer in attention.layers
        ]
        return MemoryAttention(layers, attention.norm, first.num_heads, rope, rope)

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(
            self.device.type, self._autocast, enabled=self._autocast != torch.float32
        )


def _projections(attention: Any) -> Projections:
    return Projections(attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj)


def _feed_forward(layer: Any) -> Any:
    return lambda x: layer.linear2(layer.activation(layer.linear1(x)))
