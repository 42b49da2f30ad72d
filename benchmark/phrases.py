"""What it changes, and costs, to have the detector read a prompt's phrases a few at a time.

    python -m benchmark.phrases --scenes 300
    python -m benchmark.phrases --at-once 0 1 --detector demo-detector

For each value of `detector.phrases_at_once`: AP50 on pictures of the world, finds of what is not
there, how much an object's score depends on the phrases around it, and the CPU time of a picture by
the phrases in its prompt. All see the same pictures with the same prompts.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from tqdm import tqdm

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.training.detector.evaluate import evaluate
from gsam_ros.training.detector.evaluate_phrases import LENGTHS, phrase_figures
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import PAIRS, phrase_of

_FIGURES = (
    "absent_beside_present",
    "absent_one",
    "absent_three",
    "duplicates",
    "length_change",
    "length_change_median",
)
_ROUNDS = 5


def measure(model: str, at_once: int, scenes: int) -> dict[str, float]:
    """Figures of one value."""
    detector = GroundingDetector(model, torch.device("cpu"), phrases_at_once=at_once)
    figures = evaluate(detector, scenes, show=True)
    told = {f"AP50, {name}": figures[name]["ap50"] for name in ("seen", "held_out")}
    figures |= phrase_figures(detector, scenes, show=True)
    told |= {name: figures[name] for name in _FIGURES}
    return told | {f"ms, {count} phrases": cpu_ms(detector, count) for count in LENGTHS}


def cpu_ms(detector: GroundingDetector, count: int) -> float:
    """CPU time of a picture for a prompt of so many phrases, encoded before: the median."""
    image = draw_still(np.random.default_rng(0)).image
    text = detector.encode([phrase_of(pair) for pair in PAIRS[:count]])
    taken = []
    for _ in range(_ROUNDS + 1):  # the first warms up
        begin = time.process_time()
        detector.detect([image], text)
        taken.append(time.process_time() - begin)
    return 1e3 * float(np.median(taken[1:]))


def main() -> None:
    """Measure each value, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", default="demo-detector", help="name, folder or hub id")
    parser.add_argument("--at-once", type=int, nargs="+", default=[0, 5, 2, 1])
    parser.add_argument("--scenes", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    told = [
        measure(options.detector, at_once, options.scenes)
        for at_once in tqdm(options.at_once, "phrases at once")
    ]
    print("| phrases at once |" + "".join(f" {value or 'all'} |" for value in options.at_once))
    print("|---|" + "---|" * len(told))
    for name in told[0]:
        print(f"| {name} |" + "".join(f" {figures[name]:.3f} |" for figures in told))


if __name__ == "__main__":
    main()
