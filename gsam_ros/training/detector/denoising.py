"""Contrastive denoising: true boxes and phrases, noised, as further queries of the decoder.

Hungarian matching gives a query another object from step to step while nothing is settled, which
makes DETRs slow to learn. A query that starts from a noised true box needs no matching. This is
DINO's form of it (Zhang et al., arXiv 2203.03605, sec. 3.3, after DN-DETR, Li et al., CVPR 2022):
each object has a positive query, whose box is moved a little and which has to mend it, and a
negative one, whose box is moved further and which has to answer that nothing is there. In place of
DINO's class labels the queries carry a phrase of the prompt, and some carry a wrong one.

All pairs of an image make a group, and there are several groups with other noise. This file draws
the queries, in plain data; `denoising_forward` takes them through the model.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from gsam_ros.training.detector.matching import Targets, to_corners

_LONGEST_NOISE = 0.5  # twice as much may move a side, and it must not pass the box's middle


@dataclass(frozen=True)
class NoiseSettings:
    """How much noise, and how many queries.

    Attributes:
        queries: about how many there are, in groups; one group at least.
        box_noise: share of half the box's width (height) by which the left and right (upper and
            lower) sides of a positive query's box move at most. Those of a negative one move by
            once to twice as much. Above 0, up to 0.5: a box of which both sides moved inwards must
            not turn inside out.
        phrase_noise: share of the queries that carry a wrong phrase of the same prompt.

    Raises:
        ValueError: a value is outside its range.
    """

    queries: int = 100
    box_noise: float = 0.4
    phrase_noise: float = 0.25

    def __post_init__(self) -> None:
        if self.queries < 1:
            raise ValueError(f"{self.queries} denoising queries are none")
        if not 0 < self.box_noise <= _LONGEST_NOISE:
            raise ValueError(f"box noise {self.box_noise} is not in (0, {_LONGEST_NOISE}]")
        if not 0 <= self.phrase_noise <= 1:
            raise ValueError(f"phrase noise {self.phrase_noise} is not in [0, 1]")


@dataclass(frozen=True)
class DenoisingQueries:
    """D queries of each of B images: G groups of N positives and N negatives.

    N is the most objects that an image of the batch has; images with fewer have queries that are
    not real, which nothing attends to and nothing is learnt from.

    Attributes:
        boxes: float32 [B, D, 4], noised, (cx, cy, w, h) as fractions of the image.
        phrases: int64 [B, D], the phrase of the image's prompt that each carries.
        real: bool [B, D].
        positive: bool [D].
        object_index: int64 [D], which object of its image each was made from.
        group: int64 [D].
    """

    boxes: Tensor
    phrases: Tensor
    real: Tensor
    positive: Tensor
    object_index: Tensor
    group: Tensor

    def to(self, device: torch.device) -> DenoisingQueries:
        """The same on another device."""
        return DenoisingQueries(*(getattr(self, entry.name).to(device) for entry in fields(self)))

    def matches(self) -> list[tuple[Tensor, Tensor]]:
        """B pairs of (query, the object that it has to find): known, so nothing is matched."""
        chosen = [(self.positive & real).nonzero()[:, 0] for real in self.real]
        return [(queries, self.object_index[queries]) for queries in chosen]


def draw_queries(
    targets: Targets, settings: NoiseSettings, generator: torch.Generator
) -> DenoisingQueries | None:
    """Noised queries for a batch on the CPU; None where no image has an object."""
    most = max((len(boxes) for boxes in targets.boxes), default=0)
    if most == 0:
        return None
    groups = max(settings.queries // (2 * most), 1)
    pattern = torch.arange(groups * 2 * most)
    object_index, half = pattern % most, pattern // most
    positive = half % 2 == 0
    boxes, phrases, real = [], [], []
    for image, true_boxes in enumerate(targets.boxes):
        there = object_index < len(true_boxes)
        known = torch.full((len(pattern), 4), 0.5)
        known[there] = true_boxes[object_index[there]]
        noised = noise_boxes(known, positive, settings.box_noise, generator)
        boxes.append(torch.where(there[:, None], noised, known))
        named = torch.zeros(len(pattern), targets.phrase_tokens.shape[1], dtype=torch.bool)
        named[there] = targets.phrases[image][object_index[there]]
        asked = targets.phrase_tokens[image].any(-1)
        phrases.append(_noise_phrases(named, asked, settings.phrase_noise, generator))
        real.append(there)
    return DenoisingQueries(
        torch.stack(boxes),
        torch.stack(phrases),
        torch.stack(real),
        positive,
        object_index,
        half // 2,
    )


def noise_boxes(
    boxes: Tensor, positive: Tensor, scale: float, generator: torch.Generator
) -> Tensor:
    """Move every side of boxes [..., 4] (cx, cy, w, h) on its own; `positive`: bool [...].

    A side moves by up to `scale` times half the box's extent, and of a negative box by `scale` to
    twice that. A positive one ends at the image's border; a negative one that would cross it goes
    inwards, since cut at the border it could come out as the true box.
    """
    corners = to_corners(boxes)
    half = (boxes[..., 2:] / 2).repeat_interleave(2, -1).unflatten(-1, (2, 2)).transpose(-1, -2)
    half = half.flatten(-2)  # (w, h, w, h) / 2
    amount = torch.rand(boxes.shape, generator=generator)
    sign = torch.randint(0, 2, boxes.shape, generator=generator) * 2.0 - 1.0
    shift = (amount + (~positive)[..., None]) * scale * half
    moved = corners + sign * shift
    crossing = ((moved < 0) | (moved > 1)) & ~positive[..., None]
    inwards = torch.tensor([1.0, 1.0, -1.0, -1.0])
    moved = torch.where(crossing, corners + inwards * shift, moved).clamp(0, 1)
    low, high = moved[..., :2], moved[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def _noise_phrases(
    named: Tensor, asked: Tensor, share: float, generator: torch.Generator
) -> Tensor:
    """A phrase [D] for each query: one that names its object, or a wrong one in `share` of them.

    named: bool [D, P], the phrases that name each query's object. asked: bool [P], those that
    there are. Where all name it, none is wrong; where none does (no real query), it is any.
    """
    wrong = torch.rand(len(named), generator=generator) < share
    choice = torch.where(wrong[:, None], ~named & asked, named)
    choice = torch.where(choice.any(-1, keepdim=True), choice, named)
    lottery = torch.rand(named.shape, generator=generator) + choice
    return lottery.argmax(-1)


def attention_mask(queries: DenoisingQueries, matching: int) -> Tensor:
    """Bool [B, Q + D, Q + D], row may look at column: `matching` queries first, then these.

    Matching queries see none of these, which know the truth; a group sees no other, but the
    matching queries, as in the authors' code. Queries that are not real are seen by none but
    themselves.
    """
    count = len(queries.group)
    same = queries.group[:, None] == queries.group[None]
    own = torch.eye(count, dtype=torch.bool, device=same.device)
    inside = (same & queries.real[:, None]) | own
    batch = len(inside)
    allowed = torch.zeros(
        batch, matching + count, matching + count, dtype=torch.bool, device=same.device
    )
    allowed[:, :, :matching] = True
    allowed[:, matching:, matching:] = inside
    return allowed
