"""Optimiser, schedule, weight average and log of the demo detector's training."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GroundingDinoForObjectDetection

from gsam_ros.training.together import Team

_EMA_DECAY = 0.998
_CLIP_NORM = 5.0
_WEIGHT_DECAY = 1e-3
_LOG_EVERY = 50


def rate_factor(step: int, progress: float, warmup: int) -> float:
    """Share of the full learning rate: linear warm-up by step, then a cosine to 0 by progress."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
    return min(1.0, (step + 1) / warmup) * cosine


def parameter_groups(
    modules: list[nn.Module], rate: float, share_of: Callable[[str], float] | None = None
) -> list[dict[str, Any]]:
    """Parameters by learning rate; `share_of` a parameter's name is its share of `rate`.

    By default sampling offsets learn at a tenth of it (Deformable DETR, appendix A.2), a backbone
    inside a whole detector at half of it, as it comes from a stage of its own.
    """
    share_of = share_of or _rate_share
    groups: dict[float, list[nn.Parameter]] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                share = share_of(name)
                groups.setdefault(share, []).append(parameter)
    return [{"params": params, "full_rate": share * rate} for share, params in groups.items()]


def _rate_share(name: str) -> float:
    if "sampling_offsets" in name:
        return 0.1
    return 0.5 if "conv_encoder" in name else 1.0


class Average:
    """Exponential moving average of a detector's weights and running statistics."""

    def __init__(self, model: GroundingDinoForObjectDetection, decay: float = _EMA_DECAY) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards `model`, faster while it is young."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(self._tensors(self.model), self._tensors(model), strict=True):
            mean.lerp_(value, 1 - decay)

    @staticmethod
    def _tensors(model: nn.Module) -> list[Tensor]:
        tensors = [*model.parameters(), *model.buffers()]
        return [tensor for tensor in tensors if tensor.is_floating_point()]


class Stage:
    """The optimiser of one stage of training and its schedule.

    `steps` is the stage's length and `budget` its longest duration in minutes (0: no limit).
    """

    def __init__(
        self,
        modules: list[nn.Module],
        rate: float,
        steps: int,
        warmup: int,
        budget: float = 0.0,
        team: Team | None = None,
    ) -> None:
        groups = parameter_groups(modules, rate)
        self.parameters = [p for group in groups for p in group["params"]]
        self.optimiser = torch.optim.AdamW(groups, lr=rate, weight_decay=_WEIGHT_DECAY)
        self.steps, self.warmup, self.budget = steps, warmup, budget
        self.team = team or Team()
        self.step = 0
        self.minutes = 0.0

    @property
    def progress(self) -> float:
        """How far the stage has come, 0 to 1, by steps or by time, whichever is further."""
        elapsed = self.minutes / self.budget if self.budget > 0 else 0.0
        return max(self.step / self.steps, elapsed)

    def advance(self, loss: Tensor) -> None:
        """One optimiser step down `loss`, of a team down the mean of its losses."""
        factor = rate_factor(self.step, self.progress, self.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = group["full_rate"] * factor
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.team.average_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, _CLIP_NORM)
        self.optimiser.step()
        self.step += 1

    def tick(self, minutes: float) -> None:
        """Account for wall-clock time."""
        self.minutes += minutes


class Log:
    """Mean losses, printed now and then."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.count = 0
        self.clock = time.monotonic()

    def add(self, stage: str, state: Stage, losses: dict[str, Tensor]) -> None:
        """Count one step's losses; print every `_LOG_EVERY` steps."""
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(loss.detach())
        self.count += 1
        if self.count < _LOG_EVERY:
            return
        means = "  ".join(f"{name} {total / self.count:.3f}" for name, total in self.sums.items())
        now = time.monotonic()
        pace = (now - self.clock) / self.count
        print(
            f"{stage} {state.step}/{state.steps}  {means}  {pace:.2f} s a step"
            f"  {100 * state.progress:.0f} %",
            flush=True,
        )
        self.sums, self.count, self.clock = {}, 0, now
