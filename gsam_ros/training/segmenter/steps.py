"""One training step's loss, for pictures and for clips."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Sam2VideoModel

from gsam_ros.training.segmenter.clips import Clips
from gsam_ros.training.segmenter.forward import (
    Decoded,
    Features,
    Memory,
    Prompts,
    adopt,
    as_given,
    decode,
    encode_images,
    prompt,
    recall,
    remember,
)
from gsam_ros.training.segmenter.loss import Heads, decoded_loss, iou, near_box, score_loss
from gsam_ros.training.segmenter.model import IMAGE_SIZE
from gsam_ros.training.segmenter.pixels import normalise
from gsam_ros.training.segmenter.stills import Stills

SCORE_WEIGHT = 1.0
STILL_SCORE_WEIGHT = 0.1
"""In pictures every box holds an object: there is nothing to learn but a habit."""
TOKEN_WEIGHT = 0.5
PROMPT_AGAIN = 0.3
MASKS_GIVEN = 0.3
"""Share of the batches of clips whose objects are pointed out by their masks (SAM 2: half)."""
MAX_AGE = 200
"""Frames that a clip's first frame may pretend to lie back."""


def still_loss(model: Sam2VideoModel, heads: Heads | None, batch: Stills) -> tuple[Tensor, float]:
    """Loss of a batch of pictures, and its mean IoU."""
    features = encode_images(model, normalise(batch.pixels))
    decoded = prompt(model, features[batch.image], batch.prompts)
    target, near = batch.masks.float() / 255, near_box(batch.boxes)
    loss = decoded_loss(decoded, target, near).mean()
    present = torch.ones(len(target), dtype=torch.bool)
    loss = loss + STILL_SCORE_WEIGHT * score_loss(decoded.score, present).mean()
    if heads is not None:
        tokens = heads.token_loss("decoder", decoded.image_tokens, target, near, batch.boxes)
        loss = loss + TOKEN_WEIGHT * tokens.mean()
        if len(batch.told):
            loss = loss + heads.image_loss(features.fine[batch.told], batch.anything.float())
    return loss, float(iou(decoded.logits.detach(), target).mean())


def clip_loss(
    model: Sam2VideoModel,
    heads: Heads | None,
    batch: Clips,
    truth_share: float,
    generator: torch.Generator,
) -> tuple[Tensor, float]:
    """Loss of a batch of clips, and the mean IoU of its propagated frames.

    With probability `truth_share` the truth, else the model's score, decides whether an object
    counts as present for memory. In `PROMPT_AGAIN` of the batches a later frame in which all
    objects are to be seen is prompted too, as a tracker does with a mask that drifts. In half of
    them the first frame pretends to be up to `MAX_AGE` frames older than it is, as it will be in
    a run of minutes. In `MASKS_GIVEN` of them objects are given by their masks in the first frame.
    Frames before `batch.untaught` add nothing to the loss but what is remembered of them.
    Without `heads` inner layers are not taught directly.
    """
    frames = len(batch.pixels)
    born = -_pretended_age(generator)
    again = _frame_to_prompt_again(batch, generator)
    given = _given_masks(batch, generator)
    features = _ClipFeatures(model, batch)
    prompted: list[tuple[int, Memory]] = []
    propagated: list[tuple[int, Memory]] = []
    total = torch.zeros(())
    ious: list[Tensor] = []
    for t in range(frames):
        taught = t >= batch.untaught
        if t == batch.untaught:
            # Weights that autocast has turned to bfloat16 without gradients would stay without.
            torch.clear_autocast_cache()
        with torch.set_grad_enabled(taught):
            here = features.of(t)
            truth = _FrameTruth.of(batch, t)
            top = None
            if t == 0 and given is not None:
                decoded = adopt(model, here, given)
            elif t == 0:
                decoded = prompt(model, here, batch.prompts)
            elif t == again:
                boxes = _jitter(truth.boxes, generator)
                decoded = prompt(model, here, Prompts.of_boxes(boxes))
            else:
                top = recall(model, here, _aged(prompted, t), _aged(propagated, t))
                decoded = decode(model, here, top, Prompts.none(len(top)))
                ious.append(iou(decoded.logits.detach(), truth.masks)[truth.present])
            if taught:
                total = total + _frame_loss(heads, decoded, top, truth)
                if batch.boxed and torch.rand(1, generator=generator) < batch.boxed:
                    total = total + _boxed_loss(model, features, t, truth, generator)
            if t == 0 and given is not None:
                decoded = as_given(decoded, given)
            by_truth = torch.rand(len(truth.present), generator=generator) < truth_share
            counts = torch.where(by_truth, truth.present, decoded.score.detach() > 0)
            if t in (0, again):
                memory = remember(model, here, decoded, counts, prompted=True)
                prompted.append((t if prompted else born, memory))
            elif t + 1 < frames:
                propagated.append((t, remember(model, here, decoded, counts, prompted=False)))
    return total / (frames - batch.untaught), float(torch.cat(ious).mean())


class _ClipFeatures:
    """Features of all frames of a batch of clips, those of the untaught ones without gradients."""

    def __init__(self, model: Sam2VideoModel, batch: Clips) -> None:
        self._clips, self._clip, self._untaught = batch.pixels.shape[1], batch.clip, batch.untaught
        with torch.no_grad():
            first = batch.pixels[: batch.untaught].flatten(0, 1)
            self._first = encode_images(model, normalise(first)) if len(first) else None
        torch.clear_autocast_cache()
        self._rest = encode_images(model, normalise(batch.pixels[batch.untaught :].flatten(0, 1)))

    def of(self, t: int, chosen: Tensor | None = None) -> Features:
        """Features of frame t for every object, or for the `chosen` [B] (bool) of them."""
        clip = self._clip if chosen is None else self._clip[chosen]
        if t < self._untaught:
            assert self._first is not None
            return self._first[clip + t * self._clips]
        return self._rest[clip + (t - self._untaught) * self._clips]


@dataclass(frozen=True)
class _FrameTruth:
    """What there is to know of B objects in one frame."""

    masks: Tensor
    """[B, 128, 128] shares of covered pixels."""
    near: Tensor
    """[B, 128, 128] where is near the object."""
    boxes: Tensor
    """[B, 4]"""
    present: Tensor
    """bool [B]"""

    @staticmethod
    def of(batch: Clips, t: int) -> _FrameTruth:
        """That of frame t."""
        boxes = batch.boxes[t]
        return _FrameTruth(batch.masks[t].float() / 255, near_box(boxes), boxes, batch.present[t])


def _boxed_loss(
    model: Sam2VideoModel,
    features: _ClipFeatures,
    t: int,
    truth: _FrameTruth,
    generator: torch.Generator,
) -> Tensor:
    """Loss of masks out of boxes in frame t, where objects are hidden in part and cross others."""
    there = truth.present
    if not there.any():
        return torch.zeros(())
    boxes = _jitter(truth.boxes[there], generator)
    decoded = prompt(model, features.of(t, there), Prompts.of_boxes(boxes))
    loss = decoded_loss(decoded, truth.masks[there], truth.near[there])
    return loss.sum() / len(there)


def _aged(memories: list[tuple[int, Memory]], now: int) -> list[tuple[int, Memory]]:
    return [(now - born, memory) for born, memory in memories]


def _frame_to_prompt_again(batch: Clips, generator: torch.Generator) -> int | None:
    whole = [t for t in range(2, len(batch.present) - 1) if bool(batch.present[t].all())]
    draw = torch.rand(2, generator=generator)
    if not whole or draw[0] > PROMPT_AGAIN:
        return None
    return whole[int(draw[1] * len(whole))]


def _given_masks(batch: Clips, generator: torch.Generator) -> Tensor | None:
    """[B, 256, 256] masks of the first frame, 0 or 1, if this batch is to be told by them."""
    if torch.rand(1, generator=generator) > MASKS_GIVEN:
        return None
    first, side = batch.masks[0].float(), IMAGE_SIZE
    whole = F.interpolate(first[:, None], (side, side), mode="bilinear", align_corners=False)
    return (whole[:, 0] > 127).float()


def _jitter(boxes: Tensor, generator: torch.Generator) -> Tensor:
    """Boxes [B, 4] with their sides moved by 3 % of the box (standard deviation)."""
    side = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    return boxes + 0.03 * side * torch.randn(boxes.shape, generator=generator)


def _frame_loss(
    heads: Heads | None, decoded: Decoded, top: Tensor | None, truth: _FrameTruth
) -> Tensor:
    """Loss of a frame; `top` [B, C, 16, 16] is what memory made of it, None where prompted."""
    target, near = truth.masks, truth.near
    masks = decoded_loss(decoded, target, near)
    if heads is not None:
        tokens = heads.token_loss("decoder", decoded.image_tokens, target, near, truth.boxes)
        masks = masks + TOKEN_WEIGHT * tokens
        if top is not None:
            recalled = top.flatten(2).mT
            tokens = heads.token_loss("memory", recalled, target, near, truth.boxes)
            masks = masks + TOKEN_WEIGHT * tokens
    score = score_loss(decoded.score, truth.present).mean()
    return _mean_where(truth.present, masks) + SCORE_WEIGHT * score


def _mean_where(present: Tensor, loss: Tensor) -> Tensor:
    """Mean over all objects, with 0 for those that are not there to be outlined."""
    return torch.where(present, loss, 0.0).mean()


def _pretended_age(generator: torch.Generator) -> int:
    draw = torch.rand(2, generator=generator)
    return int(MAX_AGE ** float(draw[1])) if draw[0] < 0.5 else 0
