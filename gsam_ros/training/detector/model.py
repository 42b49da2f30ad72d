"""The demo detector: a Grounding DINO of under four million parameters, made from scratch.

Every layer is transformers' own `GroundingDinoForObjectDetection` (Liu et al., "Grounding DINO:
Marrying DINO with Grounded Pre-Training for Open-Set Object Detection", ECCV 2024); only the sizes
are ours. What this file adds is what training from scratch needs and fine-tuning does not: an
initialisation that suits random weights, and a backbone that learns.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from transformers import (
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessor,
    GroundingDinoProcessor,
    ResNetConfig,
)
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoFrozenBatchNorm2d,
)

from gsam_ros.training.detector.words import MAX_TEXT_TOKENS, build_tokenizer

SHORTEST_EDGE, LONGEST_EDGE = 192, 256
"""Size in pixels that the processor scales an image to, until the last stage of training."""

_FUSION_SCALE = 0.3
_TEXT_GAIN = 0.1
_VISION_OFFSET = 0.5
_PRIOR_LOGIT = -4.0


def build_config(vocabulary_size: int) -> GroundingDinoConfig:
    """Sizes of the demo detector for a vocabulary of `vocabulary_size` tokens.

    Feature levels have strides 16, 32 and 64: at 256x192 pixels 192 + 48 + 12 = 252 tokens.
    """
    return GroundingDinoConfig(
        backbone_config=ResNetConfig(
            embedding_size=32,
            hidden_sizes=[32, 64, 128, 192],
            depths=[1, 2, 2, 1],
            layer_type="basic",
            out_indices=[3, 4],
        ),
        text_config=BertConfig(
            vocab_size=vocabulary_size,
            hidden_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=384,
            max_position_embeddings=MAX_TEXT_TOKENS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
        num_feature_levels=3,
        d_model=128,
        encoder_layers=2,
        decoder_layers=3,
        encoder_ffn_dim=512,
        decoder_ffn_dim=512,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_n_points=4,
        decoder_n_points=4,
        num_queries=40,
        max_text_len=MAX_TEXT_TOKENS,
        dropout=0.0,
        fusion_droppath=0.0,
    )


def build_processor(scale: float = 1.0) -> GroundingDinoProcessor:
    """Tokenizer and image scaling of the demo detector, which sees images `scale` times larger."""
    size = {
        "shortest_edge": round(scale * SHORTEST_EDGE),
        "longest_edge": round(scale * LONGEST_EDGE),
    }
    return GroundingDinoProcessor(GroundingDinoImageProcessor(size=size), build_tokenizer())


def build_detector(vocabulary_size: int, seed: int = 0) -> GroundingDinoForObjectDetection:
    """Build a demo detector with random weights, ready to be trained from scratch."""
    torch.manual_seed(seed)
    model = GroundingDinoForObjectDetection(build_config(vocabulary_size))
    model.tie_weights()
    initialise(model)
    thaw_backbone(model)
    return model


@torch.no_grad()
def initialise(model: GroundingDinoForObjectDetection) -> None:
    """Weights from which a Grounding DINO learns without any pre-trained part.

    transformers initialises for checkpoints that are loaded afterwards: linear layers of standard
    deviation 0.02 shrink a signal tenfold per layer here, and a fusion scale of 1e-4 keeps the
    text out of the image for thousands of steps.
    """
    core = model.model
    for name, module in model.named_modules():
        is_deformable = name.endswith(("sampling_offsets", "attention_weights"))
        is_box_head_end = "bbox_embed" in name and name.endswith("layers.2")
        if isinstance(module, nn.Linear) and not is_deformable and not is_box_head_end:
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    nn.init.normal_(core.text_backbone.embeddings.word_embeddings.weight, std=0.1)
    for layer in core.encoder.layers:
        layer.fusion_layer.vision_param.fill_(_FUSION_SCALE)
        layer.fusion_layer.text_param.fill_(_FUSION_SCALE)
    _set_prior(model)
    _unify_decoder_norms(model)


def _set_prior(model: GroundingDinoForObjectDetection) -> None:
    """Start all token logits near `_PRIOR_LOGIT` (Lin et al., "Focal Loss", ICCV 2017, sec. 3.3).

    The logits are plain products of image and text features without a bias. A fixed direction
    added to the image features and subtracted from the text features stands in for it.
    """
    core, width = model.model, model.config.d_model
    direction = torch.ones(width)
    direction[1::2] = -1.0  # zero mean, so that LayerNorm leaves it alone
    core.enc_output_norm.bias.copy_(_VISION_OFFSET * direction)
    for layer in core.decoder.layers:
        layer.fc2.bias.copy_(_VISION_OFFSET * direction)
        # The text features below are small; keys and values read them at their usual size.
        layer.encoder_attn_text.key.weight.mul_(1 / (2 * _TEXT_GAIN))
        layer.encoder_attn_text.value.weight.mul_(1 / (2 * _TEXT_GAIN))
    text_norm = core.encoder.layers[-1].text_enhancer_layer.layer_norm_after
    text_norm.weight.fill_(_TEXT_GAIN)
    text_norm.bias.copy_(_PRIOR_LOGIT / (_VISION_OFFSET * width) * direction)


@torch.no_grad()
def _unify_decoder_norms(model: GroundingDinoForObjectDetection) -> None:
    """Fix the gains of the norms that end the decoder's layers at one and their biases at zero.

    The box head refines references from a layer's output before the decoder's last LayerNorm and
    predicts boxes from it after. Without gain and bias the second norm changes nothing, and both
    uses of the head agree; the references get no gradient that could make them agree.
    """
    decoder = model.model.decoder
    for norm in (
        decoder.layer_norm,
        *(layer.final_layer_norm for layer in decoder.layers),
    ):
        norm.weight.fill_(1.0).requires_grad_(False)
        norm.bias.zero_().requires_grad_(False)


def thaw_backbone(model: GroundingDinoForObjectDetection) -> None:
    """Give a backbone its trainable BatchNorm, stem and first stage back, in place.

    transformers freezes them, for backbones that come pre-trained.
    """
    _replace_batch_norm(model.model.backbone)
    model.model.unfreeze_backbone()


def load_to_train(folder: Path) -> GroundingDinoForObjectDetection:
    """Load a detector of this size as it was when its training ended."""
    model = GroundingDinoForObjectDetection.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    thaw_backbone(model)
    _unify_decoder_norms(model)
    return model.train()


def _replace_batch_norm(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, GroundingDinoFrozenBatchNorm2d):
            norm = nn.BatchNorm2d(child.weight.numel())
            norm.load_state_dict(child.state_dict(), strict=False)
            setattr(module, name, norm)
        else:
            _replace_batch_norm(child)


def freeze_copy(
    model: GroundingDinoForObjectDetection,
) -> GroundingDinoForObjectDetection:
    """Copy the network into plain transformers form: frozen BatchNorm, eval mode."""
    plain = GroundingDinoForObjectDetection(model.config)
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    plain.load_state_dict(state)
    plain.tie_weights()
    return plain.eval()


def save_detector(model: GroundingDinoForObjectDetection, folder: Path, scale: float = 1.0) -> None:
    """Write weights (float16 safetensors), configuration and processor to `folder`.

    The configuration keeps saying float32: a plain `from_pretrained` then computes in float32,
    as images are, and the file is half as large.
    """
    plain = freeze_copy(model)
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in plain.state_dict().items()
    }
    plain.save_pretrained(folder, state_dict=state)
    (folder / "model.safetensors").chmod(0o644)  # written for the owner alone
    build_processor(scale).save_pretrained(folder)
