"""What close-ups do for masks, by the size of the object: mask IoU and time, in one run.

    python -m benchmark.closeups --scenes 12

Pictures of 640x480 with objects of 10 to 120 pixels and of 1920x1080 with objects of 12 to 40. Each
object's true box is the prompt, on the whole picture and on the crops that `tracking/closeups.py`
chooses. SAM 2 sees either at its own resolution. Sizes are of the longer side on its square.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
import torch
from tqdm import tqdm

from gsam_ros.masks import Masks
from gsam_ros.tracking.closeups import segment_close
from gsam_ros.tracking.propagation import segment_boxes
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2
from gsam_ros.world.stills import draw_still

EDGES = (0, 4, 8, 12, 16, 24, 32, 48, 96)
PICTURES = ((480, 640, 12, (10, 120)), (1080, 1920, 30, (12, 40)))


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Of two masks [H, W] bool."""
    return float((first & second).sum() / max((first | second).sum(), 1))


def main() -> None:
    """Segment every object both ways and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--segmenter", default="demo-segmenter")
    arguments.add_argument("--scenes", type=int, default=12, help="pictures of either size")
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    model = TransformersSam2(options.segmenter, torch.device("cpu"))
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    spent = {"whole": 0.0, "close": 0.0}
    for seed in tqdm(range(options.scenes), unit="scene"):
        for height, width, most, (least, largest) in PICTURES:
            rng = np.random.default_rng([31, seed, height])
            share = (least / height, largest / height)
            still = draw_still(rng, height, width, max_objects=most, share=share)
            owner = np.zeros(len(still.boxes), np.int64)
            scale = np.array([width, height, width, height], np.float32)
            start = time.process_time()
            features = model.encode_image([still.image])
            fractions = torch.tensor(still.boxes / scale, dtype=torch.float32)
            whole = segment_boxes(model, features, owner.tolist(), fractions)
            spent["whole"] += time.process_time() - start
            start = time.process_time()
            close, shown = segment_close(model, [still.image], owner, still.boxes, most)
            spent["close"] += time.process_time() - start
            assert close is not None
            assert shown.all()
            sides = (still.boxes[:, 2:] - still.boxes[:, :2]) / scale[:2] * model.image_size
            pixels = [
                Masks(masks.logits.numpy(), height, width, masks.closeups).pixels()
                for masks in (whole, close)
            ]
            for row, mask in enumerate(still.masks):
                group = int(np.searchsorted(EDGES, sides[row].max(), "right")) - 1
                found[group].append((iou(pixels[0][row], mask), iou(pixels[1][row], mask)))
    print("| longer side | objects | IoU, whole image | IoU, close-up |\n|---|---|---|---|")
    for group, pairs in sorted(found.items()):
        sizes = " to ".join(str(edge) for edge in EDGES[group : group + 2])
        means = " | ".join(f"{mean:.3f}" for mean in np.mean(pairs, axis=0))
        print(f"| {sizes} | {len(pairs)} | {means} |")
    count = sum(map(len, found.values()))
    print(
        f"\n{count} objects; CPU time of close-ups {spent['close'] / spent['whole']:.1f} times that"
    )


if __name__ == "__main__":
    main()
