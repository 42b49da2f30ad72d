"""What denoising does to the demo detector's training: AP50 against steps, with and without it.

    OMP_NUM_THREADS=1 python -m benchmark.denoising --steps 1500 --out out/denoising

Both detectors start from the same weights, after one common stage for the backbone, see the same
batches in turn and have the same schedule; one has denoising queries besides. So they share the
machine's load, too, and the time of a step can be compared. Every so many steps the averaged
weights of both are measured on scenes that training never draws.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from gsam_ros.training.detector_data import load_batches
from gsam_ros.training.detector_model import save_detector
from gsam_ros.training.evaluate_detector import (
    Detector,
    average_precision,
    examine,
    test_stills,
)
from gsam_ros.training.train_detector import DetectorTraining, Settings
from gsam_ros.world.vocabulary import HELD_OUT, SEEN

WITHOUT, WITH = "without denoising", "with denoising"


def start(settings: Settings, queries: int) -> dict[str, DetectorTraining]:
    """Both trainings, the backbone's stage behind them."""
    plain = DetectorTraining(settings)
    plain.start()
    changed = Settings(**{**vars(settings), "denoising": queries})
    denoised = DetectorTraining(changed)
    denoised.model.load_state_dict(plain.model.state_dict())
    denoised.average.model.load_state_dict(plain.model.state_dict())
    denoised.heads.load_state_dict(copy.deepcopy(plain.heads.state_dict()))
    return {WITHOUT: plain, WITH: denoised}


def measure(training: DetectorTraining, scenes: int) -> dict[str, float]:
    """AP50 of the averaged weights, on pairs that were seen and on held-out ones."""
    with tempfile.TemporaryDirectory() as folder:
        save_detector(training.average.model, Path(folder))
        detector = Detector(folder)
        pictures = [
            examine(detector, rng, still, ask_unknown=False)
            for rng, still in test_stills(scenes, 192, 256)
        ]
    return {
        name: average_precision(pictures, pairs)["ap50"]
        for name, pairs in (("seen", SEEN), ("held_out", HELD_OUT))
    }


def compare(settings: Settings, queries: int, every: int, scenes: int, log: Path) -> None:
    """Train both in turn, and write a line for each measurement to `log`."""
    trainings = start(settings, queries)
    seconds = dict.fromkeys(trainings, 0.0)
    for batch in load_batches(settings.seed, settings.batch, 0, settings.steps):
        for name, training in trainings.items():
            begin = time.perf_counter()
            losses = training.losses(batch)
            training.stage.advance(torch.stack(list(losses.values())).sum())
            training.average.update(training.model, training.stage.step)
            training.stage.tick(0.0)
            seconds[name] += time.perf_counter() - begin
        step = training.stage.step
        if step % every and step != settings.steps:
            continue
        for name, training in trainings.items():
            line = {"arm": name, "step": step, "seconds": seconds[name]}
            line |= measure(training, scenes)
            with log.open("a") as out:
                out.write(json.dumps(line) + "\n")
            print(line, flush=True)


def plot(log: Path, picture: Path) -> None:
    """Draw the curves of a log."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name, colour in ((WITHOUT, "tab:gray"), (WITH, "tab:blue")):
        own = [line for line in lines if line["arm"] == name]
        steps = [line["step"] for line in own]
        for pairs, style in (("seen", "-"), ("held_out", "--")):
            axes.plot(
                steps,
                [line[pairs] for line in own],
                style,
                color=colour,
                marker=".",
                label=f"{name}, {pairs.replace('_', ' ')} pairs",
            )
    axes.set_xlabel("training steps of 8 pictures")
    axes.set_ylabel("AP50")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(picture, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m benchmark.denoising`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--backbone-steps", type=int, default=600)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--every", type=int, default=150, help="steps between measurements")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/denoising"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "log.jsonl"
    log.unlink(missing_ok=True)
    settings = Settings(
        seed=options.seed, steps=options.steps, backbone_steps=options.backbone_steps
    )
    compare(settings, options.queries, options.every, options.scenes, log)
    plot(log, options.out / "denoising.png")


if __name__ == "__main__":
    main()
