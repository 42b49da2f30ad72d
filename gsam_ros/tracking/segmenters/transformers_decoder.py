"""The parts of our mask decoder out of a transformers model, SAM 2's or EdgeTAM's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gsam_ros.tracking.segmenters.mask_decoder import Block, Heads, MaskDecoder, Upscaling
from gsam_ros.tracking.segmenters.memory_attention import Projections


def decoder_of(model: Any) -> MaskDecoder:
    """That of a `Sam2VideoModel` or `EdgeTamVideoModel`, with its weights."""
    decoder = model.mask_decoder
    transformer = decoder.transformer
    last = transformer.final_attn_token_to_image
    blocks = [
        Block(
            self_attention=projections_of(layer.self_attn),
            to_image=projections_of(layer.cross_attn_token_to_image),
            feed_forward=layer.mlp,
            to_tokens=projections_of(layer.cross_attn_image_to_token),
            norms=(layer.layer_norm1, layer.layer_norm2, layer.layer_norm3, layer.layer_norm4),
        )
        for layer in transformer.layers
    ]
    tokens = (decoder.obj_score_token, decoder.iou_token, decoder.mask_tokens)
    return MaskDecoder(
        tokens=torch.cat([token.weight for token in tokens]).detach(),
        blocks=blocks,
        last=(projections_of(last), transformer.layer_norm_final_attn),
        attention_heads=last.num_attention_heads,
        upscaling=Upscaling(
            decoder.upscale_conv1, decoder.upscale_layer_norm, decoder.upscale_conv2
        ),
        heads=Heads(
            masks=decoder.output_hypernetworks_mlps,
            quality=decoder.iou_prediction_head,
            presence=decoder.pred_obj_score_head,
            stable=_stable(decoder) if decoder.dynamic_multimask_via_stability else None,
        ),
        positions=model.get_image_wide_positional_embeddings()[0].flatten(1).mT,
    )


def _stable(
    decoder: Any,
) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    def choose(masks: torch.Tensor, quality: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        masks, quality = decoder._dynamic_multimask_via_stability(masks[:, None], quality[:, None])
        return masks[:, 0], quality[:, 0]

    return choose


def projections_of(attention: Any) -> Projections:
    """Those of one attention."""
    return Projections(attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
