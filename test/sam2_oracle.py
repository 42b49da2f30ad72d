"""Meta's own `SAM2VideoPredictor`, run as its authors do, to hold our streaming memory against."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.transformer import RoPEAttention, TwoWayTransformer
from sam2.sam2_video_predictor import SAM2VideoPredictor
from torch import nn
from transformers import Sam2VideoModel

STABILITY = {
    "dynamic_multimask_via_stability": True,
    "dynamic_multimask_stability_delta": 0.05,
    "dynamic_multimask_stability_thresh": 0.98,
}
"""As `build_sam2_video_predictor` sets it, like `binarize_mask_from_pts_for_mem_enc` below. What it
sets besides is left out: holes of the mask are filled on a GPU only."""


@dataclass(frozen=True)
class Given:
    """A prompt in pixels of the model's square image: a box, points with labels, or a mask."""

    frame: int
    object_id: int
    box: Sequence[float] | None = None
    points: Sequence[Sequence[float]] | None = None
    labels: Sequence[int] | None = None
    mask: torch.Tensor | None = None


def predictor_of_file(
    file: Path, configuration: Path, image_size: int | None = None
) -> SAM2VideoPredictor:
    """What Meta's `build_sam2_video_predictor` makes of a .pt file."""
    config: Any = OmegaConf.load(configuration)
    if image_size:
        config.model["image_size"] = image_size
    config.model["_target_"] = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    config.model["binarize_mask_from_pts_for_mem_enc"] = True
    OmegaConf.update(config.model, "sam_mask_decoder_extra_args", STABILITY, force_add=True)
    predictor = instantiate(config.model)
    predictor.load_state_dict(torch.load(file, weights_only=True)["model"])
    return predictor.eval()


@torch.inference_mode()
def follow(
    predictor: SAM2VideoPredictor,
    pixels: torch.Tensor,
    prompts: Sequence[Given],
    frames: int | None = None,
    memory_dtype: torch.dtype = torch.bfloat16,
) -> dict[int, dict[int, torch.Tensor]]:
    """Logits [S/4, S/4] by object and frame, objects being added as the stream reaches them.

    Args:
        predictor: Meta's.
        pixels: [T, 3, S, S] the whole video, normalised. Its length counts: pointers' ages are
            scaled by it where it is less than 16.
        prompts: in the order of their frames, the first on frame 0.
        frames: after how many to stop.
        memory_dtype: in which memories are kept, bfloat16 where Meta has its way.
    """
    with patch("sam2.sam2_video_predictor.torch", _Torch(bfloat16=memory_dtype)):
        return _follow(predictor, pixels, prompts, frames or len(pixels))


@contextmanager
def in_float64() -> Iterator[None]:
    """Compute in float64 also where code, Meta's or ours, asks for float32."""
    convert, usual = torch.Tensor.to, torch.get_default_dtype()

    def to(tensor: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        given = tuple(torch.float64 if x is torch.float32 else x for x in given)
        return convert(tensor, *given, **named)

    with (
        patch.object(torch.Tensor, "float", torch.Tensor.double),
        patch.object(torch.Tensor, "to", to),
        patch("sam2.modeling.position_encoding.torch", _Torch(float32=torch.float64)),
    ):
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(usual)


class _Torch:
    """The module torch, some of whose number formats are others."""

    def __init__(self, **formats: torch.dtype):
        vars(self).update(formats)

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def _follow(
    predictor: SAM2VideoPredictor, pixels: torch.Tensor, prompts: Sequence[Given], frames: int
) -> dict[int, dict[int, torch.Tensor]]:
    size = predictor.image_size
    # A video of the size of the logits: they come out as they are.
    video = (pixels, size // 4, size // 4)
    with patch("sam2.sam2_video_predictor.load_video_frames", return_value=video):
        state = predictor.init_state("a video that is in memory")
    starts = sorted({given.frame for given in prompts})
    ends = [*starts[1:], frames]
    found: dict[int, dict[int, torch.Tensor]] = {}
    for start, end in zip(starts, ends, strict=True):
        for given in prompts:
            if given.frame == start:
                add(predictor, state, given)
        for frame, ids, logits in predictor.propagate_in_video(state, start, end - start - 1):
            for row, object_id in enumerate(ids):
                found.setdefault(object_id, {})[frame] = logits[row, 0].clone()
    return found


def add(predictor: SAM2VideoPredictor, state: Any, given: Given) -> None:
    """Give Meta's predictor a prompt."""
    if given.mask is not None:
        predictor.add_new_mask(state, given.frame, given.object_id, given.mask)
        return
    size = predictor.image_size
    predictor.add_new_points_or_box(
        state,
        given.frame,
        given.object_id,
        points=None if given.points is None else torch.tensor(given.points) / size,
        labels=given.labels,
        box=None if given.box is None else torch.tensor(given.box) / size,
        normalize_coords=False,
    )


class _Encoder(nn.Module):
    """transformers' image encoder in the clothes of sam2's."""

    def __init__(self, model: Sam2VideoModel):
        super().__init__()
        self.encoder = model.vision_encoder
        self.neck = nn.Module()
        self.neck.d_model = model.hidden_dim

    def forward(self, pixels: torch.Tensor) -> dict[str, Any]:
        outputs = self.encoder(pixels, return_dict=True)
        maps = list(outputs.fpn_hidden_states)
        positions = list(outputs.fpn_position_encoding)
        return {"vision_features": maps[-1], "vision_pos_enc": positions, "backbone_fpn": maps}


def predictor_of_transformers(model: Sam2VideoModel) -> SAM2VideoPredictor:
    """Meta's predictor with the weights of a transformers model; the image encoder is shared."""
    config = model.config
    width, decoder = config.memory_attention_hidden_size, config.mask_decoder_config
    attention = {
        "embedding_dim": width,
        "num_heads": config.memory_attention_num_attention_heads,
        "feat_sizes": config.memory_attention_rope_feat_sizes,
    }
    layer = MemoryAttentionLayer(
        activation="relu",
        d_model=width,
        dim_feedforward=config.memory_attention_feed_forward_hidden_size,
        dropout=0.0,
        pos_enc_at_attn=False,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
        self_attention=RoPEAttention(**attention),
        cross_attention=RoPEAttention(**attention, rope_k_repeat=True, kv_in_dim=model.mem_dim),
    )
    block = CXBlock(config.memory_fuser_embed_dim)
    hidden = config.memory_fuser_intermediate_dim
    block.pwconv1 = nn.Linear(config.memory_fuser_embed_dim, hidden)
    block.pwconv2 = nn.Linear(hidden, config.memory_fuser_embed_dim)
    predictor = SAM2VideoPredictor(
        image_encoder=_Encoder(model),
        memory_attention=MemoryAttention(width, True, layer, config.memory_attention_num_layers),
        memory_encoder=MemoryEncoder(
            out_dim=model.mem_dim,
            in_dim=config.memory_encoder_hidden_size,
            mask_downsampler=MaskDownSampler(
                config.mask_downsampler_embed_dim, kernel_size=3, stride=2, padding=1
            ),
            fuser=Fuser(block, config.memory_fuser_num_layers),
            position_encoding=PositionEmbeddingSine(model.mem_dim),
        ),
        image_size=config.image_size,
        num_maskmem=config.num_maskmem,
        sigmoid_scale_for_mem_enc=config.sigmoid_scale_for_mem_enc,
        sigmoid_bias_for_mem_enc=config.sigmoid_bias_for_mem_enc,
        binarize_mask_from_pts_for_mem_enc=True,
        use_mask_input_as_output_without_sam=True,
        directly_add_no_mem_embed=True,
        no_obj_embed_spatial=True,
        use_high_res_features_in_sam=True,
        multimask_output_in_sam=config.multimask_output_in_sam,
        multimask_output_for_tracking=config.multimask_output_for_tracking,
        multimask_min_pt_num=config.multimask_min_pt_num,
        multimask_max_pt_num=config.multimask_max_pt_num,
        use_multimask_token_for_obj_ptr=True,
        iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True,
        add_tpos_enc_to_obj_ptrs=True,
        proj_tpos_enc_in_obj_ptrs=True,
        use_signed_tpos_enc_to_obj_ptrs=True,
        only_obj_ptrs_in_the_past_for_eval=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        fixed_no_obj_ptr=True,
        use_mlp_for_obj_ptr_proj=True,
    )
    # `SAM2Base` builds its decoder of a fixed size.
    stability = {key: getattr(decoder, key) for key in STABILITY}
    predictor.sam_mask_decoder = MaskDecoder(
        transformer_dim=decoder.hidden_size,
        transformer=TwoWayTransformer(
            depth=2,
            embedding_dim=decoder.hidden_size,
            num_heads=decoder.num_attention_heads,
            mlp_dim=decoder.mlp_dim,
        ),
        iou_head_hidden_dim=decoder.iou_head_hidden_dim,
        use_high_res_features=True,
        iou_prediction_use_sigmoid=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        use_multimask_token_for_obj_ptr=True,
        **stability,
    )
    weights = {
        _renamed(name): tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith(("vision_encoder.", "shared_image_embedding."))
    }
    points = weights.pop("sam_prompt_encoder.point_embed.weight")
    for row in range(4):
        weights[f"sam_prompt_encoder.point_embeddings.{row}.weight"] = points[row : row + 1]
    report = predictor.load_state_dict(weights, strict=False)
    left = [name for name in report.missing_keys if not name.startswith("image_encoder.")]
    assert not left and not report.unexpected_keys, (left, report.unexpected_keys)
    return predictor.eval()


_NAMES = (  # transformers' names, as patterns, and sam2's
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
    (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
    (r"^no_object_pointer$", "no_obj_ptr"),
    (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
    (r"^temporal_positional_encoding_projection_layer", "obj_ptr_tpos_proj"),
    (r"^object_pointer_proj", "obj_ptr_proj"),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding$",
     "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"mask_embed\.conv1", "mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
    (r"mask_embed\.conv2", "mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
    (r"mask_embed\.conv3", "mask_downscaling.6"),
    (r"upscale_conv1", "output_upscaling.0"),
    (r"upscale_layer_norm", "output_upscaling.1"),
    (r"upscale_conv2", "output_upscaling.3"),
    (r"\.o_proj\.", ".out_proj."),
    (r"layer_norm_final_attn", "norm_final_attn"),
    (r"memory_fuser", "fuser"),
    (r"\.scale$", ".gamma"),
    (r"depthwise_conv", "dwconv"),
    (r"pointwise_conv", "pwconv"),
    (r"feature_projection", "pix_feat_proj"),
    (r"^memory_encoder\.projection", "memory_encoder.out_proj"),
    (r"mask_downsampler\.final_conv", "mask_downsampler.encoder.12"),
    (r"\.layer_norm", ".norm"),
    (r"^(prompt_encoder|mask_decoder)\.", r"sam_\1."),
)  # fmt: skip


def _renamed(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    if found := re.match(r"memory_encoder\.mask_downsampler\.layers\.(\d)\.(conv|norm)(.*)", name):
        number = 3 * int(found[1]) + (found[2] == "norm")
        return f"memory_encoder.mask_downsampler.encoder.{number}{found[3]}"
    # Networks of two layers in the two-way transformer, of three elsewhere; what transformers calls
    # layers.0 there is the one in the middle.
    if re.search(r"(_mlps\.\d|_head|obj_ptr_proj)\.layers\.0\.", name):
        return name.replace(".layers.0.", ".layers.1.")
    last = 1 if ".mlp." in name else 2
    return name.replace("proj_in", "layers.0").replace("proj_out", f"layers.{last}")
