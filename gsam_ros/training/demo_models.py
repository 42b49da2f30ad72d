"""The trainings of both bundled models, each in processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

import gsam_ros
from gsam_ros.processes import Child, run_this_code
from gsam_ros.tables import as_markdown
from gsam_ros.training.detector import refine as refine_detector
from gsam_ros.training.detector import train as train_detector
from gsam_ros.training.progress_file import steps_done
from gsam_ros.training.segmenter import train as train_segmenter
from gsam_ros.training.world_figures import ROLES, rows

_STATES = 16  # that the detector's training keeps, one after the other
_LOOK_EVERY_S = 0.2

_TASKS = {"detector": "zero-shot-object-detection", "segmenter": "mask-generation"}
_CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: {task}
---

# demo-{role}

Made from nothing by gsam_ros {version} on its synthetic world, which is all that it knows:

    gsam train demo --out DIR --seed {seed} --share {share:g}

Steps: {steps}.

{figures}
"""


class DemoTrainingError(ValueError):
    """The folder can't be used; the message says why and what to give instead."""


class DemoTraining:
    """Both trainings of one folder.

    Attributes:
        models: by role, the folders that the finished models get.
        seed, share: as asked for.
    """

    def __init__(self, out: Path, seed: int, share: float) -> None:
        """Take the folder, which may hold an interrupted training of the same seed and steps.

        Raises:
            DemoTrainingError: it holds another training.
            OSError: it can't be written.
        """
        self.seed, self.share = seed, share
        self.models = {role: out / f"demo-{role}" for role in ROLES}
        self._states = {role: out / "training" / role for role in ROLES}
        whole = train_detector.Settings()
        detector = {
            "backbone": whole.backbone_steps,
            "detection": whole.steps,
            "refining": refine_detector.RefiningSettings.steps,
        }
        whole_steps = {"detector": detector, "segmenter": train_segmenter.STEPS}
        self.steps: dict[str, dict[str, int]] = {
            role: {stage: max(round(share * count), 1) for stage, count in stages.items()}
            for role, stages in whole_steps.items()
        }
        self._claim(out / "training" / "settings.json")

    def run(self) -> None:
        """Train what is not finished, one after the other, with a progress bar each.

        Raises:
            ProcessError: a training failed, and can go on later.
        """
        for role, folder in self.models.items():
            if not folder.exists():
                self._train(role)
                self._take(role)

    def _train(self, role: str) -> None:
        with ExitStack() as stack:
            child = self._start(role)
            stack.callback(child.stop)
            bar = tqdm(
                total=sum(self.steps[role].values()),
                initial=steps_done(self._states[role]),
                desc=role,
                unit="step",
                smoothing=0.05,
            )
            stack.enter_context(bar)
            status = child.status
            while status is None:
                time.sleep(_LOOK_EVERY_S)
                status = child.status
                bar.update(steps_done(self._states[role]) - bar.n)
        if status != 0:
            raise child.failure(f"the {role}'s training ended with status {status}")

    def told_steps(self, role: str) -> str:
        """The stages in a sentence."""
        parts = [f"{count} of {stage}" for stage, count in self.steps[role].items()]
        return f"{', '.join(parts[:-1])} and {parts[-1]}"

    def _claim(self, record: Path) -> None:
        own = {"seed": self.seed, "steps": self.steps}
        if record.is_file():
            known = json.loads(record.read_text())
            if known != own:
                raise DemoTrainingError(
                    f"{record.parents[1]} holds a training with seed {known['seed']} and steps "
                    f"{known['steps']}: give the same --seed and --share to go on with it, or "
                    "another --out"
                )
            return
        taken = [str(folder) for folder in self.models.values() if folder.exists()]
        if taken:
            raise DemoTrainingError(
                f"{' and '.join(taken)} exists already, and was not trained there: give another "
                "--out"
            )
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(own, indent=2) + "\n")

    def _start(self, role: str) -> Child:
        folder, steps = self._states[role], self.steps[role]
        if role == "detector":
            save_every = max(steps["detection"] // _STATES, 1)
            words = ["--backbone-steps", steps["backbone"], "--steps", steps["detection"]]
            words += ["--refining-steps", steps["refining"]]
        else:
            save_every = max(round(self.share * train_segmenter.Habits.save_every), 1)
            clips = round(self.share * train_segmenter.CALIBRATION_CLIPS)
            words = ["--calibration-clips", clips]
            for stage, count in steps.items():
                words += [f"--{stage}-steps", count]
        words += ["--out", folder, "--seed", self.seed, "--save-every", save_every]
        command = [sys.executable, "-m", f"gsam_ros.training.{role}.train", *map(str, words)]
        folder.mkdir(parents=True, exist_ok=True)
        return Child(role, command, folder.parent / f"{role}.log", _environment())

    def _take(self, role: str) -> None:
        """Put the finished model where it belongs, whole or not at all."""
        source = self._states[role] if role == "detector" else self._states[role] / "model"
        target = self.models[role]
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for name in _model_files(source):
            shutil.copy2(source / name, partial / name)
        partial.rename(target)


def write_card(role: str, folder: Path, training: DemoTraining, figures: dict[str, Any]) -> None:
    """Write README.md beside the weights: what made them, and the figures, if there are any."""
    told = "Nothing was measured."
    if figures:
        names = ("scenes", "stills", "clips", "long_clips", "returns")
        amounts = " ".join(
            f"--{name.replace('_', '-')} {figures[name]}" for name in names if name in figures
        )
        table = as_markdown(rows(figures, ROLES[role][1]))
        told = f"`gsam evaluate world --{role} DIR/demo-{role} {amounts}`:\n\n{table}"
    card = _CARD.format(
        role=role,
        task=_TASKS[role],
        version=gsam_ros.__version__,
        seed=training.seed,
        share=training.share,
        steps=training.told_steps(role),
        figures=told,
    )
    (folder / "README.md").write_text(card)


def _model_files(folder: Path) -> Sequence[str]:
    """What transformers wrote, not what training keeps beside it."""
    own = ("training.json", "progress.json")
    found = [*folder.glob("*.json"), *folder.glob("*.safetensors")]
    return [path.name for path in found if path.name not in own]


def _environment() -> dict[str, str]:
    """That of this process, for one that computes in one thread, with the same code."""
    environment = dict(os.environ)
    environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
    environment.setdefault("MALLOC_ARENA_MAX", "1")
    run_this_code(environment)
    return environment
