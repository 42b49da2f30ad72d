"""Grounding DINO's forward pass, cut where it pays (arXiv 2303.05499).

transformers' own forward encodes text and image together on every call. Here the image backbone
runs once per frame and the text encoder once per prompt; what fuses both runs for each group of
phrases. The modules and their order are those of `GroundingDinoModel`, and a test holds the results
against it. What a frame runs has no Python that depends on data: `torch.compile` takes `find` as
one graph.

Places in the image stay in float32 whatever the weights are in: bfloat16 has 8 bits, and a box in
a picture of 1920 pixels would be off by 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from torchvision.ops import box_convert
from transformers import GroundingDinoForObjectDetection

from gsam_ros.detection.text import TextGroup

_SMALLEST = 0.05
"""Side of the boxes that tokens of the finest level propose, in shares of the image."""


@dataclass(frozen=True)
class VisionTokens:
    """Feature maps of a batch of images, all levels in one row of S tokens.

    Attributes:
        tokens: [B, S, d_model].
        positions: [B or 1, S, d_model] sine and level embeddings; as all that follows, of one image
            where they are the same for all.
        valid: [B or 1, S] bool, false on padding.
        shapes: (height, width) of each level.
        valid_ratios: [B or 1, levels, 2] float32 share of each level (x, y) that is image and not
            padding.
        anchors: [B or 1, S, 4] float32 logits of the box (centre, size) that each token proposes,
            infinite where it proposes none: at the border and on padding.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    valid: torch.Tensor
    shapes: list[tuple[int, int]]
    valid_ratios: torch.Tensor
    anchors: torch.Tensor

    def level_starts(self) -> tuple[torch.Tensor, torch.Tensor]:
        """[levels, 2] shapes and [levels] index of each level's first token, on the device."""
        shapes = torch.tensor(self.shapes, device=self.tokens.device)
        sizes = shapes.prod(1)
        return shapes, sizes.cumsum(0) - sizes


def find(
    detector: GroundingDinoForObjectDetection,
    pixels: torch.Tensor,
    pixel_mask: torch.Tensor,
    groups: Sequence[TextGroup],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A frame's forward: all that a batch of images costs, with the text encoded before.

    Args:
        detector: the model.
        pixels: [B, 3, H, W] normalised.
        pixel_mask: [B, H, W] int64, 1 on image and 0 on padding; [1, H, W] where it is the same for
            all images.
        groups: of the prompt's phrases.

    Returns:
        scores [B, N] float32 and phrase [B, N] of N boxes, each box's best, and boxes [B, N, 4]
        float32 xyxy in [0, 1] of the image without its padding; N is the queries of all groups.
    """
    vision = encode_image(detector, pixels, pixel_mask)
    scores, phrases, boxes = [], [], []
    for group in groups:
        logits, group_boxes = ground(detector, vision, group)
        best = (logits.sigmoid() @ group.phrase_of_token).max(-1)
        scores.append(best.values)
        phrases.append(group.phrase_index[best.indices])
        boxes.append(group_boxes)
    corners = box_convert(torch.cat(boxes, 1), "cxcywh", "xyxy")
    return torch.cat(scores, 1), torch.cat(phrases, 1), corners


def encode_image(
    detector: GroundingDinoForObjectDetection, pixels: torch.Tensor, pixel_mask: torch.Tensor
) -> VisionTokens:
    """The image backbone.

    Args:
        detector: the model.
        pixels: [B, 3, H, W] normalised.
        pixel_mask: [B, H, W] int64, 1 on image and 0 on padding; [1, H, W] where it is the same for
            all images.
    """
    model = detector.model
    levels, positions = model.backbone(pixels, pixel_mask)
    maps = [model.input_proj_vision[i](source) for i, (source, _) in enumerate(levels)]
    masks = [mask for _, mask in levels]
    for index in range(len(maps), model.config.num_feature_levels):
        source = levels[-1][0] if index == len(levels) else maps[-1]
        source = model.input_proj_vision[index](source)
        mask = functional.interpolate(pixel_mask[None].float(), size=source.shape[-2:])[0].bool()
        maps.append(source)
        masks.append(mask)
        positions.append(model.backbone.position_embedding(source, mask).to(source.dtype))

    level_positions = [
        position.flatten(2).transpose(1, 2) + model.level_embed[index]
        for index, position in enumerate(positions)
    ]
    return VisionTokens(
        tokens=torch.cat([source.flatten(2).transpose(1, 2) for source in maps], 1),
        positions=torch.cat(level_positions, 1),
        valid=torch.cat([mask.flatten(1) for mask in masks], 1),
        shapes=[(source.shape[-2], source.shape[-1]) for source in maps],
        valid_ratios=torch.stack([model.get_valid_ratio(m, torch.float32) for m in masks], 1),
        anchors=torch.cat([_anchors(mask, level) for level, mask in enumerate(masks)], 1),
    )


def _anchors(mask: torch.Tensor, level: int) -> torch.Tensor:
    """[B, h * w, 4] logits of a box around each pixel of a level (see `VisionTokens.anchors`).

    Args:
        mask: [B, h, w] bool, false on padding.
        level: 0 for the finest.
    """
    batch, height, width = mask.shape
    y, x = torch.meshgrid(
        torch.arange(height, device=mask.device),
        torch.arange(width, device=mask.device),
        indexing="ij",
    )
    used = torch.stack([mask[:, 0].sum(1), mask[:, :, 0].sum(1)], -1)  # width and height
    centre = (torch.stack([x, y], -1) + 0.5) / used[:, None, None]
    box = torch.cat([centre, torch.full_like(centre, _SMALLEST * 2.0**level)], -1)
    inside = ((box > 0.01) & (box < 0.99)).all(-1) & mask
    logits = torch.log(box / (1 - box)).masked_fill(~inside[..., None], float("inf"))
    return logits.view(batch, height * width, 4)


def ground(
    detector: GroundingDinoForObjectDetection, vision: VisionTokens, text: TextGroup
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the phrases of one text group in a batch of images.

    Returns:
        logits [B, queries, T] float32 of each query for each token, and boxes [B, queries, 4]
        float32 as (centre x, centre y, width, height) in [0, 1] of the image without its padding.
    """
    model = detector.model
    batch = len(vision.tokens)
    shapes, starts = vision.level_starts()
    geometry = {
        "spatial_shapes": shapes,
        "spatial_shapes_list": vision.shapes,
        "level_start_index": starts,
        "valid_ratios": vision.valid_ratios,
    }
    token_mask = text.token_mask.expand(batch, -1)
    fused = model.encoder(
        vision_features=vision.tokens,
        vision_attention_mask=~vision.valid,
        vision_position_embedding=vision.positions,
        text_features=text.features.expand(batch, -1, -1),
        text_attention_mask=~token_mask,
        text_position_embedding=None,
        text_self_attention_masks=~text.self_attention.expand(batch, -1, -1),
        text_position_ids=text.position_ids.expand(batch, -1),
        return_dict=True,
        **geometry,
    )
    queries, references = _select_queries(detector, vision, fused, token_mask)
    decoded = model.decoder(
        inputs_embeds=queries,
        vision_encoder_hidden_states=fused.last_hidden_state_vision,
        vision_encoder_attention_mask=vision.valid,
        text_encoder_hidden_states=fused.last_hidden_state_text,
        text_encoder_attention_mask=~token_mask,
        reference_points=references,
        self_attn_mask=None,
        return_dict=True,
        **geometry,
    )
    # Only the last layer's heads count at inference; it refines the layer before it.
    hidden = decoded.intermediate_hidden_states[:, -1]
    if decoded.intermediate_reference_points.shape[1] > 1:
        references = decoded.intermediate_reference_points[:, -2]
    offsets = detector.bbox_embed[-1](hidden)
    boxes = (offsets + torch.special.logit(references, eps=1e-5)).sigmoid()
    return hidden.float() @ fused.last_hidden_state_text.float().mT, boxes


def _select_queries(
    detector: GroundingDinoForObjectDetection,
    vision: VisionTokens,
    fused: torch.nn.Module,
    token_mask: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoder's queries [B, Q, d_model] and reference boxes [B, Q, 4] float32 in [0, 1].

    Two-stage (every published checkpoint): the image tokens that look most like any token of the
    text propose the boxes.
    """
    model = detector.model
    batch = len(vision.tokens)
    learned = None
    if model.config.embedding_init_target or not model.config.two_stage:
        learned = model.query_position_embeddings.weight.expand(batch, -1, -1)
    if not model.config.two_stage:
        return learned, model.reference_points.weight.float().expand(batch, -1, -1).sigmoid()

    silent = vision.anchors.isinf().any(-1, keepdim=True)
    candidates = fused.last_hidden_state_vision.masked_fill(silent, 0)
    candidates = model.enc_output_norm(model.enc_output(candidates))
    likeness = candidates @ fused.last_hidden_state_text.mT
    likeness = likeness.masked_fill(~token_mask[:, None], float("-inf")).amax(-1)
    best = likeness.topk(model.config.num_queries, dim=1).indices[..., None]
    chosen = candidates.gather(1, best.expand(-1, -1, candidates.shape[-1]))
    anchors = vision.anchors.expand(batch, -1, -1).gather(1, best.expand(-1, -1, 4))
    references = (model.encoder_output_bbox_embed(chosen) + anchors).sigmoid()
    return chosen if learned is None else learned, references
