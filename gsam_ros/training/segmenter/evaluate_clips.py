"""Measures of a segmenter's memory, on clips that training never draws."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from tqdm import tqdm
from transformers import Sam2VideoModel

from gsam_ros.training.segmenter.clips import draw_clip_to_follow
from gsam_ros.training.segmenter.follow import follow, masks_of_boxes, overlap
from gsam_ros.training.segmenter.model import IMAGE_SIZE
from gsam_ros.training.segmenter.stills import MIN_PIXELS
from gsam_ros.world.clips import EVENTS, NAMELESS_SHARE, Clip, draw_clip

SEED = 900_000_001
"""Apart from the seeds of training: `SEED` stands alone, theirs are (seed, kind, number)."""
FALSE_ABSENCE = 0.03
HIDDEN, SETTLED = 10, 3
"""Frames that `return_figures` hides its object for, and frames after its return that it waits."""


@torch.no_grad()
def clip_figures(
    model: Sam2VideoModel,
    count: int = 40,
    frames: int = 16,
    objects: int = 3,
    seed: int = SEED,
    events: float = EVENTS,
    nameless: float = NAMELESS_SHARE,
    show: bool = False,
) -> dict[str, float]:
    """How masks hold over `frames` frames of memory after one box in the first.

    `memory_iou`: mean over frames 1 on in which the object is to be seen (a wrongly missing mask
    counts 0); `memory_iou_last` the last frame alone; `after_return` frames after an absence;
    `absence_recall` the share of frames without the object that are told as such and
    `false_absence` the share of frames with it that are told as being without. `memory_j` is
    DAVIS's J (Perazzi et al., CVPR 2016): the mean over all frames 1 on, where an empty mask of
    an absent object counts 1. `boxed_iou` is what true boxes would get in the same frames as
    `memory_iou`, without memory. `presence_auc` and `recall_at_3` are of the score whatever its
    threshold: see `presence_figures`. `show` a progress bar.
    """
    tallies: defaultdict[str, list[float]] = defaultdict(list)
    scores: list[np.ndarray] = []
    presence: list[np.ndarray] = []
    for number in _bar(count, f"clips of {frames} frames", show):
        rng = np.random.default_rng([seed, 1, number])
        clip = draw_clip_to_follow(rng, frames, objects, events, nameless)
        masks, score = follow(model, clip.images, clip.masks[0])
        scores.append(score[1:].ravel())
        presence.append(clip.present[1:].ravel())
        for i in range(clip.masks.shape[1]):
            _tally_object(tallies, masks[:, i], score[:, i] > 0, clip.masks[:, i])
        for t in range(1, frames):
            there = clip.masks[t, clip.present[t]]
            boxed = masks_of_boxes(model, clip.images[t], there)
            tallies["boxed_iou"] += map(overlap, boxed, there)
    figures = {name: float(np.mean(values)) for name, values in tallies.items()}
    return figures | presence_figures(np.concatenate(scores), np.concatenate(presence))


def _tally_object(
    tallies: defaultdict[str, list[float]], masks: np.ndarray, told: np.ndarray, truth: np.ndarray
) -> None:
    """Note one object's T frames: masks [T, h, w], whether they are told [T], and the truth."""
    was_away = False
    for t in range(1, len(truth)):
        if not truth[t].any():
            was_away = True
            tallies["absence_recall"].append(float(not told[t]))
            tallies["memory_j"].append(float(not told[t]))
            continue
        value = overlap(masks[t], truth[t]) if told[t] else 0.0
        tallies["memory_iou"].append(value)
        tallies["memory_j"].append(value)
        tallies["false_absence"].append(float(not told[t]))
        if was_away:
            tallies["after_return"].append(value)
    if truth[-1].any():
        tallies["memory_iou_last"].append(value)


def presence_figures(scores: np.ndarray, present: np.ndarray) -> dict[str, float]:
    """How well scores [N] tell frames with the object (`present` [N] bool) from those without.

    `presence_auc`: area under the ROC curve, the chance that a frame with the object scores above
    one without, ties by half. `recall_at_3`: the share of the frames without it that lie below
    the threshold that 3 % of the frames with it fall under. Nothing where one kind is missing.
    """
    there, away = np.sort(scores[present]), scores[~present]
    if not (len(there) and len(away)):
        return {}
    above = len(there) - np.searchsorted(there, away, "right")
    ties = np.searchsorted(there, away, "right") - np.searchsorted(there, away, "left")
    auc = float((above + 0.5 * ties).mean() / len(there))
    threshold = there[int(FALSE_ABSENCE * len(there))]
    return {"presence_auc": auc, "recall_at_3": float((away < threshold).mean())}


def return_figures(
    model: Sam2VideoModel, count: int = 40, seed: int = SEED, show: bool = False
) -> dict[str, float]:
    """Whether the right object is found again after `HIDDEN` frames or more without a pixel of it.

    A look-alike of the same colour and shape is in every clip, and followed as well. `returned`:
    the share of clips in which, `SETTLED` frames after the first sight of the object, its mask is
    told and overlaps it (IoU) by half or more; `returned_iou`: the mean IoU there; `hidden_recall`:
    the share of the hidden frames that are told as such. `show` a progress bar.
    """
    ious, hidden = [], []
    for number in _bar(count, "clips with a return", show):
        clip, end = draw_return(np.random.default_rng([seed, 2, number]))
        masks, score = follow(model, clip.images, clip.masks[0])
        when = end + SETTLED
        told = score[when, 0] > 0
        ious.append(overlap(masks[when, 0], clip.masks[when, 0]) if told else 0.0)
        hidden.append(float((score[end - HIDDEN : end, 0] <= 0).mean()))
    return {
        "returned": float(np.mean(np.array(ious) >= 0.5)),
        "returned_iou": float(np.mean(ious)),
        "hidden_recall": float(np.mean(hidden)),
    }


def _bar(count: int, what: str, show: bool) -> tqdm:
    return tqdm(range(count), what, leave=False, unit="clip", disable=not show)


def draw_return(rng: np.random.Generator) -> tuple[Clip, int]:
    """A clip whose first object is out of sight for `HIDDEN` frames, and the frame it is back."""
    while True:
        clip = draw_clip(
            rng, 26, IMAGE_SIZE, IMAGE_SIZE, 2, events=0.0, nameless=0.25, hidden=HIDDEN + 2
        )
        seen, area = clip.present[:, 0], clip.masks[:, 0].sum((1, 2))
        back = np.flatnonzero(seen[1:] & ~seen[:-1]) + 1
        for end in back:
            when = end + SETTLED
            away = end >= HIDDEN and not seen[end - HIDDEN : end].any()
            if away and when < len(seen) and area[when] >= 0.5 * area[0] >= 0.5 * MIN_PIXELS:
                return clip, int(end)
