"""What fine-tuning leaves on disk: the best checkpoint, its figures, and a state to go on from."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import (
    BaseImageProcessor,
    GroundingDinoForObjectDetection,
    PreTrainedTokenizerBase,
)

from gsam_ros.training.fine_tuning.coco_boxes import CocoBoxes
from gsam_ros.training.fine_tuning.validation import measure


@dataclass
class Reached:
    """How far training has come; part of what is kept of it."""

    step: int = 0
    best: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.best, self.history = state["step"], state["best"], state["history"]


@dataclass(frozen=True)
class Shelf:
    """A training's folder, with these in it.

        config.json, model.safetensors, ...   the best checkpoint so far, or the last where nothing
                                              is measured, in Hugging Face format
        training/settings.json                what was asked for
        training/history.json                 losses and validation
        training/state/                       to go on from

    Attributes:
        out: the folder.
        processors: the checkpoint's tokenizer and image processor, which belong to it.
        validation: data to measure on, if any.
        whole_prompt: as in `measure`.
    """

    out: Path
    processors: tuple[PreTrainedTokenizerBase, BaseImageProcessor]
    validation: CocoBoxes | None
    whole_prompt: bool

    @property
    def state(self) -> Path:
        return self.out / "training" / "state"

    @property
    def new_state(self) -> Path:
        """Where the next state is written before it takes the place of the old one."""
        return self.state.with_name("state.new")

    @property
    def _old_state(self) -> Path:
        return self.state.with_name("state.old")

    def replace_state(self) -> None:
        """Put the new state in the old one's place; there is a whole one at any moment."""
        shutil.rmtree(self._old_state, ignore_errors=True)
        if self.state.is_dir():
            self.state.rename(self._old_state)
        self.new_state.rename(self.state)
        shutil.rmtree(self._old_state, ignore_errors=True)

    def mend(self) -> None:
        """Undo half of a replacement, and forget a state that was not written to its end."""
        if self._old_state.is_dir() and not self.state.is_dir():
            self._old_state.rename(self.state)
        shutil.rmtree(self.new_state, ignore_errors=True)

    def keep_best(
        self,
        model: GroundingDinoForObjectDetection,
        entry: dict[str, Any],
        progress: Reached,
        device: torch.device,
    ) -> str:
        """Measure a model and keep it if it is the best; returns what happened, in words.

        Args:
            model: to be kept.
            entry: step and losses for the history, to which the figures are added.
            progress: gets the entry.
            device: to measure on.
        """
        candidate = self.out / "training" / "candidate"
        for part in (model, *self.processors):
            part.save_pretrained(candidate)
        words, better = f"step {entry['step']}", True
        if self.validation is not None:
            random = torch.get_rng_state()
            figures = measure(candidate, self.validation, device, self.whole_prompt)
            torch.set_rng_state(random)
            entry |= {"ap50": figures.ap50, "ap": figures.ap, "ap50_by_phrase": figures.by_phrase}
            better = figures.ap50 > progress.best
            words += f": validation AP50 {figures.ap50:.3f}, AP {figures.ap:.3f}"
            words += ", the best so far" if better else ""
            progress.best = max(figures.ap50, progress.best)
        if better:
            for file in sorted(candidate.iterdir()):
                os.replace(file, self.out / file.name)
        shutil.rmtree(candidate)
        progress.history.append(entry)
        history = json.dumps(progress.history, indent=2) + "\n"
        (self.out / "training" / "history.json").write_text(history)
        return words
