"""What denoising does to training from nothing: AP50 against steps, with and without it.

    OMP_NUM_THREADS=1 python -m benchmark.denoising_scratch --out out/denoising_scratch

For each seed the bundled detector's backbone stage runs once. Two detection stages then start from
its weights: same batches in the same order, same schedule, which ends within the budget; one has
denoising queries besides. AP50 of the averaged weights is measured on scenes whose sprites training
does not have. An interrupted run goes on from its last measurement.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmark.denoising import draw_curves
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.training.detector.evaluate import average_precision, examine, test_stills
from gsam_ros.training.detector.optimisation import Average
from gsam_ros.training.detector.train import DetectorTraining, Settings, train_backbone
from gsam_ros.world.vocabulary import HELD_OUT, SEEN

_PAIRS = {"seen": SEEN, "held_out": HELD_OUT}


class MeasuredTraining(DetectorTraining):
    """A detection stage that is measured whenever it is saved; `taken` has what came out."""

    def __init__(self, settings: Settings, scenes: int) -> None:
        super().__init__(settings)
        self.scenes = scenes
        self.taken: list[dict[str, Any]] = []
        self._since = self._clocks()

    def begin_with(self, backbone: Path) -> None:
        """Start from the weights that the backbone's stage left."""
        state = torch.load(backbone, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.average = Average(self.model)

    def run(self, out: Path, save_every: int) -> None:
        """Train to the end, but for what an interrupted run has done."""
        if (out / "checkpoint.pt").is_file():
            self.load(out / "checkpoint.pt")
            self.taken = json.loads((out / "figures.json").read_text())
            self.taken = [entry for entry in self.taken if entry["step"] <= self.stage.step]
            if self.stage.step not in [entry["step"] for entry in self.taken]:
                self._measure(out, None, None)
        self._since = self._clocks()
        super().run(out, save_every)

    def save(self, out: Path) -> None:
        """Write what training writes, and measure."""
        wall, cpu = (now - then for now, then in zip(self._clocks(), self._since, strict=True))
        super().save(out)
        self._measure(out, wall, cpu)
        self._since = self._clocks()

    def _measure(self, out: Path, wall: float | None, cpu: float | None) -> None:
        """AP50 of what was saved; `wall` and `cpu` are the seconds that it took, where known."""
        detector = GroundingDetector(str(out), torch.device("cpu"))
        pictures = [
            examine(detector, rng, still) for rng, still in test_stills(self.scenes, 192, 256)
        ]
        entry: dict[str, Any] = {"seed": self.settings.seed, "queries": self.settings.denoising}
        entry |= {"step": self.stage.step, "wall_s": wall, "cpu_s": cpu}
        for name, pairs in _PAIRS.items():
            entry[name] = average_precision(pictures, pairs)["ap50"]
        self.taken.append(entry)
        (out / "figures.json").write_text(json.dumps(self.taken, indent=1) + "\n")
        print(json.dumps(entry), flush=True)

    @staticmethod
    def _clocks() -> tuple[float, float]:
        """Wall clock and this process's own time, in seconds; another process draws pictures."""
        return time.monotonic(), time.process_time()


def warm_up(settings: Settings, path: Path) -> None:
    """The backbone's stage, whose weights both trainings start from."""
    if path.is_file():
        return
    training = DetectorTraining(settings)
    train_backbone(training.model, training.heads, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": training.model.state_dict(), "heads": training.heads.state_dict()}, path)


def train(
    out: Path, settings: Settings, backbone: Path, scenes: int, every: int
) -> list[dict[str, Any]]:
    """One detection stage; returns its measurements."""
    training = MeasuredTraining(settings, scenes)
    training.begin_with(backbone)
    training.run(out, every)
    return training.taken


def plot(lines: Sequence[dict[str, Any]], batch: int, picture: Path) -> None:
    """Seen and held-out pairs side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9.6, 3.6), sharey=True, layout="constrained")
    for (name, pairs), axes in zip(_PAIRS.items(), panels, strict=True):
        draw_curves(axes, lines, name, batch)
        axes.set_title(f"{len(pairs)} {name.replace('_', '-')} pairs", fontsize=10)
    panels[0].set_ylabel("AP50, trained from nothing")
    panels[0].legend()
    figure.savefig(picture, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m benchmark.denoising_scratch`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone-steps", type=int, default=800)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--warmup", type=int, default=100, help="steps of the detection stage")
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--every", type=int, default=60, help="steps between measurements")
    parser.add_argument("--scenes", type=int, default=100, help="to measure on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("out/denoising_scratch"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lines = []
    for seed, queries in product(options.seeds, (0, options.queries)):
        first = Settings(seed=seed, backbone_steps=options.backbone_steps)
        backbone = options.out / f"seed{seed}_backbone.pt"
        warm_up(first, backbone)
        settings = replace(first, steps=options.steps, warmup=options.warmup, denoising=queries)
        folder = options.out / f"seed{seed}_queries{queries}"
        lines += train(folder, settings, backbone, options.scenes, options.every)
        (options.out / "figures.json").write_text(json.dumps(lines, indent=1) + "\n")
        if queries:
            plot(lines, settings.batch, options.out / "denoising_scratch.png")


if __name__ == "__main__":
    main()
