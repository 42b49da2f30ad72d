"""Denoising queries through any Grounding DINO of transformers, which knows nothing of them.

Hooks on the decoder, there for one forward pass, append the queries to those that the model chose
itself, with the mask that keeps them apart. So no code of the model is copied, and a checkpoint
trained this way is a plain one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GroundingDinoForObjectDetection

from gsam_ros.training.detector.denoising import DenoisingQueries, attention_mask


class DenoisingContent(nn.Module):
    """What a denoising query carries: its phrase, as the model's own text features tell it.

    DINO learns an embedding per class; with phrases there are no classes. The features are taken
    as they are (no gradient goes back), or the text side would learn to pass labels through. This
    module is for training only.
    """

    def __init__(self, model: GroundingDinoForObjectDetection) -> None:
        super().__init__()
        width = model.config.d_model
        learned = model.model.query_position_embeddings
        start = torch.zeros(width) if learned is None else learned.weight.detach().mean(0)
        self.start = nn.Parameter(start.clone())
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, width)

    def forward(self, text: Tensor, phrase_tokens: Tensor, phrases: Tensor) -> Tensor:
        """[B, D, d_model] of `phrases` [B, D], the mean over each one's tokens.

        text: [B, T, d_model]. phrase_tokens: bool [B, P, T].
        """
        share = phrase_tokens / phrase_tokens.sum(-1, keepdim=True).clamp(min=1)
        features = share.to(text.dtype) @ text.detach()
        chosen = features.gather(1, phrases[..., None].expand(-1, -1, features.shape[-1]))
        return self.start + self.project(self.norm(chosen))


@contextmanager
def appended(
    model: GroundingDinoForObjectDetection,
    content: DenoisingContent,
    queries: DenoisingQueries,
    phrase_tokens: Tensor,
) -> Iterator[None]:
    """While this is open, the model's decoder answers the queries too, behind its own.

    phrase_tokens: bool [B, P, T], the tokens of each image's phrases.
    """

    def append(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        own, text = kwargs["inputs_embeds"], kwargs["text_encoder_hidden_states"]
        further = content(text, phrase_tokens, queries.phrases).to(own.dtype)
        references = kwargs["reference_points"]
        allowed = attention_mask(queries, own.shape[1])
        # Added to the scores before the softmax; every row may look at itself at least.
        mask = torch.zeros(allowed.shape, dtype=own.dtype, device=own.device)
        return args, kwargs | {
            "inputs_embeds": torch.cat([own, further], 1),
            "reference_points": torch.cat([references, queries.boxes.to(references.dtype)], 1),
            "self_attn_mask": mask.masked_fill(~allowed, -torch.inf)[:, None],
        }

    def trim(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # The mask of the text's padding comes repeated `num_queries` times, row by row the same.
        return args, kwargs | {"attention_mask": kwargs["attention_mask"][:, :, :1]}

    decoder = model.model.decoder
    hooks = [decoder.register_forward_pre_hook(append, with_kwargs=True)]
    for layer in decoder.layers:
        hooks.append(layer.encoder_attn_text.register_forward_pre_hook(trim, with_kwargs=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
