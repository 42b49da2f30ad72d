"""One training step's loss, for pictures and for clips."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import Sam2VideoModel

from gsam_ros.training.segmenter_data import Clips, Stills, normalise
from gsam_ros.training.segmenter_forward import (
    Decoded,
    Memory,
    Prompts,
    decode,
    encode_images,
    prompt,
    recall,
    remember,
)
from gsam_ros.training.segmenter_loss import Heads, decoded_loss, iou, near_box, score_loss

SCORE_WEIGHT = 1.0
STILL_SCORE_WEIGHT = 0.1
"""In pictures every box holds an object: there is nothing to learn but a habit."""
TOKEN_WEIGHT = 0.5
PROMPT_AGAIN = 0.3
MAX_AGE = 200
"""Frames that a clip's first frame may pretend to lie back."""


def still_loss(model: Sam2VideoModel, heads: Heads, batch: Stills) -> tuple[Tensor, float]:
    """Loss of a batch of pictures, and its mean IoU."""
    features = encode_images(model, normalise(batch.pixels))
    decoded = prompt(model, features[batch.image], batch.prompts)
    target, near = batch.masks.float() / 255, near_box(batch.boxes)
    loss = decoded_loss(decoded, target, near).mean()
    tokens = heads.token_loss("decoder", decoded.image_tokens, target, near, batch.boxes)
    present = torch.ones(len(target), dtype=torch.bool)
    loss = loss + TOKEN_WEIGHT * tokens.mean()
    loss = loss + STILL_SCORE_WEIGHT * score_loss(decoded.score, present).mean()
    loss = loss + heads.image_loss(features, batch.anything.float())
    return loss, float(iou(decoded.logits.detach(), target).mean())


def clip_loss(
    model: Sam2VideoModel,
    heads: Heads,
    batch: Clips,
    truth_share: float,
    generator: torch.Generator,
) -> tuple[Tensor, float]:
    """Loss of a batch of clips, and the mean IoU of its propagated frames.

    With probability `truth_share` the truth, else the model's score, decides whether an object
    counts as present for memory. In `PROMPT_AGAIN` of the batches a later frame in which all
    objects are to be seen is prompted too, as a tracker does with a mask that drifts. In half of
    them the first frame pretends to be up to `MAX_AGE` frames older than it is, as it will be in
    a run of minutes.
    """
    frames, clips = batch.pixels.shape[:2]
    features = encode_images(model, normalise(batch.pixels.flatten(0, 1)))
    born = -_pretended_age(generator)
    again = _frame_to_prompt_again(batch, generator)
    prompted: list[tuple[int, Memory]] = []
    propagated: list[tuple[int, Memory]] = []
    total = torch.zeros(())
    ious: list[Tensor] = []
    for t in range(frames):
        here = features[batch.clip + t * clips]
        present, boxes = batch.present[t], batch.boxes[t]
        target, near = batch.masks[t].float() / 255, near_box(boxes)
        if t == 0:
            decoded = prompt(model, here, batch.prompts)
        elif t == again:
            decoded = prompt(model, here, Prompts.of_boxes(_jitter(boxes, generator)))
        else:
            top = recall(model, here, _aged(prompted, t), _aged(propagated, t))
            decoded = decode(model, here, top, Prompts.none(len(top)))
            tokens = heads.token_loss("memory", top.flatten(2).mT, target, near, boxes)
            total = total + TOKEN_WEIGHT * _mean_where(present, tokens)
            ious.append(iou(decoded.logits.detach(), target)[present])
        total = total + _frame_loss(heads, decoded, target, near, boxes, present)
        by_truth = torch.rand(len(present), generator=generator) < truth_share
        counts = torch.where(by_truth, present, decoded.score.detach() > 0)
        if t in (0, again):
            memory = remember(model, here, decoded, counts, prompted=True)
            prompted.append((t if prompted else born, memory))
        elif t + 1 < frames:
            propagated.append((t, remember(model, here, decoded, counts, prompted=False)))
    return total / frames, float(torch.cat(ious).mean())


def _aged(memories: list[tuple[int, Memory]], now: int) -> list[tuple[int, Memory]]:
    return [(now - born, memory) for born, memory in memories]


def _frame_to_prompt_again(batch: Clips, generator: torch.Generator) -> int | None:
    whole = [t for t in range(2, len(batch.present) - 1) if bool(batch.present[t].all())]
    draw = torch.rand(2, generator=generator)
    if not whole or draw[0] > PROMPT_AGAIN:
        return None
    return whole[int(draw[1] * len(whole))]


def _jitter(boxes: Tensor, generator: torch.Generator) -> Tensor:
    """Boxes [B, 4] with their sides moved by 3 % of the box (standard deviation)."""
    side = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + 0.03 * side * torch.randn(boxes.shape, generator=generator)


def _frame_loss(
    heads: Heads, decoded: Decoded, target: Tensor, near: Tensor, boxes: Tensor, present: Tensor
) -> Tensor:
    tokens = heads.token_loss("decoder", decoded.image_tokens, target, near, boxes)
    masks = decoded_loss(decoded, target, near) + TOKEN_WEIGHT * tokens
    score = score_loss(decoded.score, present).mean()
    return _mean_where(present, masks) + SCORE_WEIGHT * score


def _mean_where(present: Tensor, loss: Tensor) -> Tensor:
    """Mean over all objects, with 0 for those that are not there to be outlined."""
    return torch.where(present, loss, 0.0).mean()


def _pretended_age(generator: torch.Generator) -> int:
    draw = torch.rand(2, generator=generator)
    return int(MAX_AGE ** float(draw[1])) if draw[0] < 0.5 else 0
