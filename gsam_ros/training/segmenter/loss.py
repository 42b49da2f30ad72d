"""Losses of the demo segmenter, and the heads that exist in training only.

Targets of a mask are shares of covered pixels at 128 x 128 (the truth at 256 x 256, averaged),
twice the resolution that the decoder predicts, so that its edges learn to lie between pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gsam_ros.training.segmenter.forward import Decoded
from gsam_ros.training.segmenter.model import HIDDEN, IMAGE_SIZE

TARGET_SIZE = 128
MARGIN = 0.25
"""How far the region that counts as near an object reaches beyond its box, in box sides."""
ABSENT_WEIGHT = 2.5


def near_box(boxes: Tensor, size: int = TARGET_SIZE) -> Tensor:
    """[B, size, size], 1 inside the enlarged `boxes` [B, 4] (pixels of the 256 x 256 image)."""
    centre = (torch.arange(size, device=boxes.device) + 0.5) * (IMAGE_SIZE / size)
    x0, y0, x1, y1 = boxes[:, :, None].unbind(1)
    grow_x, grow_y = (x1 - x0) * MARGIN + 2, (y1 - y0) * MARGIN + 2
    across = (centre > x0 - grow_x) & (centre < x1 + grow_x)
    down = (centre > y0 - grow_y) & (centre < y1 + grow_y)
    return (down[:, :, None] & across[:, None, :]).float()


def mask_loss(logits: Tensor, target: Tensor, near: Tensor) -> Tensor:
    """Loss [B] of mask logits [B, h, w] against `target` and `near`, both [B, H, W].

    Cross entropy, averaged inside the enlarged box, + 2 x the same averaged outside + dice. Focal
    loss and dice alone collapse to empty masks at this size of model; averaged apart, a small
    object weighs as much as a large one, and so does the wide background.
    """
    logits = _to_size(logits, target.shape[-1])
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    inside = (entropy * near).sum((1, 2)) / near.sum((1, 2)).clamp(min=1)
    outside = (entropy * (1 - near)).sum((1, 2)) / (1 - near).sum((1, 2)).clamp(min=1)
    return inside + 2 * outside + dice_loss(logits, target)


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - Dice's coefficient [B] of soft masks (Milletari et al., "V-Net", 2016, page 6)."""
    mask = logits.sigmoid()
    shared = (mask * target).sum((1, 2))
    return 1 - (2 * shared + 1) / (mask.sum((1, 2)) + target.sum((1, 2)) + 1)


def iou(logits: Tensor, target: Tensor) -> Tensor:
    """Intersection over union [B] of `logits` > 0 and `target` > 0.5; 1 where both are empty."""
    mask, truth = _to_size(logits, target.shape[-1]) > 0, target > 0.5
    union = (mask | truth).sum((1, 2))
    return torch.where(union > 0, (mask & truth).sum((1, 2)) / union.clamp(min=1), 1.0)


def score_loss(score: Tensor, present: Tensor) -> Tensor:
    """Cross entropy [B] of the object score; frames without the object weigh `ABSENT_WEIGHT`."""
    weight = torch.where(present, 1.0, ABSENT_WEIGHT)
    return F.binary_cross_entropy_with_logits(score, present.float(), weight, reduction="none")


def decoded_loss(decoded: Decoded, target: Tensor, near: Tensor) -> Tensor:
    """Loss [B] of what the decoder says of objects that are there: mask and expected IoU."""
    expected = iou(decoded.logits.detach(), target)
    return mask_loss(decoded.logits, target, near) + 0.1 * (decoded.iou - expected).square()


class Heads(nn.Module):
    """Extra outputs that teach inner layers directly and are thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(HIDDEN, 6, 1)
        self.decoder = nn.Linear(HIDDEN, 20)
        self.memory = nn.Linear(HIDDEN, 20)

    def image_loss(self, fine: Tensor, target: Tensor) -> Tensor:
        """Loss of the finest level [N, C, 64, 64] of N images, for any object in them.

        `target` [N, 6, 64, 64]: foreground, boundary, and for pixels of an object the distance to
        the left, top, right and bottom side of its box, as a share of the image's side.
        """
        said = self.fine(fine).float()
        what = F.binary_cross_entropy_with_logits(said[:, :2], target[:, :2])
        inside = (target[:, :1] > 0.5).float()
        return what + 2 * _distance_loss(said[:, 2:], target[:, 2:], inside)

    def token_loss(self, head: str, tokens: Tensor, target: Tensor, near: Tensor, boxes: Tensor):
        """Loss [B] of image tokens [B, 256, C] that should know one object's mask and box.

        Each token of the 16 x 16 grid tells the 4 x 4 pixels of the 64 x 64 mask that it covers
        and its distances to the sides of `boxes` [B, 4].
        """
        said = getattr(self, head)(tokens).float().transpose(1, 2).unflatten(2, (16, 16))
        mask = F.pixel_shuffle(said[:, :16], 4)[:, 0]
        small = F.avg_pool2d(target[:, None], 8)
        inside = (small > 0.3).float()
        distance = (said[:, 16:] - side_distances(boxes, 16)).abs().sum(1, keepdim=True)
        distance = (distance * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3)).clamp(min=1)
        return mask_loss(mask, F.avg_pool2d(target, 2), F.max_pool2d(near, 2)) + 2 * distance


def side_distances(boxes: Tensor, size: int) -> Tensor:
    """Distances [B, 4, size, size] of cells' centres to the sides of `boxes` [B, 4].

    Left, top, right and bottom, as a share of the image's side; negative outside the box.
    """
    centre = (torch.arange(size, device=boxes.device) + 0.5) / size
    x0, y0, x1, y1 = (boxes / IMAGE_SIZE)[:, :, None, None].unbind(1)
    x, y = centre[None, None, :], centre[None, :, None]
    whole = torch.zeros(len(boxes), size, size, device=boxes.device)
    return torch.stack([x - x0 + whole, y - y0 + whole, x1 - x + whole, y1 - y + whole], 1)


def _distance_loss(said: Tensor, target: Tensor, inside: Tensor) -> Tensor:
    error = (said - target).abs().sum(1, keepdim=True)
    return (error * inside).sum() / inside.sum().clamp(min=1)


def _to_size(logits: Tensor, size: int) -> Tensor:
    if logits.shape[-1] == size:
        return logits
    return F.interpolate(logits[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]
