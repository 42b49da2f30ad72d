"""Train the demo detector from nothing, on the demo world.

    python -m gsam_ros.training.detector.train --out DIR

Three stages: the backbone alone learns to tell colours and shapes cell by cell, then the whole
Grounding DINO learns to detect what prompts name, and last to leave alone what they don't
(`refine`). Interrupted training goes on from its last checkpoint (`DIR/checkpoint.pt`, in
the last stage `DIR/refined.pt`) when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import GroundingDinoForObjectDetection

from gsam_ros.number_formats import autocast_on_cpu
from gsam_ros.training.detector.cells import CellHeads, FeatureTap, backbone_features
from gsam_ros.training.detector.data import Batch, DetectorBatches, load_batches, normalise
from gsam_ros.training.detector.denoising import DenoisingQueries, NoiseSettings, draw_queries
from gsam_ros.training.detector.denoising_forward import DenoisingContent
from gsam_ros.training.detector.loss import detection_loss
from gsam_ros.training.detector.matching import Targets
from gsam_ros.training.detector.model import (
    build_detector,
    build_processor,
    save_detector,
)
from gsam_ros.training.detector.optimisation import Average, Log, Stage
from gsam_ros.training.detector.refine import PROCESSES, RefiningSettings, refine
from gsam_ros.training.progress_file import ProgressFile
from gsam_ros.training.together import run_together

_CELLS_WEIGHT = 2.0
_BACKBONE_SEED_OFFSET = 1_000_000


@dataclass(frozen=True)
class Settings:
    """Everything that decides what training makes."""

    seed: int = 0
    backbone_steps: int = 1200
    backbone_batch: int = 16
    backbone_rate: float = 1.5e-3
    steps: int = 8000
    batch: int = 8
    rate: float = 6e-4
    warmup: int = 300
    denoising: int = 0
    """Denoising queries an image (`training.denoising`), 0 for none; the shipped model had none."""
    minutes: float = 0.0
    """If above zero, the learning rate has come down to zero after so many minutes at the latest,
    whatever the number of steps; the result then depends on the machine's speed."""


def train_backbone(
    model: GroundingDinoForObjectDetection,
    heads: CellHeads,
    settings: Settings,
    progress: ProgressFile | None = None,
) -> None:
    """Stage one: colours and shapes of the cells, nothing else."""
    trained = [model.model.backbone.conv_encoder, model.model.input_proj_vision, heads]
    stage = Stage(trained, settings.backbone_rate, settings.backbone_steps, settings.warmup)
    seed = settings.seed + _BACKBONE_SEED_OFFSET
    log = Log()
    batches = DetectorBatches(seed, settings.backbone_batch)
    for batch in load_batches(batches, 0, settings.backbone_steps):
        with autocast_on_cpu():
            loss = heads(backbone_features(model, normalise(batch.images)), batch.cells)
        stage.advance(loss)
        log.add("backbone", stage, {"cells": loss})
        if progress:
            progress.tell(stage.step)


class DetectorTraining:
    """Stage two, with all that a checkpoint must hold."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.model = build_detector(len(build_processor().tokenizer), settings.seed).train()
        self.heads = CellHeads(self.model.config.d_model)
        self.content = DenoisingContent(self.model) if settings.denoising else None
        helpers = [self.heads] if self.content is None else [self.heads, self.content]
        self.stage = Stage(
            [self.model, *helpers],
            settings.rate,
            settings.steps,
            settings.warmup,
            settings.minutes,
        )
        self.average = Average(self.model)
        self.tap = FeatureTap(self.model)

    def start(self, progress: ProgressFile | None = None) -> None:
        """Train the backbone, then let the average begin from there."""
        train_backbone(self.model, self.heads, self.settings, progress)
        self.average = Average(self.model)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Loss of one batch by part."""
        pixels = normalise(batch.images)
        with autocast_on_cpu():
            losses = detection_loss(
                self.model,
                pixels,
                batch.input_ids,
                batch.targets,
                batch.level_shapes,
                self._denoising(batch.targets),
            )
            losses["cells"] = _CELLS_WEIGHT * self.heads(self.tap.features, batch.cells)
        return losses

    def _denoising(self, targets: Targets) -> tuple[DenoisingContent, DenoisingQueries] | None:
        """This step's denoising queries; they depend only on the seed and the step."""
        if self.content is None:
            return None
        noise = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.stage.step)
        queries = draw_queries(targets, NoiseSettings(self.settings.denoising), noise)
        return None if queries is None else (self.content, queries)

    def run(self, out: Path, save_every: int, progress: ProgressFile | None = None) -> None:
        """Train to the end, with a checkpoint and a usable model every `save_every` steps."""
        stage, log, clock = self.stage, Log(), time.monotonic()
        batches = DetectorBatches(self.settings.seed, self.settings.batch)
        for batch in load_batches(batches, stage.step, self.settings.steps):
            losses = self.losses(batch)
            stage.advance(torch.stack(list(losses.values())).sum())
            self.average.update(self.model, stage.step)
            now = time.monotonic()
            stage.tick((now - clock) / 60)
            clock = now
            log.add("detector", stage, losses)
            if progress:
                progress.tell(self.settings.backbone_steps + stage.step)
            if stage.step % save_every == 0 or stage.progress >= 1.0:
                self.save(out)
            if stage.progress >= 1.0:
                break

    def save(self, out: Path) -> None:
        """Write the averaged model, the checkpoint and how training went to `out`."""
        out.mkdir(parents=True, exist_ok=True)
        save_detector(self.average.model, out)
        state = {
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "content": self.content.state_dict() if self.content is not None else None,
            "average": self.average.model.state_dict(),
            "optimiser": self.stage.optimiser.state_dict(),
            "step": self.stage.step,
            "minutes": self.stage.minutes,
        }
        torch.save(state, out / "checkpoint.new")
        os.replace(out / "checkpoint.new", out / "checkpoint.pt")
        record = asdict(self.settings) | {key: state[key] for key in ("step", "minutes")}
        (out / "training.json").write_text(json.dumps(record, indent=2) + "\n")

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same settings."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        if self.content is not None:
            self.content.load_state_dict(state["content"])
        self.average.model.load_state_dict(state["average"])
        self.stage.optimiser.load_state_dict(state["optimiser"])
        self.stage.step = state["step"]
        self.stage.minutes = state["minutes"]


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m gsam_ros.training.detector.train`."""
    defaults = Settings()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--backbone-steps", type=int, default=defaults.backbone_steps)
    parser.add_argument(
        "--minutes",
        type=float,
        default=defaults.minutes,
        help="end detection by then, whatever the steps (0: no limit, and reproducible)",
    )
    parser.add_argument(
        "--denoising", type=int, default=defaults.denoising, help="denoising queries an image"
    )
    parser.add_argument(
        "--refining-steps",
        type=int,
        default=RefiningSettings.steps,
        help="0: without the last stage",
    )
    parser.add_argument("--save-every", type=int, default=500, help="steps between checkpoints")
    options = parser.parse_args(arguments)
    settings = Settings(
        seed=options.seed,
        steps=options.steps,
        backbone_steps=options.backbone_steps,
        denoising=options.denoising,
        minutes=options.minutes,
    )
    torch.set_num_threads(1)
    training = DetectorTraining(settings)
    before = settings.backbone_steps + settings.steps
    progress = ProgressFile(options.out, before + options.refining_steps)
    checkpoint = options.out / "checkpoint.pt"
    if checkpoint.is_file():
        training.load(checkpoint)
        print(f"going on from step {training.stage.step} of {checkpoint}", flush=True)
    else:
        training.start(progress)
    training.run(options.out, options.save_every, progress)
    if options.refining_steps:
        refining = RefiningSettings(seed=options.seed, steps=options.refining_steps)
        work = (options.out, options.out, refining, options.save_every, before)
        run_together(PROCESSES, refine, *work)


if __name__ == "__main__":
    main()
