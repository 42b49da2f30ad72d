"""Fine-tuning shown: what the bundled detector learns of three shapes that it has never seen.

    OMP_NUM_THREADS=1 python -m benchmark.fine_tuning --out out/fine_tuning

Draws pictures with old and new shapes, runs `gsam train detector` on them, and measures before and
after on fresh scenes: AP50 on the new pairs of colour and shape, and on the old ones, which must
not be forgotten. Arguments after `--` go to `gsam train detector`.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import torch

from gsam_ros.checkpoints import locate
from gsam_ros.cli import main as gsam
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.training.detector.evaluate import average_precision, evaluate, examine
from gsam_ros.world.coco import write_coco
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import COLOURS, NOVEL_SHAPES, PAIRS, SEEN

NOVEL = tuple(product(COLOURS, NOVEL_SHAPES))
_TRAINING_SEED, _TEST_SEED = 3_000_000_001, 3_000_000_002
_MIX = (*SEEN, *2 * NOVEL)  # about as many new objects as old ones


def measure(model: str, scenes: int) -> dict[str, float]:
    """AP50 on new, seen and held-out pairs."""
    detector = GroundingDetector(model, torch.device("cpu"))
    pictures = []
    for index in range(scenes):
        rng = np.random.default_rng([_TEST_SEED, index])
        still = draw_still(rng, 192, 256, _MIX)
        pictures.append(examine(detector, rng, still, (*PAIRS, *NOVEL)))
    old = evaluate(detector, scenes)
    return {
        "new": average_precision(pictures, NOVEL)["ap50"],
        "seen, beside new ones": average_precision(pictures, SEEN)["ap50"],
        "seen": old["seen"]["ap50"],
        "held_out": old["held_out"]["ap50"],
    }


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `python -m benchmark.fine_tuning`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("out/fine_tuning"))
    parser.add_argument("further", nargs="*", help="for `gsam train detector`, after --")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    stills = (
        draw_still(np.random.default_rng([_TRAINING_SEED, index]), 192, 256, _MIX)
        for index in range(options.images)
    )
    data = write_coco(options.out, stills)
    command = ["train", "detector", "--data", str(data), "--images", str(options.out / "images")]
    command += ["--from", "demo-detector", "--out", str(options.out / "model"), *options.further]
    status = gsam(command)
    if status:
        return status
    figures = {
        "before": measure(locate("demo-detector"), options.scenes),
        "after": measure(str(options.out / "model"), options.scenes),
    }
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
