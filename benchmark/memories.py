"""What `segmenter.memories` and `segmenter.image_size` cost and bring: mask IoU over clips.

Clips of the demo world that training never draws, with objects that cross, leave and return; each
object is boxed in the first frame and followed by memory alone:

    python -m benchmark.memories --clips 12 --memories 7 4 2 1 --image-sizes 256

`IoU` is the mean over objects and later frames in which the object is to be seen, a missing mask
counting 0; `ms` the time per frame of this process's CPU, all three objects.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.propagation import propagate, segment_boxes
from gsam_ros.tracking.segmenters.packages import load_segmenter
from gsam_ros.tracking.segmenters.sam2_operations import Sam2Operations
from gsam_ros.tracking.settings import SegmenterSettings
from gsam_ros.training.segmenter.clips import draw_clip_to_follow
from gsam_ros.training.segmenter.evaluate import SEED, enlarge, overlap
from gsam_ros.training.segmenter.pixels import boxes_around


def follow(
    model: Sam2Operations, images: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, list[float]]:
    """Masks [T, N, H, W] of the objects `first` [N, H, W] (bool), and seconds per frame."""
    size = images.shape[1]
    boxes = torch.from_numpy(boxes_around(first.astype(np.uint8) * 255)) / size
    memories = [TrackMemory(model.num_memories, model.max_pointers) for _ in boxes]
    index = [0] * len(memories)
    masks, seconds = [], []
    for number, image in enumerate(images):
        start = time.process_time()
        features = model.encode_image([image])
        if number == 0:
            found = segment_boxes(model, features, index, boxes)
        else:
            found = propagate(model, features, index, memories)
        # As the tracker does: what is out of sight is not remembered.
        seen = torch.nonzero(found.presence > 0)[:, 0] if number else torch.arange(len(memories))
        if len(seen):
            flags = torch.full((len(seen),), number == 0)
            tokens = model.encode_memory(features[torch.zeros_like(seen)], found[seen], flags)
            for row, who in enumerate(seen.tolist()):
                memories[who].remember(tokens[row], found.pointer[who], number == 0)
        seconds.append(time.process_time() - start)
        masks.append(enlarge(found.logits, size, size).numpy())
    return np.stack(masks), seconds


def measure(model: Sam2Operations, clips: int, frames: int) -> dict[str, float]:
    """Mean IoU and milliseconds per frame over clips."""
    values: list[float] = []
    times: list[float] = []
    for number in tqdm(range(clips), leave=False, mininterval=5):
        clip = draw_clip_to_follow(np.random.default_rng([SEED, 1, number]), frames, 3)
        masks, seconds = follow(model, clip.images, clip.masks[0])
        times += seconds[frames // 2 :]
        values += [
            overlap(masks[t, i], clip.masks[t, i])
            for t in range(1, frames)
            for i in range(masks.shape[1])
            if clip.present[t, i]
        ]
    return {"iou": float(np.mean(values)), "ms": 1e3 * float(np.median(times))}


def main() -> None:
    """Print a table, and write memories.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--segmenter", default="demo-segmenter")
    parser.add_argument("--memories", type=int, nargs="+", default=[7, 4, 2, 1])
    parser.add_argument("--image-sizes", type=int, nargs="+", default=[0])
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--out", type=Path, help="folder for memories.json")
    options = parser.parse_args()
    rows = []
    print("| image size | memories | IoU | ms |\n|---|---|---|---|", flush=True)
    for size in options.image_sizes:
        for memories in options.memories:
            settings = SegmenterSettings(
                model=options.segmenter, image_size=size, memories=memories
            )
            model = load_segmenter(settings, torch.device("cpu"))
            row = measure(model, options.clips, options.frames)
            rows.append({"image_size": model.image_size, "memories": memories, **row})
            print(f"| {model.image_size} | {memories} | {row['iou']:.4f} | {row['ms']:.1f} |",
                  flush=True)  # fmt: skip
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "memories.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
