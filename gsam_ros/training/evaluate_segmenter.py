"""Measure a segmenter of 256 x 256 pixels on pictures and clips that training never draws.

python -m gsam_ros.training.evaluate_segmenter --model FOLDER
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Sam2VideoModel

from gsam_ros.training.segmenter_data import (
    IMAGE_SIZE,
    boxes_around,
    draw_clip_to_follow,
    normalise,
    squeeze,
)
from gsam_ros.training.segmenter_forward import (
    Prompts,
    decode,
    encode_images,
    prompt,
    recall,
    remember,
)
from gsam_ros.training.segmenter_model import load
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import HELD_OUT, SEEN

SEED = 900_000_001
"""Apart from the seeds of training: `SEED` stands alone, theirs are (seed, kind, number)."""


@torch.no_grad()
def still_figures(model: Sam2VideoModel, count: int = 200, seed: int = SEED) -> dict[str, float]:
    """Mean IoU of masks out of true boxes and of points, at the picture's resolution (256 x 192).

    `box_iou_seen` over the pairs of training, `box_iou_held_out` over the others, `point_iou` one
    point at the heart of each object (all pairs), `box_as_mask` what the bare box would get (seen
    pairs).
    """
    names = ("box_iou_seen", "box_iou_held_out", "point_iou", "box_as_mask")
    ious: dict[str, list[float]] = {name: [] for name in names}
    for number in range(count):
        held_out = number % 4 == 3
        rng = np.random.default_rng([seed, number])
        still = draw_still(rng, 192, 256, HELD_OUT if held_out else SEEN)
        if len(still.boxes) == 0:
            continue
        scale = torch.tensor([1, IMAGE_SIZE / 192, 1, IMAGE_SIZE / 192])
        features = encode_images(model, normalise(torch.from_numpy(squeeze(still.image))[None]))
        boxes = torch.from_numpy(still.boxes)
        same = torch.zeros(len(boxes), dtype=torch.long)
        logits = prompt(model, features[same], Prompts.of_boxes(boxes * scale)).logits
        masks = enlarge(logits, 192, 256).numpy()
        points = torch.from_numpy(hearts(still.masks)) * scale[:2]
        pointed = Prompts(points[:, None], torch.ones(len(points), 1, dtype=torch.int32))
        logits = prompt(model, features[same], pointed).logits
        for mask, truth in zip(enlarge(logits, 192, 256).numpy(), still.masks, strict=True):
            ious["point_iou"].append(overlap(mask, truth))
        name = "box_iou_held_out" if held_out else "box_iou_seen"
        for mask, truth, box in zip(masks, still.masks, still.boxes.astype(int), strict=True):
            ious[name].append(overlap(mask, truth))
            if not held_out:
                bare = np.zeros_like(truth)
                bare[box[1] : box[3], box[0] : box[2]] = True
                ious["box_as_mask"].append(overlap(bare, truth))
    return {name: float(np.mean(values)) for name, values in ious.items() if values}


def hearts(masks: np.ndarray) -> np.ndarray:
    """[N, 2] float32 (x, y): the pixel of each mask [N, H, W] that is farthest from its edge."""
    depths = [cv2.distanceTransform(np.pad(m, 1).astype(np.uint8), cv2.DIST_L2, 3) for m in masks]
    places = [np.unravel_index(depth.argmax(), depth.shape) for depth in depths]
    return np.array([(x - 1, y - 1) for y, x in places], np.float32).reshape(-1, 2)


@torch.no_grad()
def clip_figures(
    model: Sam2VideoModel, count: int = 40, frames: int = 16, objects: int = 3, seed: int = SEED
) -> dict[str, float]:
    """How masks hold over `frames` frames of memory after one box in the first.

    `memory_iou`: mean over frames 1 on in which the object is to be seen (a wrongly missing mask
    counts 0); `memory_iou_last` the last frame alone; `after_return` frames after an absence;
    `absence_recall` the share of frames without the object that are told as such and
    `false_absence` the share of frames with it that are told as being without. `memory_j` is
    DAVIS's J (Perazzi et al., CVPR 2016): the mean over all frames 1 on, where an empty mask of
    an absent object counts 1.
    """
    tallies: dict[str, list[float]] = {
        name: []
        for name in (
            "memory_iou",
            "memory_j",
            "memory_iou_last",
            "after_return",
            "absence_recall",
            "false_absence",
        )
    }
    for number in range(count):
        clip = draw_clip_to_follow(np.random.default_rng([seed, 1, number]), frames, objects)
        truth, seen = clip.masks, clip.present
        masks, score = follow(model, clip.images, truth[0])
        told = score > 0
        was_away = np.zeros(truth.shape[1], bool)
        for t in range(1, frames):
            for i in range(truth.shape[1]):
                if not seen[t, i]:
                    tallies["absence_recall"].append(float(not told[t, i]))
                    tallies["memory_j"].append(float(not told[t, i]))
                    was_away[i] = True
                    continue
                value = overlap(masks[t, i], truth[t, i]) if told[t, i] else 0.0
                tallies["memory_iou"].append(value)
                tallies["memory_j"].append(value)
                tallies["false_absence"].append(float(not told[t, i]))
                if t == frames - 1:
                    tallies["memory_iou_last"].append(value)
                if was_away[i]:
                    tallies["after_return"].append(value)
    return {name: float(np.mean(values)) for name, values in tallies.items() if values}


@torch.no_grad()
def follow(
    model: Sam2VideoModel, images: np.ndarray, first_masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Masks bool [T, N, 256, 256] and scores [T, N] of the N objects boxed in frame 0.

    `images` uint8 [T, 256, 256, 3]; `first_masks` bool [N, 256, 256] give the boxes. The memory
    is that of a streaming session of `Sam2VideoModel`.
    """
    boxes = torch.from_numpy(boxes_around(first_masks.astype(np.uint8) * 255))
    same = torch.zeros(len(boxes), dtype=torch.long)
    propagated: list = []
    prompted: list = []
    masks, scores = [], []
    for t, image in enumerate(images):
        features = encode_images(model, normalise(torch.from_numpy(image)[None]))[same]
        if t == 0:
            decoded = prompt(model, features, Prompts.of_boxes(boxes))
        else:
            ages = [(t - born, memory) for born, memory in propagated]
            top = recall(model, features, [(t, prompted[0])], ages)
            decoded = decode(model, features, top, Prompts.none(len(top)))
        memory = remember(model, features, decoded, decoded.score > 0, prompted=t == 0)
        if t == 0:
            prompted.append(memory)
        else:
            window = model.config.max_object_pointers_in_encoder
            propagated = [*propagated[1 - window :], (t, memory)]
        masks.append(enlarge(decoded.logits, IMAGE_SIZE, IMAGE_SIZE).numpy())
        scores.append(decoded.score.numpy())
    return np.stack(masks), np.stack(scores)


def enlarge(logits: Tensor, height: int, width: int) -> Tensor:
    """Masks bool [N, height, width] out of logits [N, h, w], as the processor makes them."""
    large = F.interpolate(logits[:, None], (height, width), mode="bilinear", align_corners=False)
    return large[:, 0] > 0


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two boolean masks; 1 if both are empty."""
    union = np.count_nonzero(mask | truth)
    return float(np.count_nonzero(mask & truth) / union) if union else 1.0


def main() -> None:
    """Print the figures of a model as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shipped = Path(__file__).parents[1] / "models" / "demo-segmenter"
    parser.add_argument("--model", type=Path, default=shipped, help="folder (default: as shipped)")
    parser.add_argument("--stills", type=int, default=200, help="pictures")
    parser.add_argument("--clips", type=int, default=40, help="clips of 16 frames")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    figures = still_figures(model, arguments.stills, arguments.seed)
    figures |= clip_figures(model, arguments.clips, seed=arguments.seed)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
