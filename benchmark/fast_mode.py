"""What fast memory saves: milliseconds per frame of exact, fast and transformers' stock session.

Same weights, same frames, same boxes, all in turn in one run:

    python benchmark/fast_mode.py --objects 1 4 16 --frames 60

The objects stand side by side, and of ten frames a second the detector confirms them on every other
one; the image encoder is part of all three. What fast mode costs in accuracy is in sequences.py.
Times are of this process's CPU, with one thread by default, so that other processes hardly count.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from propagation import HEIGHT, WIDTH, Step, frames, grid, stock
from tqdm import tqdm
from transformers import Sam2VideoProcessor

from gsam_ros import checkpoints
from gsam_ros.instances import Detections
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.tracking.transformers_sam2 import TransformersSam2


def ours(model: TransformersSam2, count: int, memory: str) -> Step:
    """Our tracker in one of its modes."""
    # Whatever the masks say, each box stays a track: this measures cost, not association.
    settings = TrackerSettings(
        max_objects=count, duplicate_iou=1.0, confirm_after=0.0, match_iou=0.0,
        confirmed_missed=3600.0, occluded_after=60.0, memory=memory,
    )  # fmt: skip
    tracker = InstanceTracker(model, settings)
    tracker.set_phrases(("thing",))
    found = Detections(grid(count), np.ones(count, np.float32), np.zeros(count, np.int64))
    stamps = iter(range(10**9))

    def step(image: np.ndarray) -> None:
        index = next(stamps)
        view = View("", index * 10**8, (HEIGHT, WIDTH), None if index % 2 else found)
        tracker.step(model.encode_image([image]), [view])
        tracks = tracker.cameras[""].tracks
        assert len(tracks) == count, f"{len(tracks)} of {count} objects are tracked"

    return step


def main() -> None:
    """Run all sides, alternating frame by frame, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--segmenter", default="demo-segmenter")
    arguments.add_argument("--objects", type=int, nargs="+", default=[1, 4, 16])
    arguments.add_argument("--frames", type=int, default=60)
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()

    torch.set_num_threads(options.threads)
    model = TransformersSam2(options.segmenter, torch.device("cpu"))
    processor = Sam2VideoProcessor.from_pretrained(checkpoints.locate(options.segmenter))
    print("| objects | stock, ms | exact, ms | fast, ms | stock / exact | stock / fast |")
    print("|---|---|---|---|---|---|")
    for count in options.objects:
        sides = [
            stock(model, processor, count)[0],
            ours(model, count, "exact"),
            ours(model, count, "fast"),
        ]
        times: list[list[float]] = [[], [], []]
        for image in tqdm(frames(options.frames), total=options.frames, leave=False, mininterval=2):
            for side, own in zip(sides, times, strict=True):
                start = time.process_time()
                side(image)
                own.append(1e3 * (time.process_time() - start))
        # Frames with and without a detection cost differently: the mean of medians of both.
        settled = [
            statistics.mean(
                statistics.median(own[options.frames // 3 + turn :: 2]) for turn in (0, 1)
            )
            for own in times
        ]
        base, exact, fast = settled
        print(f"| {count} | {base:.0f} | {exact:.0f} | {fast:.0f} | {base / exact:.2f} "
              f"| {base / fast:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
