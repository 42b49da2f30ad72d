"""All predictions of a Grounding DINO that its training learns from."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GroundingDinoForObjectDetection

from gsam_ros.training.detector.denoising import DenoisingQueries
from gsam_ros.training.detector.denoising_forward import DenoisingContent, appended
from gsam_ros.training.detector.matching import Targets

Predicted = tuple[Tensor, Tensor]
"""Logits [B, Q, T], -inf at padding, and boxes [B, Q, 4], float32 (cx, cy, w, h) as fractions of
the image, its padding left out."""


@dataclass(frozen=True)
class Predictions:
    """What the parts of the model answer.

    Attributes:
        tokens: the encoder's, one for each image token.
        layers: one for each decoder layer.
        denoised: likewise for the denoising queries; empty where there are none.
    """

    tokens: Predicted
    layers: list[Predicted]
    denoised: list[Predicted]


def predict(
    model: GroundingDinoForObjectDetection,
    pixel_values: Tensor,
    input_ids: Tensor,
    targets: Targets,
    pixel_mask: Tensor | None = None,
    denoising: tuple[DenoisingContent, DenoisingQueries] | None = None,
) -> Predictions:
    """Run the model on a batch.

    Args:
        model: in training or evaluation mode.
        pixel_values: [B, 3, H, W], normalised.
        input_ids: [B, T], at most `max_text_len` tokens.
        targets: whose text this is.
        pixel_mask: int64 [B, H, W], 0 at padding; None: there is none.
        denoising: further queries, if any.
    """
    further = appended(model, *denoising, targets.phrase_tokens) if denoising else nullcontext()
    mask = targets.text_mask
    with further:
        outputs = model.model(
            pixel_values, input_ids, attention_mask=mask.long(), pixel_mask=pixel_mask
        )
    text = outputs.encoder_last_hidden_state_text
    reference = outputs.init_reference_points
    own = reference.shape[1]
    if denoising:
        reference = torch.cat([reference, denoising[1].boxes.to(reference.dtype)], 1)
    layers, denoised = [], []
    for layer, hidden in enumerate(outputs.intermediate_hidden_states.unbind(1)):
        logits = token_logits(hidden, text, mask)
        anchor = torch.special.logit(reference.float(), eps=1e-5)
        boxes = (model.bbox_embed[layer](hidden).float() + anchor).sigmoid()
        layers.append((logits[:, :own], boxes[:, :own]))
        if denoising:
            denoised.append((logits[:, own:], boxes[:, own:]))
        reference = outputs.intermediate_reference_points[:, layer]
    logits = outputs.enc_outputs_class[..., : input_ids.shape[1]]
    boxes = outputs.enc_outputs_coord_logits.float().sigmoid()
    return Predictions((logits, boxes), layers, denoised)


def token_logits(vision: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
    """Multiply image and text features: [B, Q, D] and [B, T, D] to [B, Q, T], -inf at padding."""
    return (vision @ text.transpose(-1, -2)).masked_fill(~text_mask[:, None], -torch.inf)
