"""Measure a segmenter of 256 x 256 pixels on pictures and clips that training never draws.

python -m gsam_ros.training.segmenter.evaluate --model FOLDER
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm
from transformers import Sam2VideoModel

from gsam_ros import checkpoints
from gsam_ros.training.segmenter.evaluate_clips import SEED, clip_figures, return_figures
from gsam_ros.training.segmenter.follow import enlarge, overlap
from gsam_ros.training.segmenter.forward import Prompts, encode_images, prompt
from gsam_ros.training.segmenter.model import IMAGE_SIZE, load
from gsam_ros.training.segmenter.pixels import normalise, squeeze
from gsam_ros.world.clips import EVENTS, NAMELESS_SHARE
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import HELD_OUT, SEEN


@torch.no_grad()
def still_figures(
    model: Sam2VideoModel, count: int = 200, seed: int = SEED, show: bool = False
) -> dict[str, float]:
    """Mean IoU of masks out of true boxes and of points, at the picture's resolution (256 x 192).

    `box_iou_seen` over the pairs of training, `box_iou_held_out` over the others, `point_iou` one
    point at the heart of each object (all pairs), `box_as_mask` what the bare box would get (seen
    pairs). `show` a progress bar.
    """
    names = ("box_iou_seen", "box_iou_held_out", "point_iou", "box_as_mask")
    ious: dict[str, list[float]] = {name: [] for name in names}
    bar = tqdm(range(count), "pictures", leave=False, unit="picture", disable=not show)
    for number in bar:
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


def main() -> None:
    """Print the figures of a model as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shipped = Path(checkpoints.locate("demo-segmenter"))
    parser.add_argument("--model", type=Path, default=shipped, help="folder (default: as shipped)")
    parser.add_argument("--stills", type=int, default=200, help="pictures")
    parser.add_argument("--clips", type=int, default=40, help="clips of 16 frames")
    parser.add_argument("--long-clips", type=int, default=10, help="clips of 100 frames")
    parser.add_argument("--returns", type=int, default=40, help="clips with a return")
    parser.add_argument("--events", type=float, default=EVENTS, help="of the clips to follow")
    parser.add_argument("--nameless", type=float, default=NAMELESS_SHARE, help="likewise")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.model)
    figures = still_figures(model, arguments.stills, arguments.seed)
    kind = {"seed": arguments.seed, "events": arguments.events, "nameless": arguments.nameless}
    figures |= clip_figures(model, arguments.clips, **kind)
    if arguments.long_clips:
        hundred = clip_figures(model, arguments.long_clips, frames=100, **kind)
        figures |= {f"{name}_100": value for name, value in hundred.items()}
    if arguments.returns:
        figures |= return_figures(model, arguments.returns, arguments.seed)
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
