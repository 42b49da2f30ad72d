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

from gsam_ros.training.detector_matching import (
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

    logits: [B, Q, T]. target: float [B, Q, T]. mask: bool [B, T], False at padding (where logits
    are -inf).
    """
    logits = logits.float().masked_fill(~mask[:, None], 0.0)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missed = (logits.sigmoid() - target).abs()
    balance = FOCAL_ALPHA * target + (1 - FOCAL_ALPHA) * (1 - target)
    return (balance * missed**FOCAL_GAMMA * entropy * mask[:, None]).sum()


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
    """Weighted sum of focal, L1, GIoU and phrase terms of one set of predictions, per match.

    logits: [B, Q, T] with -inf at padding. boxes: [B, Q, 4], (cx, cy, w, h) as fractions.
    """
    image = torch.cat([torch.full_like(rows, b) for b, (rows, _) in enumerate(matches)])
    query = torch.cat([rows for rows, _ in matches])
    objects = [columns for _, columns in matches]
    count = max(len(query), 1)

    wanted = torch.zeros(logits.shape, device=logits.device)
    tokens = [targets.tokens_of(b)[columns] for b, columns in enumerate(objects)]
    wanted[image, query] = torch.cat(tokens).float()
    loss = CLASS_WEIGHT * token_focal_loss(logits, wanted, targets.text_mask)

    true_boxes = torch.cat([targets.boxes[b][columns] for b, columns in enumerate(objects)])
    found = boxes[image, query].float()
    giou = generalised_iou(to_corners(found), to_corners(true_boxes))
    loss = loss + L1_WEIGHT * (found - true_boxes).abs().sum() + GIOU_WEIGHT * (1 - giou).sum()

    named = torch.cat([targets.phrases[b][columns] for b, columns in enumerate(objects)])
    phrases = phrase_loss(logits[image, query], named, targets.phrase_tokens[image])
    return (loss + PHRASE_WEIGHT * phrases) / count


def token_logits(vision: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
    """Multiply image and text features: [B, Q, D] and [B, T, D] to [B, Q, T], -inf at padding."""
    return (vision @ text.transpose(-1, -2)).masked_fill(~text_mask[:, None], -torch.inf)


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


def detection_loss(
    model: GroundingDinoForObjectDetection,
    pixel_values: Tensor,
    input_ids: Tensor,
    targets: Targets,
    level_shapes: list[tuple[int, int]],
) -> dict[str, Tensor]:
    """Run the model on a batch and return its loss by part: "encoder", "decoder1" to "decoderL".

    pixel_values: [B, 3, H, W]. input_ids: [B, T]. level_shapes: (height, width) of each feature
    level for this image size.
    """
    text_mask = targets.text_mask
    outputs = model.model(pixel_values, input_ids, attention_mask=text_mask.long())
    losses: dict[str, Tensor] = {}

    logits = outputs.enc_outputs_class[..., : input_ids.shape[1]]
    boxes = outputs.enc_outputs_coord_logits.float().sigmoid()
    matches = match_tokens(logits, boxes, token_centres(level_shapes), targets)
    losses["encoder"] = detection_terms(logits, boxes, targets, matches)

    text = outputs.encoder_last_hidden_state_text
    reference = outputs.init_reference_points
    for layer, hidden in enumerate(outputs.intermediate_hidden_states.unbind(1)):
        logits = token_logits(hidden, text, text_mask)
        anchor = torch.special.logit(reference.float(), eps=1e-5)
        boxes = (model.bbox_embed[layer](hidden).float() + anchor).sigmoid()
        matches = match_queries(logits, boxes, targets)
        losses[f"decoder{layer + 1}"] = detection_terms(logits, boxes, targets, matches)
        reference = outputs.intermediate_reference_points[:, layer]
    return losses
