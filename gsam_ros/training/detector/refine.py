"""Teach a detector of the demo world to leave alone what nobody asks for.

    python -m gsam_ros.training.detector.refine --from FOLDER --out DIR

The last stage of `train`. Until then, prompts mostly name something that is there, and a
detector learns to prefer the phrase that fits best. Asked for a red star alone it then takes a red
cross. Here half of the prompts are about nothing in the picture, and close to it. One or more
processes of one torch thread each; interrupted, the same command goes on from `DIR/refined.pt`.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gsam_ros.number_formats import autocast_on_cpu
from gsam_ros.training.detector.data import Batch, DetectorBatches, load_batches, normalise
from gsam_ros.training.detector.loss import detection_loss
from gsam_ros.training.detector.model import load_to_train, save_detector
from gsam_ros.training.detector.optimisation import Average, Log, Stage
from gsam_ros.training.detector.prompts import PromptMix
from gsam_ros.training.progress_file import ProgressFile
from gsam_ros.training.together import Team, run_together

STATE = "refined.pt"
PROCESSES = 2
MIX = PromptMix(nothing=0.5, most_of_nothing=4, opened=0.3)
FILMED = 0.8
"""Share of the pictures of a camera's shape that show rooms, where things hide one another."""
SCALE = 1.5
"""How much larger the pictures get: 384x288 pixels of a 4:3 camera.

Learning what things are is cheaper on small pictures; where they end, and the half of a thing that
shows, is seen on larger ones.
"""
_SEED_OFFSET = 2_000_000
_AVERAGE_DECAY = 0.995


@dataclass(frozen=True)
class RefiningSettings:
    """Everything that decides what the stage makes of a detector."""

    seed: int = 0
    steps: int = 700
    batch: int = 8
    """Pictures of each process."""
    rate: float = 1.5e-4
    warmup: int = 50


class Refinement:
    """The stage, with all that it needs to go on."""

    def __init__(self, start: Path, settings: RefiningSettings, team: Team | None = None) -> None:
        """Begin with the detector in the folder `start`."""
        self.settings, self.team = settings, team or Team()
        self.model = load_to_train(start)
        self.stage = Stage(
            [self.model], settings.rate, settings.steps, settings.warmup, team=self.team
        )
        self.average = Average(self.model, _AVERAGE_DECAY)

    def run(self, out: Path, save_every: int, progress: ProgressFile | None = None) -> None:
        """Train to the end; every `save_every` steps all is written to `out`."""
        settings, stage, log = self.settings, self.stage, Log()
        seed = settings.seed + _SEED_OFFSET
        batches = DetectorBatches(seed, settings.batch, MIX, self.team, FILMED, SCALE)
        for batch in load_batches(batches, stage.step, settings.steps):
            losses = self._losses(batch)
            stage.advance(torch.stack(list(losses.values())).sum())
            self.average.update(self.model, stage.step)
            if not self.team.leads:
                continue
            log.add("refining", stage, losses)
            if progress:
                progress.tell(stage.step)
            if stage.step % save_every == 0:
                self.save(out)
        if self.team.leads:  # also where a kill came between the last state and its model
            self.save(out)

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        pixels = normalise(batch.images)
        with autocast_on_cpu():
            return detection_loss(
                self.model, pixels, batch.input_ids, batch.targets, batch.level_shapes, None
            )

    def save(self, out: Path) -> None:
        """Write the state, then the averaged model, to `out`."""
        out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimiser": self.stage.optimiser.state_dict(),
            "step": self.stage.step,
        }
        torch.save(state, out / "refined.new")
        os.replace(out / "refined.new", out / STATE)
        save_detector(self.average.model, out, SCALE)

    def load(self, path: Path) -> None:
        """Go on from a state of the same settings."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.model.load_state_dict(state["average"])
        self.stage.optimiser.load_state_dict(state["optimiser"])
        self.stage.step = state["step"]


def refine(
    team: Team,
    start: Path,
    out: Path,
    settings: RefiningSettings,
    save_every: int,
    steps_before: int = 0,
) -> None:
    """Run the stage, or what is left of it, as one process of `team`.

    Args:
        team: the processes.
        start: folder of the detector to begin with; may be `out`.
        out: folder for the state and the model.
        settings: of the stage.
        save_every: steps between states.
        steps_before: of the stages before, for the progress that is told.
    """
    torch.set_num_threads(1)
    training = Refinement(start, settings, team)
    state = out / STATE
    if state.is_file():
        training.load(state)
        if team.leads:
            print(f"going on from step {training.stage.step} of {state}", flush=True)
    team.wait()  # until all have read what the first will write anew
    progress = ProgressFile(out, settings.steps, steps_before) if team.leads else None
    training.run(out, save_every, progress)


def main() -> None:
    """Entry point of `python -m gsam_ros.training.detector.refine`."""
    defaults = RefiningSettings()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--from", dest="start", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--processes", type=int, default=PROCESSES, help="one thread each")
    parser.add_argument("--save-every", type=int, default=100, help="steps between states")
    options = parser.parse_args()
    settings = RefiningSettings(seed=options.seed, steps=options.steps)
    work = (options.start, options.out, settings, options.save_every)
    run_together(options.processes, refine, *work)


if __name__ == "__main__":
    main()
