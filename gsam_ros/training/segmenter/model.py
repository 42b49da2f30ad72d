"""The demo segmenter: a tiny SAM 2, its size, its start and its folder.

The architecture is SAM 2's (Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024) as
`transformers` builds it, so that `Sam2VideoModel.from_pretrained(folder)` loads the result with no
code of this project. Only the image encoder differs: a small ResNet out of timm in EdgeTAM's
vision model (Zhou et al., "EdgeTAM", 2025), as convolutions learn from little data far faster
than a Hiera does.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import nn
from transformers import (
    EdgeTamVisionConfig,
    Sam2ImageProcessor,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
    TimmWrapperConfig,
)

IMAGE_SIZE = 256
"""Side of the square that every image is resized to, in pixels."""
HIDDEN = 128
CHANNELS = (32, 64, 128, 192)
"""Channels of the backbone at strides 4, 8, 16 and 32."""
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


def demo_config() -> Sam2VideoConfig:
    """Size of the demo segmenter: 2.7 million parameters, memory of 7 frames of 16 x 16 tokens."""
    backbone = TimmWrapperConfig(
        architecture="resnet10t",
        do_pooling=False,
        model_args={
            "in_chans": 3,
            "features_only": True,
            "out_indices": [1, 2, 3, 4],
            "layers": [1, 1, 2, 1],
            "channels": list(CHANNELS),
            "stem_width": 16,
        },
    )
    vision = EdgeTamVisionConfig(
        backbone_config=backbone,
        backbone_channel_list=list(reversed(CHANNELS)),
        backbone_feature_sizes=[[IMAGE_SIZE // stride] * 2 for stride in (4, 8, 16)],
        fpn_hidden_size=HIDDEN,
        fpn_top_down_levels=[0, 1, 2, 3],
        num_feature_levels=3,
    )
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": HIDDEN, "image_size": IMAGE_SIZE, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": HIDDEN,
            "mlp_dim": 256,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": HIDDEN,
            "dynamic_multimask_via_stability": False,
        },
        image_size=IMAGE_SIZE,
        multimask_output_in_sam=False,
        multimask_output_for_tracking=False,
        max_cond_frame_num=4,
        memory_attention_hidden_size=HIDDEN,
        memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=256,
        memory_attention_dropout=0.0,
        memory_attention_rope_dropout=0.0,
        memory_attention_rope_feat_sizes=[IMAGE_SIZE // 16] * 2,
        memory_encoder_hidden_size=HIDDEN,
        mask_downsampler_embed_dim=HIDDEN,
        memory_fuser_embed_dim=HIDDEN,
        memory_fuser_intermediate_dim=256,
    )


def new_model(seed: int) -> Sam2VideoModel:
    """Make a demo segmenter with weights drawn from `seed`, ready to be trained from scratch."""
    torch.manual_seed(seed)
    model = Sam2VideoModel(demo_config())
    initialise(model, torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def initialise(model: Sam2VideoModel, generator: torch.Generator) -> None:
    """Give the model a start from which it learns.

    `transformers` draws every weight with a standard deviation of 0.02, which suits checkpoints
    that are loaded anyway: from that start the decoder ignores its box for hundreds of steps.
    """
    for module in model.vision_encoder.backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for convolution in model.vision_encoder.neck.convs:
        convolution.reset_parameters()
        convolution.weight.mul_(0.5)
    for part in (
        model.prompt_encoder,
        model.mask_decoder,
        model.memory_attention,
        model.memory_encoder,
        model.mask_downsample,
        model.object_pointer_proj,
        model.temporal_positional_encoding_projection_layer,
    ):
        for module in part.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)):
                module.reset_parameters()
    for hypernetwork in model.mask_decoder.output_hypernetworks_mlps:
        hypernetwork.proj_out.weight.mul_(0.2)
        hypernetwork.proj_out.bias.mul_(0.2)
    for block in model.memory_encoder.memory_fuser.layers:
        block.scale.fill_(0.3)
    for parameter in (
        model.no_memory_embedding,
        model.memory_temporal_positional_encoding,
        model.no_object_pointer,
        model.occlusion_spatial_embedding_parameter,
    ):
        nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
    frequencies = _frequencies(HIDDEN // 2, generator)
    # The prompt's corners and the image's grid must speak one code: two buffers, one content.
    model.shared_image_embedding.positional_embedding.copy_(frequencies)
    model.prompt_encoder.shared_embedding.positional_embedding.copy_(frequencies)


def _frequencies(count: int, generator: torch.Generator) -> torch.Tensor:
    """Fourier features [2, count]: random directions, 0.08 to 2 waves per half image side.

    SAM's own draw (standard deviation 1) has few waves long enough to tell left from right.
    """
    length = torch.rand(count, generator=generator) * math.log(2 / 0.08) + math.log(0.08)
    angle = torch.rand(count, generator=generator) * 2 * math.pi
    return torch.stack([angle.cos(), angle.sin()]) * length.exp()


def processor() -> Sam2VideoProcessor:
    """Make the processor that squeezes images to squares of `IMAGE_SIZE` pixels."""
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    mask_size = {"height": IMAGE_SIZE // 4, "width": IMAGE_SIZE // 4}
    settings = {"image_mean": list(PIXEL_MEAN), "image_std": list(PIXEL_STD)}
    return Sam2VideoProcessor(
        image_processor=Sam2ImageProcessor(size=size, mask_size=mask_size, **settings),
        video_processor=Sam2VideoVideoProcessor(size=size, **settings),
        target_size=IMAGE_SIZE,
    )


def save(model: Sam2VideoModel, folder: Path) -> None:
    """Write weights (fp16, safetensors), config and processor into `folder`.

    The config names float32: weights are stored at half size and computed with in full, as plain
    `from_pretrained` follows the config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = Sam2VideoModel(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # written for the owner alone
    path = folder / "config.json"
    config = json.loads(path.read_text())
    _set_dtype(config)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    processor().save_pretrained(folder)


def _set_dtype(config: dict) -> None:
    if "dtype" in config:
        config["dtype"] = "float32"
    for value in config.values():
        if isinstance(value, dict):
            _set_dtype(value)


def load(folder: Path) -> Sam2VideoModel:
    """Load `folder` as float32, in evaluation mode; nothing is looked up on a network."""
    return Sam2VideoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
