"""SAM 2 unrolled over a clip, with gradients: what `Sam2VideoModel`'s session does, in a batch.

The session of `transformers` runs under `inference_mode`, one object at a time. Here the same
submodules are called in the same order for all objects of all clips together. In evaluation mode
the outcome equals the session's (shown by a test); in training nothing is changed but that the
truth may decide whether an object counts as present (`present`).

Shapes: B objects, C = 128 channels, D = 64 memory channels, L = 256 tokens of the 16 x 16 grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Sam2VideoModel
from transformers.models.sam2_video.modeling_sam2_video import NO_OBJ_SCORE, get_1d_sine_pe


@dataclass(frozen=True)
class Features:
    """What the image encoder says of N images, from fine to coarse."""

    fine: Tensor
    """[N, C, 64, 64] pyramid level before its projection; for training's extra heads only."""
    high: Tensor
    """[N, C / 8, 64, 64] for the mask decoder."""
    middle: Tensor
    """[N, C / 4, 32, 32] for the mask decoder."""
    top: Tensor
    """[N, C, 16, 16] without memory."""
    position: Tensor
    """[L, 1, C] sine position of the top level's tokens."""

    def __getitem__(self, image: Tensor) -> Features:
        """Pick the features of the images numbered `image` [B], repeated where a number is."""
        return Features(
            self.fine, self.high[image], self.middle[image], self.top[image], self.position
        )


@dataclass(frozen=True)
class Prompts:
    """Where B objects are, as points."""

    points: Tensor
    """[B, P, 2] (x, y) in pixels of the 256 x 256 image."""
    labels: Tensor
    """int32 [B, P]: 1 on the object, 0 off it, 2 and 3 a box's corners, -1 padding."""

    @staticmethod
    def of_boxes(boxes: Tensor) -> Prompts:
        """Boxes [B, 4] (x0, y0, x1, y1) by their corners."""
        labels = torch.tensor([2, 3], dtype=torch.int32).expand(len(boxes), 2)
        return Prompts(boxes.view(-1, 2, 2), labels)

    @staticmethod
    def none(count: int) -> Prompts:
        """The empty prompt that propagation uses: one padding point."""
        return Prompts(torch.zeros(count, 1, 2), torch.full((count, 1), -1, dtype=torch.int32))


@dataclass(frozen=True)
class Decoded:
    """What the mask decoder says of B objects, before a missing one is blanked."""

    logits: Tensor
    """[B, 64, 64] mask logits."""
    iou: Tensor
    """[B] IoU that the decoder expects of its mask."""
    score: Tensor
    """[B] logit that the object is in the image."""
    token: Tensor
    """[B, C] the mask token, of which the object pointer is made."""
    image_tokens: Tensor
    """[B, L, C] the image as the decoder's transformer leaves it."""


@dataclass(frozen=True)
class Memory:
    """What is kept of B objects in one frame."""

    spatial: Tensor
    """[L, B, D]"""
    position: Tensor
    """[L, B, D]"""
    pointer: Tensor
    """[B, C]"""


def encode_images(model: Sam2VideoModel, pixels: Tensor) -> Features:
    """Features of normalised images [N, 3, 256, 256]."""
    encoded = model.vision_encoder(pixels)
    fine, middle, top = encoded.fpn_hidden_states
    return Features(
        fine=fine,
        high=model.mask_decoder.conv_s0(fine),
        middle=model.mask_decoder.conv_s1(middle),
        top=top,
        position=encoded.fpn_position_encoding[-1][:1].flatten(2).permute(2, 0, 1),
    )


def decode(
    model: Sam2VideoModel,
    features: Features,
    top: Tensor,
    prompts: Prompts,
    masks: Tensor | None = None,
) -> Decoded:
    """Masks out of B objects' features; `top` [B, C, 16, 16] stands for `features.top`.

    `masks` [B, 1, 64, 64] are given besides the prompts, shrunk as the model shrinks them.
    """
    count = len(top)
    sparse, dense = model.prompt_encoder(
        prompts.points[:, None], prompts.labels[:, None], None, masks
    )
    grid = model.get_image_wide_positional_embeddings().expand(count, -1, -1, -1)
    seen: list[Tensor] = []
    hook = model.mask_decoder.transformer.register_forward_hook(
        lambda module, inputs, outputs: seen.append(outputs[1])
    )
    try:
        masks, iou, tokens, score = model.mask_decoder(
            image_embeddings=top,
            image_positional_embeddings=grid,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            high_resolution_features=[features.high, features.middle],
        )
    finally:
        hook.remove()
    return Decoded(
        logits=masks[:, 0, 0].float(),
        iou=iou[:, 0, 0].float(),
        score=score[:, 0, 0].float(),
        token=tokens[:, 0, 0],
        image_tokens=seen[0][:, 0],
    )


def prompt(model: Sam2VideoModel, features: Features, prompts: Prompts) -> Decoded:
    """Masks of B objects that prompts point out, in images without memory."""
    return decode(
        model, features, features.top + model.no_memory_embedding.view(1, -1, 1, 1), prompts
    )


def adopt(model: Sam2VideoModel, features: Features, masks: Tensor) -> Decoded:
    """What the decoder makes of B given masks [B, 256, 256], 1 on the object and 0 elsewhere.

    Its token says what the object is (SAM 2's `_use_mask_as_output`). What counts as the mask is
    the given one, see `as_given`.
    """
    shrunk = model.mask_downsample(masks[:, None])
    return decode(model, features, features.top, Prompts.none(len(masks)), shrunk)


def as_given(decoded: Decoded, masks: Tensor) -> Decoded:
    """The same with the given masks [B, 256, 256] for the decoder's own."""
    logits = F.interpolate(
        masks[:, None] * 20 - 10, decoded.logits.shape[-2:], mode="bilinear", antialias=True
    )
    return replace(decoded, logits=logits[:, 0], score=torch.full_like(decoded.score, 10.0))


def remember(
    model: Sam2VideoModel, features: Features, decoded: Decoded, present: Tensor, prompted: bool
) -> Memory:
    """Memory of B objects in a frame.

    `present` [B] bool says which objects count as being there (the session: score > 0); the
    others' masks are blanked, and the no-object embedding and pointer stand for them. The mask
    of a prompted frame is made binary.
    """
    logits = torch.where(present[:, None, None], decoded.logits, NO_OBJ_SCORE)
    logits = F.interpolate(
        logits[:, None], (model.image_size, model.image_size), mode="bilinear", align_corners=False
    )
    mask = (logits > 0).to(logits.dtype) if prompted else torch.sigmoid(logits)
    mask = mask * model.config.sigmoid_scale_for_mem_enc + model.config.sigmoid_bias_for_mem_enc
    spatial, position = model.memory_encoder(features.top, mask)
    absent = (~present).to(spatial.dtype)
    spatial = (
        spatial
        + absent[:, None, None, None]
        * (model.occlusion_spatial_embedding_parameter[..., None, None])
    )
    pointer = model.object_pointer_proj(decoded.token)
    pointer = torch.where(present[:, None], pointer, model.no_object_pointer.to(pointer.dtype))
    return Memory(
        # The session keeps memories in bfloat16, whatever the model computes in.
        spatial=spatial.to(torch.bfloat16).float().flatten(2).permute(2, 0, 1),
        position=position.float().flatten(2).permute(2, 0, 1),
        pointer=pointer.float(),
    )


def recall(
    model: Sam2VideoModel,
    features: Features,
    prompted: list[tuple[int, Memory]],
    propagated: list[tuple[int, Memory]],
) -> Tensor:
    """Let the top level [B, C, 16, 16] attend to memory.

    Both lists hold (age in frames, memory), oldest first; age 1 is the frame before this one.
    All prompted frames are attended to; of the propagated ones the newest `num_maskmem` - 1,
    and the pointers of the newest `max_object_pointers_in_encoder` - 1.
    """
    temporal = model.memory_temporal_positional_encoding
    recent = [(age, memory) for age, memory in propagated if age < model.num_maskmem]
    frames = [memory for _, memory in prompted] + [memory for _, memory in recent]
    # Prompted frames share the last slot, however old they are.
    slots = [-1] * len(prompted) + [age - 1 for age, _ in recent]
    spatial = [memory.spatial for memory in frames]
    position = [
        memory.position + temporal[slot] for slot, memory in zip(slots, frames, strict=True)
    ]
    pointers, pointer_position = _pointers(model, prompted, propagated)
    count = len(features.top)
    attended = model.memory_attention(
        current_vision_features=features.top.flatten(2).permute(2, 0, 1),
        current_vision_position_embeddings=features.position,
        memory=torch.cat([*spatial, pointers]),
        memory_posision_embeddings=torch.cat([*position, pointer_position]),
        num_object_pointer_tokens=len(pointers),
    )
    return attended.view(count, -1, features.top.shape[1]).transpose(1, 2).view_as(features.top)


def _pointers(
    model: Sam2VideoModel,
    prompted: list[tuple[int, Memory]],
    propagated: list[tuple[int, Memory]],
) -> tuple[Tensor, Tensor]:
    """Pointer tokens [2 P, B, D] and their positions: each pointer is cut into C / D tokens."""
    window = model.config.max_object_pointers_in_encoder
    used = prompted + [pair for pair in reversed(propagated) if pair[0] < window]
    pointers = torch.stack([memory.pointer for _, memory in used])
    count, objects, channels = pointers.shape
    splits = channels // model.mem_dim
    tokens = pointers.view(count, objects, splits, model.mem_dim).transpose(1, 2).flatten(0, 1)
    ages = torch.tensor([float(age) for age, _ in used], device=pointers.device) / (window - 1)
    position = model.temporal_positional_encoding_projection_layer(
        get_1d_sine_pe(ages, dim=channels)
    ).float()
    position = position[:, None].expand(-1, objects, -1).repeat_interleave(splits, dim=0)
    return tokens, position
