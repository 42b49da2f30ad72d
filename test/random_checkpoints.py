"""Checkpoints with random weights: for shapes, errors and parity; what they see means nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sam2
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from transformers import (
    BertConfig,
    EdgeTamVideoConfig,
    EdgeTamVideoModel,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    Sam2VideoConfig,
    Sam2VideoModel,
    SwinConfig,
)

from gsam_ros.training.detector.words import build_tokenizer
from gsam_ros.training.segmenter import model as segmenter_model


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


@torch.no_grad()
def speak_up(mask_heads: Iterable[Any], memory_outputs: Iterable[Any], loudness: float) -> None:
    """Give random weights a voice.

    As they are drawn, logits are near 0 and hardly depend on memory: nothing would show an error.

    Args:
        mask_heads: the last layer of each network that makes masks.
        memory_outputs: the last layer of each attention to memory.
        loudness: by which logits grow.
    """
    for layer in mask_heads:
        layer.weight.mul_(loudness)
        layer.bias.mul_(loudness)
    for layer in memory_outputs:
        layer.weight.mul_(8)


def save_segmenter(folder: Path, config: Sam2VideoConfig | None = None) -> Path:
    """Write a segmenter whose objects count as visible."""
    if config is None:
        model = segmenter_model.new_model(seed=3)
    else:
        torch.manual_seed(3)
        model = Sam2VideoModel(config)
    _speak_up_transformers(model, 100)
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data.add_(0.5)
    if config is None:
        segmenter_model.save(model, folder)
    else:
        model.save_pretrained(folder)
    return folder


def _speak_up_transformers(model: Any, loudness: float) -> None:
    heads = [network.proj_out for network in model.mask_decoder.output_hypernetworks_mlps]
    layers = model.memory_attention.layers
    speak_up(heads, [layer.cross_attn_image.o_proj for layer in layers], loudness)


def small_edgetam_config() -> EdgeTamVideoConfig:
    """EdgeTAM at the demo segmenter's size, with 256 + 256 tokens a memory as published."""
    hidden = segmenter_model.HIDDEN
    return EdgeTamVideoConfig(
        vision_config=segmenter_model.demo_config().vision_config,
        prompt_encoder_config={"hidden_size": hidden, "image_size": segmenter_model.IMAGE_SIZE},
        mask_decoder_config={
            "hidden_size": hidden,
            "mlp_dim": 256,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": hidden,
        },
        image_size=segmenter_model.IMAGE_SIZE,
        memory_attention_hidden_size=hidden,
        memory_attention_mlp_hidden_size=256,
        memory_attention_rope_feat_sizes=[16, 16],
        memory_encoder_hidden_size=hidden,
        mask_downsampler_embed_dim=hidden,
        memory_fuser_embed_dim=hidden,
        memory_fuser_intermediate_dim=256,
    )


def save_edgetam(folder: Path) -> Path:
    """Write an EdgeTAM whose objects count as visible."""
    torch.manual_seed(5)
    model = EdgeTamVideoModel(small_edgetam_config())
    segmenter_model.initialise(model, torch.Generator().manual_seed(5))
    for module in model.spatial_perceiver.modules():
        if isinstance(module, torch.nn.Linear):
            module.reset_parameters()
    _speak_up_transformers(model, 300)
    model.mask_decoder.pred_obj_score_head.proj_out.bias.data.add_(0.5)
    model.save_pretrained(folder)
    segmenter_model.processor().save_pretrained(folder)
    return folder


SAM2_CONFIGS = Path(sam2.__path__[0]) / "configs"


def small_sam2_config(version: str = "sam2.1") -> Any:
    """Every part of Meta's tiny model, none of it big, for 256 pixels."""
    config: Any = OmegaConf.load(SAM2_CONFIGS / version / f"{version}_hiera_t.yaml")
    small: dict[str, Any] = {
        "image_size": 256,
        "image_encoder.trunk.embed_dim": 16,
        "image_encoder.trunk.stages": [1, 1, 2, 1],
        "image_encoder.trunk.global_att_blocks": [3],
        "image_encoder.neck.d_model": 128,
        "image_encoder.neck.position_encoding.num_pos_feats": 128,
        "image_encoder.neck.backbone_channel_list": [128, 64, 32, 16],
        "memory_attention.d_model": 128,
        "memory_attention.num_layers": 2,
        "memory_attention.layer.d_model": 128,
        "memory_attention.layer.dim_feedforward": 256,
        "memory_attention.layer.self_attention.embedding_dim": 128,
        "memory_attention.layer.self_attention.feat_sizes": [16, 16],
        "memory_attention.layer.cross_attention.embedding_dim": 128,
        "memory_attention.layer.cross_attention.feat_sizes": [16, 16],
        "memory_encoder.in_dim": 128,
        "memory_encoder.mask_downsampler.embed_dim": 128,
        "memory_encoder.fuser.layer.dim": 128,
    }
    for name, value in small.items():
        OmegaConf.update(config, f"model.{name}", value, force_add=True)
    return config


def save_sam2(folder: Path, version: str = "sam2.1", configuration: Path | None = None) -> Path:
    """Write a .pt file as Meta's, of a published configuration or a small one.

    Beside the small one lies a .yaml that says what it is.
    """
    torch.manual_seed(7)
    config: Any = OmegaConf.load(configuration) if configuration else small_sam2_config(version)
    model = instantiate(config.model)
    heads = [network.layers[-1] for network in model.sam_mask_decoder.output_hypernetworks_mlps]
    layers = model.memory_attention.layers
    speak_up(heads, [layer.cross_attn_image.out_proj for layer in layers], 50)
    model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.add_(0.5)
    if not configuration:
        OmegaConf.save(config, folder / "small.yaml")
    torch.save({"model": model.state_dict()}, folder / "small.pt")
    return folder / "small.pt"
