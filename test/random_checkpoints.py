"""Checkpoints with random weights: for shapes, errors and parity; what they see means nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Sam2VideoConfig,
    Sam2VideoModel,
    SwinConfig,
)

from gsam_ros.training import segmenter_model
from gsam_ros.training.detector_words import build_tokenizer


def save_detector(
    folder: Path, config: GroundingDinoConfig, shortest: int = 96, longest: int = 160
) -> Path:
    """Write a detector that any text and image go through."""
    torch.manual_seed(0)
    model = GroundingDinoForObjectDetection(config)
    # Zero heads make every box and score equal, and parity would prove nothing.
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    model.save_pretrained(folder)
    size = {"shortest_edge": shortest, "longest_edge": longest}
    GroundingDinoProcessor(
        GroundingDinoImageProcessor(size=size), build_tokenizer()
    ).save_pretrained(folder)
    return folder


def small_detector_config() -> GroundingDinoConfig:
    """Every part of Grounding DINO, none of it big."""
    return GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64,
            embed_dim=24,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 4, 8],
            window_size=4,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(
            vocab_size=len(build_tokenizer()),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
        ),
        d_model=64,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        num_queries=30,
        max_text_len=48,
    )


def save_segmenter(folder: Path, config: Sam2VideoConfig | None = None) -> Path:
    """Write a segmenter whose objects count as visible."""
    if config is None:
        model = segmenter_model.new_model(seed=3)
    else:
        torch.manual_seed(3)
        model = Sam2VideoModel(config)
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data.add_(0.5)
    if config is None:
        segmenter_model.save(model, folder)
    else:
        model.save_pretrained(folder)
    return folder
