"""What denoising does to training: AP50 against steps, with and without it, same seeds and budget.

    OMP_NUM_THREADS=1 python -m benchmark.denoising --out out/denoising --seeds 0 1 2

The bundled detector is fine-tuned by `gsam train detector` on pictures of three shapes that it has
never seen. For each seed both trainings see the same batches in the same order under the same
schedule; one has denoising queries besides. AP50 is measured on scenes that training does not have.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gsam_ros.cli import main as gsam
from gsam_ros.world.coco import write_coco
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import COLOURS, NOVEL_SHAPES

NOVEL = tuple(product(COLOURS, NOVEL_SHAPES))
_SEEDS = {"training": 3_000_000_003, "test": 3_000_000_004}


def draw_data(folder: Path, images: dict[str, int]) -> None:
    """Pictures for training and for measuring, each in a folder of its own."""
    for name, count in images.items():
        rngs = (np.random.default_rng([_SEEDS[name], index]) for index in range(count))
        stills = (draw_still(rng, 192, 256, NOVEL, max_objects=5) for rng in rngs)
        write_coco(folder / name, stills, name_of=lambda pair: pair[1])


def train(folder: Path, seed: int, queries: int, steps: int, every: int) -> list[dict[str, Any]]:
    """One training; returns its measurements."""
    out = folder / f"seed{seed}_queries{queries}"
    start = time.process_time()
    words = ["train", "detector", "--from", "demo-detector", "--out", str(out), "--device", "cpu"]
    words += ["--data", str(folder / "training" / "coco.json")]
    words += ["--images", str(folder / "training" / "images")]
    words += ["--validation", str(folder / "test" / "coco.json")]
    words += ["--validation-images", str(folder / "test" / "images"), "--workers", "0"]
    words += ["--steps", str(steps), "--every", str(every), "--rate", "5e-4", "--ema", "0.95"]
    if gsam([*words, "--seed", str(seed), "--denoising", str(queries)]):
        sys.exit(1)
    history = json.loads((out / "training" / "history.json").read_text())
    taken = {"seed": seed, "queries": queries, "seconds": time.process_time() - start}
    return [taken | {key: entry[key] for key in ("step", "ap50", "ap")} for entry in history]


def draw_curves(axes: Any, lines: Sequence[dict[str, Any]], figure: str, batch: int) -> None:
    """Draw the mean of a figure over the seeds, and each of them thin, with and without denoising.

    axes: matplotlib's. batch: pictures of a step.
    """
    most = max(line["queries"] for line in lines)
    for queries, colour in ((0, "gray"), (most, "tab:blue")):
        own = [line for line in lines if line["queries"] == queries]
        steps = sorted({line["step"] for line in own})
        by_seed = [
            [line[figure] for line in own if line["seed"] == seed]
            for seed in sorted({line["seed"] for line in own})
        ]
        for values in by_seed:
            axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.6)
        name = f"{queries} denoising queries" if queries else "without denoising"
        axes.plot(steps, np.mean(by_seed, 0), color=colour, linewidth=2.2, marker=".", label=name)
    axes.set_xlabel(f"training steps of {batch} pictures")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)


def plot(lines: Sequence[dict[str, Any]], picture: Path) -> None:
    """AP50 of the new shapes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    draw_curves(axes, lines, "ap50", 4)
    axes.set_ylabel("AP50 of new shapes")
    axes.legend()
    figure.savefig(picture, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m benchmark.denoising`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--every", type=int, default=20, help="steps between measurements")
    parser.add_argument("--images", type=int, default=100, help="to train on")
    parser.add_argument("--scenes", type=int, default=40, help="to measure on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("out/denoising"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    draw_data(options.out, {"training": options.images, "test": options.scenes})
    lines = []
    for seed, queries in product(options.seeds, (0, options.queries)):
        lines += train(options.out, seed, queries, options.steps, options.every)
        (options.out / "figures.json").write_text(json.dumps(lines, indent=1) + "\n")
        print(json.dumps(lines[-1]), flush=True)
    plot(lines, options.out / "denoising.png")


if __name__ == "__main__":
    main()
