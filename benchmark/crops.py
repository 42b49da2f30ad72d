"""Would masks of small objects gain from crops? Mask IoU, full frame against a crop, in one run.

    python -m benchmark.crops --scenes 4

Pictures of 1920x1080 with objects of 12 to 40 pixels; each object's true box is the prompt, once on
the whole picture as the tracker does, once on a square crop around it that is a few times its size.
SAM 2 sees either at its own resolution.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from gsam_ros.masks import Masks
from gsam_ros.tracking.propagation import segment_boxes
from gsam_ros.tracking.transformers_sam2 import TransformersSam2
from gsam_ros.world.stills import draw_still

HEIGHT, WIDTH = 1080, 1920


def crop_around(box: np.ndarray, times: float) -> tuple[int, int, int]:
    """Left, top and side of a square crop inside the picture, `times` the box's longer side."""
    side = min(HEIGHT, round(times * float(max(box[2] - box[0], box[3] - box[1]))))
    left = int(np.clip((box[0] + box[2] - side) / 2, 0, WIDTH - side))
    top = int(np.clip((box[1] + box[3] - side) / 2, 0, HEIGHT - side))
    return left, top, side


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Of two masks [H, W] bool."""
    return float((first & second).sum() / max((first | second).sum(), 1))


def main() -> None:
    """Segment every object both ways and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--segmenter", default="demo-segmenter")
    arguments.add_argument("--scenes", type=int, default=4)
    arguments.add_argument("--times", type=float, nargs="+", default=(3.0, 5.0, 8.0))
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    model = TransformersSam2(options.segmenter, torch.device("cpu"))
    found: dict[str, list[float]] = {}
    cost: dict[str, float] = {}
    sizes = []
    for seed in range(options.scenes):
        rng = np.random.default_rng([30, seed])
        share = (12 / HEIGHT, 40 / HEIGHT)
        still = draw_still(rng, HEIGHT, WIDTH, max_objects=30, share=share)
        sizes += np.sqrt(still.masks.sum((1, 2))).tolist()
        scale = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], np.float32)
        start = time.process_time()
        features = model.encode_image([still.image])
        boxes = torch.from_numpy(still.boxes / scale)
        masks = segment_boxes(model, features, [0] * len(boxes), boxes)
        pixels = Masks(masks.logits.numpy(), HEIGHT, WIDTH).pixels()
        cost["full frame"] = cost.get("full frame", 0) + time.process_time() - start
        found.setdefault("full frame", []).extend(map(iou, pixels, still.masks))
        for times in options.times:
            name = f"crop of {times:g} times the object"
            for box, mask in zip(still.boxes, still.masks, strict=True):
                left, top, side = crop_around(box, times)
                window = slice(top, top + side), slice(left, left + side)
                start = time.process_time()
                features = model.encode_image([np.ascontiguousarray(still.image[window])])
                own = torch.from_numpy((box - [left, top, left, top]).astype(np.float32) / side)
                masks = segment_boxes(model, features, [0], own[None])
                [pixels] = Masks(masks.logits.numpy(), side, side).pixels()
                cost[name] = cost.get(name, 0) + time.process_time() - start
                found.setdefault(name, []).append(iou(pixels, mask[window]))
    print(
        f"{len(sizes)} objects, square roots of areas {min(sizes):.0f} to {max(sizes):.0f} pixels"
    )
    print("| | mean IoU | found (IoU over half) | CPU seconds per object |")
    print("|---|---|---|---|")
    for name, values in found.items():
        share = np.mean(np.array(values) > 0.5)
        print(f"| {name} | {np.mean(values):.3f} | {share:.0%} | {cost[name] / len(values):.3f} |")


if __name__ == "__main__":
    main()
