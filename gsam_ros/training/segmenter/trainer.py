"""Stages of a training run, and what has to be kept of one that is to go on later."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import Sam2VideoModel

from gsam_ros.training.segmenter.clips import ClipKind
from gsam_ros.training.segmenter.loss import Heads
from gsam_ros.training.segmenter.model import new_model, save
from gsam_ros.training.together import Team

EMA_DECAY = 0.997
CLIP_NORM = 2.0


@dataclass(frozen=True)
class Stage:
    """One part of the training."""

    name: str
    steps: int
    rate: float
    memory_rate: float
    """Learning rate of the memory and of the object score."""
    warm_up: int
    last_rate: float
    """Share of the rate that is left at the end."""
    parts: tuple[tuple[ClipKind, ...], ...] = ()
    """Kinds of clips in each equal part of the stage; none: pictures alone."""
    still_share: float = 0.0
    """How many of the batches are pictures, where the stage has clips."""
    objects: int = 4
    """In a picture."""

    def progress(self, step: int) -> float:
        """Share of the steps done, 0 to 1."""
        return min(step / self.steps, 1.0)

    def factor(self, step: int) -> float:
        """What the rates are multiplied by: a ramp, then half a cosine down to `last_rate`."""
        fall = 0.5 * (1 + math.cos(math.pi * self.progress(step)))
        return min((step + 1) / self.warm_up, 1.0) * (self.last_rate + (1 - self.last_rate) * fall)


class Trainer:
    """Model, averaged model and optimiser, and where they stand."""

    def __init__(self, out: Path, seed: int, team: Team | None = None) -> None:
        self.out = out
        self.seed = seed
        self.team = team or Team()
        self.model = new_model(seed)
        # On a CPU the fused attention's backward pass is slower than the plain one's.
        self.model.set_attn_implementation("eager")
        self.heads: Heads | None = Heads()
        self.average = deepcopy(self.model).eval().requires_grad_(False)
        self.optimiser: torch.optim.AdamW | None = None
        self.stage = ""
        self.step = 0
        self.elapsed_s = 0.0

    def take(self, model: Sam2VideoModel) -> None:
        """Go on from a finished model. Its extra heads are gone, and new ones would shake it."""
        self.model.load_state_dict(model.state_dict())
        self.average.load_state_dict(model.state_dict())
        self.heads = None

    def begin(self, stage: Stage) -> None:
        """Start a stage with a fresh optimiser."""
        self.stage, self.step, self.elapsed_s = stage.name, 0, 0.0
        self.optimiser = torch.optim.AdamW(self._groups(stage), betas=(0.9, 0.98), eps=1e-8)

    def _groups(self, stage: Stage) -> list[dict]:
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        named = list(self.model.named_parameters())
        if self.heads is not None:
            named += self.heads.named_parameters(prefix="heads")
        for name, parameter in named:
            memory = "mem" in name or "object_pointer" in name or "obj_score" in name
            groups.setdefault((memory, parameter.ndim > 1), []).append(parameter)
        return [
            {
                "params": parameters,
                "rate": stage.memory_rate if memory else stage.rate,
                "weight_decay": 1e-2 if matrix else 0.0,
            }
            for (memory, matrix), parameters in groups.items()
        ]

    def update(self, loss: Tensor, factor: float) -> None:
        """One step of the optimiser, and of the average."""
        assert self.optimiser is not None
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * factor
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        parameters = list(self.model.parameters())
        heads = [] if self.heads is None else list(self.heads.parameters())
        self.team.average_gradients([*parameters, *heads])
        norm = nn.utils.clip_grad_norm_([*parameters, *heads], CLIP_NORM)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        decay = min(EMA_DECAY, (self.step + 10) / (self.step + 50))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), parameters, 1 - decay)
            for mine, theirs in zip(self.average.buffers(), self.model.buffers(), strict=True):
                mine.copy_(theirs)

    def save_state(self) -> None:
        """Write everything that going on needs, so that a crash half-way leaves the old file.

        Of several processes, whose states are equal, the first one writes.
        """
        if not self.team.leads:
            return
        assert self.optimiser is not None
        state = {
            "model": self.model.state_dict(),
            "heads": None if self.heads is None else self.heads.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "stage": self.stage,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        partial = self.out / "state.partial"
        torch.save(state, partial)
        partial.replace(self.out / "state.pt")
        save(self.average, self.out / "model")

    def load_state(self, stages: list[Stage]) -> None:
        """Take up the run in `out`, if there is one."""
        path = self.out / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        if state["heads"] is None:
            self.heads = None
        self.begin(next(stage for stage in stages if stage.name == state["stage"]))
        assert self.optimiser is not None
        rates = [group["rate"] for group in self.optimiser.param_groups]
        self.model.load_state_dict(state["model"])
        if self.heads is not None:
            self.heads.load_state_dict(state["heads"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["rate"] = rate
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
