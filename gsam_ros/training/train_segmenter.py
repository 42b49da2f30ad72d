"""Train the demo segmenter: pictures first, then clips, then longer clips.

    python -m gsam_ros.training.train_segmenter --out DIR

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

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import Sam2VideoModel

from gsam_ros.number_formats import autocast_on_cpu
from gsam_ros.training.evaluate_clips import clip_figures
from gsam_ros.training.evaluate_segmenter import still_figures
from gsam_ros.training.progress import Progress
from gsam_ros.training.segmenter_clips import ClipKind
from gsam_ros.training.segmenter_data import POINTED_STILLS, MixedBatches, StillBatches
from gsam_ros.training.segmenter_model import load, save
from gsam_ros.training.segmenter_steps import clip_loss, still_loss
from gsam_ros.training.segmenter_stills import Stills
from gsam_ros.training.segmenter_trainer import Stage, Trainer
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
        ClipKind(1, 12, 4, strides=(1, 2, 3), boxed=0.3, share=0.25),
        ClipKind(2, 8, 3, strides=(2, 3, 4), boxed=0.3, share=0.1),
        # Out of sight for longer than memory reaches, beside a look-alike.
        ClipKind(1, 14, 3, strides=(2,), hidden=8, nameless=0.2, boxed=0.3, share=0.1),
        # For longer than gradients can be kept.
        ClipKind(1, 34, 4, strides=(1, 2), untaught=25, boxed=0.3, share=0.1),
        # The rooms that the machine is shown.
        ClipKind(1, 12, 5, strides=(1, 2, 3), filmed=True, boxed=0.3, share=0.3),
        ClipKind(1, 34, 5, strides=(1, 2), filmed=True, untaught=25, boxed=0.3, share=0.15),
    ),
)
"""Those of the third."""
STILLS_STAGE = Stage("stills", STEPS["stills"], 1.5e-3, 1.5e-3, warm_up=100, last_rate=0.1)
VIDEO_STAGE = Stage(
    "video", STEPS["video"], 7e-4, 1.2e-3, warm_up=60, last_rate=0.35, still_share=0.28
)
LONG_STAGE = Stage("long", STEPS["long"], 4e-4, 7e-4, warm_up=60, last_rate=0.01, still_share=0.2)
GENTLE_STAGE = replace(LONG_STAGE, rate=2.5e-4, memory_rate=4e-4, still_share=0.5)
"""The third where it goes on from a finished model, which higher rates would first undo.

Half of its batches are pictures: a step of them takes a sixth of the time, and masks out of boxes
are what the machine misses most."""
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
    team = trainer.team
    losses: list[float] = []
    ious: dict[str, list[float]] = {}
    for batch in batches:
        progress = stage.progress(trainer.step)
        if progress >= 1:
            break
        kind = "stills" if isinstance(batch, Stills) else f"{len(batch.pixels)} frames"
        with autocast_on_cpu():
            if isinstance(batch, Stills):
                loss, overlap = still_loss(trainer.model, trainer.heads, batch)
            else:
                share = TRUTH_SHARE * max(0.0, 1 - progress / TRUTH_UNTIL)
                share = 0.0 if stage.name == "long" else share
                number = trainer.step * team.size + team.place
                chance = torch.Generator().manual_seed(trainer.seed * 1_000_003 + number)
                loss, overlap = clip_loss(trainer.model, trainer.heads, batch, share, chance)
        trainer.update(loss, stage.factor(trainer.step))
        trainer.elapsed_s = time.monotonic() - started
        losses.append(float(loss.detach()))
        ious.setdefault(kind, []).append(overlap)
        if trainer.step % LOG_EVERY == 0 and team.leads:
            each = ", ".join(f"{k} {sum(v) / len(v):.3f}" for k, v in sorted(ious.items()))
            say(
                f"{stage.name} {trainer.step}/{stage.steps} ({progress:.1%}) loss"
                f" {sum(losses) / len(losses):.3f}, IoU {each}, {trainer.elapsed_s:.0f} s"
            )
            losses, ious = [], {}
        if habits.tell and team.leads:
            habits.tell(trainer.step)
        if trainer.step % habits.save_every == 0:
            trainer.save_state()
            if habits.reports and team.leads:
                report(trainer.average, stage.name, quick=True)
    trainer.save_state()


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


def loader(batches: StillBatches | MixedBatches) -> DataLoader:
    """One process that draws ahead; `batches` already are batches."""
    return DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=6)


def train(team: Team, arguments: argparse.Namespace) -> None:
    """Run all stages, or what is left of them, and write the model to `out`/model."""
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    stills = replace(STILLS_STAGE, steps=arguments.stills_steps)
    video = replace(VIDEO_STAGE, steps=arguments.video_steps)
    last = LONG_STAGE if arguments.start is None else GENTLE_STAGE
    long = replace(last, steps=arguments.long_steps)
    trainer = Trainer(arguments.out, arguments.seed, team)
    trainer.load_state([stills, video, long])
    team.wait()  # until all have read the state that the first will replace
    if trainer.step and team.leads:
        say(f"going on at step {trainer.step} of {trainer.stage}")
    elif arguments.start is not None:
        trainer.take(load(arguments.start))
        trainer.begin(long)
    progress = Progress(arguments.out, stills.steps + video.steps + long.steps)

    def habits(steps_before: int) -> Habits:
        return Habits(
            arguments.save_every,
            arguments.reports,
            lambda step: progress.tell(steps_before + step),
        )

    if trainer.stage in ("", "stills"):
        if not trainer.stage:
            trainer.begin(stills)
        pictures = StillBatches(
            arguments.seed,
            trainer.step,
            stills.steps,
            images=8,
            objects=4,
            pointed=POINTED_STILLS / 2,
            team=team,
        )
        run_stage(trainer, stills, loader(pictures), habits(0))
        trainer.begin(video)
    if trainer.stage == "video":
        mixed = MixedBatches(
            arguments.seed,
            trainer.step,
            video.steps,
            images=8,
            objects=4,
            parts=GROWING,
            still_share=video.still_share,
            team=team,
        )
        run_stage(trainer, video, loader(mixed), habits(stills.steps))
        trainer.begin(long)
    mixed = MixedBatches(
        arguments.seed + 1,
        trainer.step,
        long.steps,
        images=8,
        objects=5,
        parts=LONG,
        still_share=long.still_share,
        team=team,
    )
    run_stage(trainer, long, loader(mixed), habits(stills.steps + video.steps))
    if not team.leads:
        return
    if arguments.calibration_clips:
        calibrate(trainer.average, arguments.calibration_clips)
    save(trainer.average, arguments.out / "model")
    if arguments.reports:
        report(trainer.average, "video", quick=False)


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
