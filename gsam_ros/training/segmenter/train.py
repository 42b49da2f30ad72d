"""Train the demo segmenter: pictures first, then clips, then longer clips.

    python -m gsam_ros.training.segmenter.train --out DIR

One or more processes of one torch thread each, and for each a second one that draws its data. A
run that was stopped goes on from its last state if it is started again with the same folder and as
many processes, and ends with the same weights as one that was not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Sam2VideoModel

from gsam_ros.number_formats import autocast_on_cpu
from gsam_ros.training.progress_file import ProgressFile
from gsam_ros.training.segmenter.clips import ClipKind, Clips
from gsam_ros.training.segmenter.data import POINTED_STILLS, MixedBatches, StillBatches
from gsam_ros.training.segmenter.evaluate import still_figures
from gsam_ros.training.segmenter.evaluate_clips import clip_figures
from gsam_ros.training.segmenter.model import load, save
from gsam_ros.training.segmenter.steps import clip_loss, still_loss
from gsam_ros.training.segmenter.stills import Stills
from gsam_ros.training.segmenter.trainer import Stage, Trainer
from gsam_ros.training.together import Team, run_together

TRUTH_SHARE, TRUTH_UNTIL = 0.9, 0.4
"""How often the truth says at first who is present, and the share of the run by which it stops."""
SCORE_SHIFTS = (0.0, 0.5, 1.0)
VALIDATION_SEED = 800_000_001
STEPS = {"stills": 4500, "video": 1200, "long": 1450}
"""Of each stage, in their order."""
PROCESSES = 2
GROWING = tuple((ClipKind(2, frames, 3),) for frames in (2, 3, 4, 6, 8, 8))
"""Clips of the second stage, part by part."""
LONG = (
    (
        # Fewer frames a second: what memory says of the place no longer does, looks have to.
        ClipKind(1, 12, 4, strides=(1, 2, 3), boxed=0.3, share=0.2),
        ClipKind(2, 8, 3, strides=(2, 3, 4), boxed=0.3, share=0.1),
        # Out of sight for longer than memory reaches, beside a look-alike.
        ClipKind(1, 14, 3, strides=(2,), hidden=8, nameless=0.2, boxed=0.3, share=0.2),
        # For longer than gradients can be kept.
        ClipKind(1, 34, 4, strides=(1, 2), untaught=25, boxed=0.3, share=0.1),
        # The rooms that the pipeline is shown.
        ClipKind(1, 12, 5, strides=(1, 2, 3), filmed=True, boxed=0.3, share=0.25),
        ClipKind(1, 34, 5, strides=(1, 2), filmed=True, untaught=25, boxed=0.3, share=0.15),
    ),
)
"""Those of the third."""
STILLS_STAGE = Stage("stills", STEPS["stills"], 1.5e-3, 1.5e-3, warm_up=100, last_rate=0.1)
VIDEO_STAGE = Stage(
    "video",
    STEPS["video"],
    7e-4,
    1.2e-3,
    warm_up=60,
    last_rate=0.35,
    parts=GROWING,
    still_share=0.28,
)
LONG_STAGE = Stage(
    "long",
    STEPS["long"],
    4e-4,
    7e-4,
    warm_up=60,
    last_rate=0.01,
    parts=LONG,
    still_share=0.2,
    objects=5,
)
GENTLE_STAGE = replace(LONG_STAGE, rate=2.5e-4, memory_rate=4e-4, still_share=0.3)
"""The third where it goes on from a finished model, which higher rates would first undo."""
IMAGES = 8
"""In a batch of pictures."""
CALIBRATION_CLIPS = 24
LOG_EVERY = 25


def say(line: str) -> None:
    """Log a line with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


@dataclass(frozen=True)
class Habits:
    """What happens beside training, and changes nothing of what comes out.

    Attributes:
        save_every: steps between two states, which a kill loses.
        reports: whether the averaged model is measured with every state, and at the end.
        tell: who is told of the stage's steps.
    """

    save_every: int = 200
    reports: bool = False
    tell: Callable[[int], None] | None = None


def run_stage(
    trainer: Trainer, stage: Stage, batches: DataLoader, habits: Habits | None = None
) -> None:
    """Train until the stage's steps are over."""
    habits = habits or Habits()
    trainer.model.train()
    if stage.name != "stills":
        freeze_statistics(trainer.model)
    started = time.monotonic() - trainer.elapsed_s
    log = _StepLog()
    for batch in batches:
        if stage.progress(trainer.step) >= 1:
            break
        with autocast_on_cpu():
            loss, overlap = _loss(trainer, stage, batch)
        trainer.update(loss, stage.factor(trainer.step))
        trainer.elapsed_s = time.monotonic() - started
        log.note(batch, float(loss.detach()), overlap)
        if trainer.team.leads:
            if trainer.step % LOG_EVERY == 0:
                log.say(trainer, stage)
            if habits.tell:
                habits.tell(trainer.step)
        if trainer.step % habits.save_every == 0:
            trainer.save_state()
            if habits.reports and trainer.team.leads:
                report(trainer.average, stage.name, quick=True)
    trainer.save_state()


def _loss(trainer: Trainer, stage: Stage, batch: Stills | Clips) -> tuple[Tensor, float]:
    """Loss and mean IoU of a batch of pictures or clips."""
    if isinstance(batch, Stills):
        return still_loss(trainer.model, trainer.heads, batch)
    truth_share = 0.0
    if stage.name == "video":
        truth_share = TRUTH_SHARE * max(0.0, 1 - stage.progress(trainer.step) / TRUTH_UNTIL)
    number = trainer.step * trainer.team.size + trainer.team.place
    chance = torch.Generator().manual_seed(trainer.seed * 1_000_003 + number)
    return clip_loss(trainer.model, trainer.heads, batch, truth_share, chance)


class _StepLog:
    """Means since the last line: the loss, and the IoU of each kind of batch."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._ious: dict[str, list[float]] = {}

    def note(self, batch: Stills | Clips, loss: float, overlap: float) -> None:
        """Take one step in."""
        kind = "stills" if isinstance(batch, Stills) else f"{len(batch.pixels)} frames"
        self._losses.append(loss)
        self._ious.setdefault(kind, []).append(overlap)

    def say(self, trainer: Trainer, stage: Stage) -> None:
        """Log a line, and begin anew."""
        each = ", ".join(f"{kind} {np.mean(ious):.3f}" for kind, ious in sorted(self._ious.items()))
        say(
            f"{stage.name} {trainer.step}/{stage.steps} ({stage.progress(trainer.step):.1%}) loss"
            f" {np.mean(self._losses):.3f}, IoU {each}, {trainer.elapsed_s:.0f} s"
        )
        self._losses, self._ious = [], {}


def freeze_statistics(model: Sam2VideoModel) -> None:
    """Batch norms keep what pictures taught them: frames of few clips are too much alike."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def report(model: Sam2VideoModel, stage: str, quick: bool) -> None:
    """Log how the averaged model does on pictures and clips that training never draws."""
    figures = still_figures(model, count=40 if quick else 200)
    if stage != "stills":
        figures |= clip_figures(model, count=8 if quick else 40)
    say(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))


@torch.no_grad()
def calibrate(model: Sam2VideoModel, clips: int = CALIBRATION_CLIPS) -> float:
    """Move the bias of the object score to where clips of their own are followed best.

    Training weighs absent frames more than they are frequent, so that the score learns them; the
    threshold at 0 is then too strict. Returns the shift that was taken.
    """
    bias = model.mask_decoder.pred_obj_score_head.proj_out.bias
    learned = bias.clone()
    quality = {}
    for shift in SCORE_SHIFTS:
        bias.copy_(learned + shift)
        quality[shift] = clip_figures(model, clips, seed=VALIDATION_SEED)["memory_j"]
        say(f"score shifted by {shift:+.1f}: memory_j {quality[shift]:.3f}")
    best = max(quality, key=quality.__getitem__)
    bias.copy_(learned + best)
    return best


def train(team: Team, arguments: argparse.Namespace) -> None:
    """Run all stages, or what is left of them, and write the model to `out`/model."""
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    last = LONG_STAGE if arguments.start is None else GENTLE_STAGE
    stages = [
        replace(stage, steps=getattr(arguments, f"{stage.name}_steps"))
        for stage in (STILLS_STAGE, VIDEO_STAGE, last)
    ]
    trainer = Trainer(arguments.out, arguments.seed, team)
    trainer.load_state(stages)
    team.wait()  # until all have read the state that the first will replace
    if trainer.step and team.leads:
        say(f"going on at step {trainer.step} of {trainer.stage}")
    elif not trainer.stage and arguments.start is not None:
        trainer.take(load(arguments.start))
        trainer.begin(stages[-1])
    progress = ProgressFile(arguments.out, sum(stage.steps for stage in stages))
    behind = [stage.name for stage in stages].index(trainer.stage or stages[0].name)
    for number, stage in enumerate(stages[behind:], behind):
        if trainer.stage != stage.name:
            trainer.begin(stage)
        before = sum(stage.steps for stage in stages[:number])

        def tell(step: int, before: int = before) -> None:
            progress.tell(before + step)

        habits = Habits(arguments.save_every, arguments.reports, tell)
        run_stage(trainer, stage, loader(trainer, stage), habits)
    if not team.leads:
        return
    if arguments.calibration_clips:
        calibrate(trainer.average, arguments.calibration_clips)
    save(trainer.average, arguments.out / "model")
    if arguments.reports:
        report(trainer.average, "video", quick=False)


def loader(trainer: Trainer, stage: Stage) -> DataLoader:
    """What is left of a stage's batches; one process draws them ahead."""
    batches: StillBatches | MixedBatches
    if not stage.parts:
        batches = StillBatches(
            trainer.seed,
            trainer.step,
            stage.steps,
            images=IMAGES,
            objects=stage.objects,
            pointed=POINTED_STILLS / 2,
            team=trainer.team,
        )
    else:
        batches = MixedBatches(
            trainer.seed + (stage.name == "long"),
            trainer.step,
            stage.steps,
            images=IMAGES,
            objects=stage.objects,
            parts=stage.parts,
            still_share=stage.still_share,
            team=trainer.team,
        )
    return DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=6)


def main() -> None:
    """Train as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for state and model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=PROCESSES, help="one thread each")
    for name, steps in STEPS.items():
        parser.add_argument(f"--{name}-steps", type=int, default=steps)
    parser.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="FOLDER",
        help="a trained segmenter of this size: only the third stage is run, from its weights",
    )
    parser.add_argument("--save-every", type=int, default=Habits.save_every, metavar="STEPS")
    parser.add_argument(
        "--reports", action="store_true", help="measure with every state and at the end"
    )
    parser.add_argument(
        "--calibration-clips",
        type=int,
        default=CALIBRATION_CLIPS,
        help="that the object score's bias is set by; 0: it stays",
    )
    arguments = parser.parse_args()
    run_together(arguments.processes, train, arguments)


if __name__ == "__main__":
    main()
