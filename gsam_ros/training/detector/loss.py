"""Training loss of the demo detector.

transformers' own Grounding DINO loss is not used: it is wrong for batches whose prompts hold
different numbers of phrases, and it never trains the head that proposes the queries' first boxes.
This one follows the paper (sec. 3.4: token-wise focal loss, L1 and GIoU after Hungarian matching,
at every decoder layer and at the encoder's output), with two additions that shorten training from
scratch: one-to-many matching at the encoder, and a softmax over phrases for matched queries.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GroundingDinoForObjectDetection
from transformers.models.grounding_dino.modeling_grounding_dino import SPECIAL_TOKENS

from gsam_ros.training.detector.denoising import DenoisingQueries
from gsam_ros.training.detector.denoising_forward import DenoisingContent
from gsam_ros.training.detector.forward import Predictions, predict
from gsam_ros.training.detector.matching import (
    FOCAL_ALPHA,
    FOCAL_GAMMA,
    Targets,
    generalised_iou,
    match_queries,
    match_tokens,
    to_corners,
)

CLASS_WEIGHT, L1_WEIGHT, GIOU_WEIGHT, PHRASE_WEIGHT = 2.0, 5.0, 2.0, 0.5

Matches = list[tuple[Tensor, Tensor]]


def phrase_token_masks(input_ids: Tensor) -> Tensor:
    """Bool [B, P, T]: which tokens belong to which phrase; P is the batch's largest phrase count.

    input_ids: [B, T]. Phrases are what stands between special tokens; an empty one ("a..b") does
    not count.
    """
    separators = torch.tensor([*SPECIAL_TOKENS, 0], device=input_ids.device)
    inside = ~torch.isin(input_ids, separators)
    starts = inside & ~F.pad(inside[:, :-1], (1, 0))
    number = starts.cumsum(1) * inside
    count = int(number.max()) if number.numel() else 0
    return number[:, None, :] == torch.arange(1, count + 1, device=input_ids.device)[None, :, None]


def token_focal_loss(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Sigmoid focal loss (Lin et al., ICCV 2017), summed over all real tokens.

    logits: [B, Q, T]. target: float [B, Q, T]. mask: bool [B, 1 or Q, T], False at padding (where
    logits are -inf) and for predictions that don't count.
    """
    logits = logits.float().masked_fill(~mask, 0.0)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missed = (logits.sigmoid() - target).abs()
    balance = FOCAL_ALPHA * target + (1 - FOCAL_ALPHA) * (1 - target)
    return (balance * missed**FOCAL_GAMMA * entropy * mask).sum()


def phrase_loss(logits: Tensor, named: Tensor, phrase_tokens: Tensor) -> Tensor:
    """Minus log of the softmax share that an object's own phrases get, summed over objects.

    logits: [K, T], the matched queries'. named: bool [K, P], the phrases that name each object.
    phrase_tokens: bool [K, P, T] of each query's image. A phrase's logit is its tokens' mean.
    """
    logits = logits.float().masked_fill(~phrase_tokens.any(1), 0.0)
    size = phrase_tokens.sum(-1)
    phrase_logits = torch.einsum("kt,kpt->kp", logits, phrase_tokens.float()) / size.clamp(min=1)
    phrase_logits = phrase_logits.masked_fill(size == 0, -1e4)
    own = phrase_logits.masked_fill(~named, -1e4)
    return (phrase_logits.logsumexp(-1) - own.logsumexp(-1)).sum()


def detection_terms(logits: Tensor, boxes: Tensor, targets: Targets, matches: Matches) -> Tensor:
    """`detection_sum` per match."""
    count = max(sum(len(queries) for queries, _ in matches), 1)
    return detection_sum(logits, boxes, targets, matches) / count


def detection_sum(
    logits: Tensor,
    boxes: Tensor,
    targets: Targets,
    matches: Matches,
    phrase_weight: float = PHRASE_WEIGHT,
    real: Tensor | None = None,
) -> Tensor:
    """Weighted sum of focal, L1, GIoU and phrase terms of one set of predictions.

    logits: [B, Q, T] with -inf at padding. boxes: [B, Q, 4], (cx, cy, w, h) as fractions.
    real: bool [B, Q], which predictions count; None: all. All matched ones must.
    """
    image = torch.cat([torch.full_like(rows, b) for b, (rows, _) in enumerate(matches)])
    query = torch.cat([rows for rows, _ in matches])
    objects = [columns for _, columns in matches]

    wanted = torch.zeros(logits.shape, device=logits.device)
    tokens = [targets.tokens_of(b)[columns] for b, columns in enumerate(objects)]
    wanted[image, query] = torch.cat(tokens).float()
    mask = (
        targets.text_mask[:, None] if real is None else targets.text_mask[:, None] & real[..., None]
    )
    loss = CLASS_WEIGHT * token_focal_loss(logits, wanted, mask)

    true_boxes = torch.cat([targets.boxes[b][columns] for b, columns in enumerate(objects)])
    found = boxes[image, query].float()
    giou = generalised_iou(to_corners(found), to_corners(true_boxes))
    loss = loss + L1_WEIGHT * (found - true_boxes).abs().sum() + GIOU_WEIGHT * (1 - giou).sum()
    if phrase_weight == 0:
        return loss
    named = torch.cat([targets.phrases[b][columns] for b, columns in enumerate(objects)])
    phrases = phrase_loss(logits[image, query], named, targets.phrase_tokens[image])
    return loss + phrase_weight * phrases


def token_centres(shapes: list[tuple[int, int]]) -> Tensor:
    """Where the encoder's tokens look: [S, 2] of (x, y) as fractions of the image.

    shapes: (height, width) of each feature level.
    """
    levels = []
    for height, width in shapes:
        y = (torch.arange(height) + 0.5) / height
        x = (torch.arange(width) + 0.5) / width
        levels.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2))
    return torch.cat(levels)


def denoising_sums(
    predictions: Predictions,
    queries: DenoisingQueries,
    targets: Targets,
    phrase_weight: float = PHRASE_WEIGHT,
) -> list[Tensor]:
    """Each decoder layer's `detection_sum` over the denoising queries, per group.

    As one group has one positive query for each object, it weighs as much as the matched queries.
    """
    matches = queries.matches()
    groups = int(queries.group[-1]) + 1
    return [
        detection_sum(logits, boxes, targets, matches, phrase_weight, queries.real) / groups
        for logits, boxes in predictions.denoised
    ]


def detection_loss(
    model: GroundingDinoForObjectDetection,
    pixel_values: Tensor,
    input_ids: Tensor,
    targets: Targets,
    level_shapes: list[tuple[int, int]],
    denoising: tuple[DenoisingContent, DenoisingQueries] | None = None,
) -> dict[str, Tensor]:
    """Run the model on a batch and return its loss by part: "encoder", "decoder1" to "decoderL".

    pixel_values: [B, 3, H, W]. input_ids: [B, T]. level_shapes: (height, width) of each feature
    level for this image size. With `denoising` there is a part of that name, over all layers.
    """
    predictions = predict(model, pixel_values, input_ids, targets, denoising=denoising)
    logits, boxes = predictions.tokens
    matches = match_tokens(logits, boxes, token_centres(level_shapes), targets)
    losses = {"encoder": detection_terms(logits, boxes, targets, matches)}
    for layer, (logits, boxes) in enumerate(predictions.layers, start=1):
        matches = match_queries(logits, boxes, targets)
        losses[f"decoder{layer}"] = detection_terms(logits, boxes, targets, matches)
    if denoising:
        sums = denoising_sums(predictions, denoising[1], targets)
        losses["denoising"] = torch.stack(sums).sum() / max(targets.count, 1)
    return losses
