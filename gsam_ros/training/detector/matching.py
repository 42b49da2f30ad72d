"""Which prediction answers for which object: one-to-one for queries, one-to-many for tokens.

Boxes are (centre x, centre y, width, height) as fractions of the image, float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

CLASS_COST, L1_COST, GIOU_COST = 1.0, 5.0, 2.0
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0
TOKENS_PER_OBJECT = 4


@dataclass
class Targets:
    """What a batch of B images shows, in the words of each image's own prompt.

    boxes: B tensors [N_b, 4]; only objects that at least one phrase names.
    phrases: B bool tensors [N_b, P], True where the phrase names the object.
    phrase_tokens: bool [B, P, T], the tokens of each phrase; rows past an image's last phrase
        are empty.
    text_mask: bool [B, T], False at padding.
    """

    boxes: list[Tensor]
    phrases: list[Tensor]
    phrase_tokens: Tensor
    text_mask: Tensor

    def tokens_of(self, image: int) -> Tensor:
        """Bool [N_b, T]: the tokens that should light up for each object of one image."""
        named = self.phrases[image].float() @ self.phrase_tokens[image].float()
        return named > 0

    @property
    def count(self) -> int:
        """Number of objects in the batch."""
        return sum(len(boxes) for boxes in self.boxes)


def to_corners(boxes: Tensor) -> Tensor:
    """(centre x, centre y, width, height) to (x0, y0, x1, y1); boxes: [..., 4]."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """GIoU (Rezatofighi et al., CVPR 2019) of broadcastable boxes [..., 4] in corner form."""
    top_left, bottom_right = (
        torch.maximum(a[..., :2], b[..., :2]),
        torch.minimum(a[..., 2:], b[..., 2:]),
    )
    overlap = (bottom_right - top_left).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - overlap
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    return overlap / union.clamp(min=1e-9) - (hull - union) / hull.clamp(min=1e-9)


@torch.no_grad()
def matching_cost(
    logits: Tensor, boxes: Tensor, object_tokens: Tensor, object_boxes: Tensor
) -> Tensor:
    """Cost [Q, N] of letting each of Q predictions answer for each of N objects (DETR, sec. 3.1).

    logits: [Q, T] with -inf at padding. boxes: [Q, 4]. object_tokens: bool [N, T].
    object_boxes: [N, 4]. The class cost is the focal one, averaged over the object's tokens.
    """
    probability = logits.float().sigmoid()
    hit = FOCAL_ALPHA * (1 - probability) ** FOCAL_GAMMA * -(probability + 1e-8).log()
    miss = (1 - FOCAL_ALPHA) * probability**FOCAL_GAMMA * -(1 - probability + 1e-8).log()
    share = object_tokens.float() / object_tokens.sum(-1, keepdim=True).clamp(min=1)
    class_cost = (hit - miss) @ share.T
    boxes = boxes.float()
    l1_cost = torch.cdist(boxes, object_boxes, p=1)
    corners, object_corners = (
        to_corners(boxes),
        to_corners(object_boxes),
    )
    giou = generalised_iou(corners[:, None], object_corners[None])
    return CLASS_COST * class_cost + L1_COST * l1_cost - GIOU_COST * giou


def match_queries(logits: Tensor, boxes: Tensor, targets: Targets) -> list[tuple[Tensor, Tensor]]:
    """Hungarian matching, image by image: B pairs of (prediction index, object index).

    logits: [B, Q, T]. boxes: [B, Q, 4].
    """
    matches = []
    for image, object_boxes in enumerate(targets.boxes):
        cost = matching_cost(logits[image], boxes[image], targets.tokens_of(image), object_boxes)
        # What is no number matches anything: the loss, which is none either then, gets the blame.
        rows, columns = linear_sum_assignment(cost.nan_to_num(1e9, 1e9, -1e9).numpy(force=True))
        matches.append((torch.as_tensor(rows), torch.as_tensor(columns)))
    return matches


def match_tokens(
    logits: Tensor, boxes: Tensor, centres: Tensor, targets: Targets
) -> list[tuple[Tensor, Tensor]]:
    """One-to-many matching of encoder tokens: the cheapest `TOKENS_PER_OBJECT` inside each object.

    Every token that gets an object is another example for the features, so they learn much faster
    than from one query per object alone; the idea is that of OTA (Ge et al., CVPR 2021) and of
    H-DETR (Jia et al., CVPR 2023).

    logits: [B, S, T]. boxes: [B, S, 4]. centres: [S, 2], where each token looks, as fractions of
    the image. A token that two objects want goes to the cheaper one.
    """
    matches = []
    for image, object_boxes in enumerate(targets.boxes):
        if len(object_boxes) == 0:
            matches.append((torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long)))
            continue
        cost = matching_cost(logits[image], boxes[image], targets.tokens_of(image), object_boxes)
        offset = (centres[:, None] - object_boxes[None, :, :2]).abs() / object_boxes[None, :, 2:]
        cost = cost + 100.0 * offset.amax(-1).clamp(min=0.5)  # tokens outside only as a last resort
        count = min(TOKENS_PER_OBJECT, len(cost))
        chosen = torch.full_like(cost, torch.inf)
        cheapest = cost.topk(count, dim=0, largest=False)
        chosen.scatter_(0, cheapest.indices, cheapest.values)
        best = chosen.min(dim=1)
        rows = best.values.isfinite().nonzero()[:, 0]
        matches.append((rows, best.indices[rows]))
    return matches
