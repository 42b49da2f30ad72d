"""Fine-tune any Grounding DINO checkpoint on COCO data.

Devices, mixed precision and several processes are accelerate's part. Batches are numbered, and
what each holds depends on its number alone; so an interrupted training goes on as if nothing had
been.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import (
    DistributedDataParallelKwargs,
    InitProcessGroupKwargs,
    broadcast_object_list,
    set_seed,
)
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm
from transformers import GroundingDinoForObjectDetection
from transformers.utils import logging as transformers_logging

from gsam_ros import checkpoints
from gsam_ros.number_formats import has_bfloat16
from gsam_ros.training.detector.optimisation import Average, parameter_groups, rate_factor
from gsam_ros.training.fine_tuning.coco_batches import BatchMaker, CocoBatches, in_turn
from gsam_ros.training.fine_tuning.coco_boxes import CocoBoxes
from gsam_ros.training.fine_tuning.coco_prompts import PromptMaker
from gsam_ros.training.fine_tuning.loss import DetectorLoss
from gsam_ros.training.fine_tuning.settings import (
    FineTuneError,
    FineTuneSettings,
    claim_folder,
)
from gsam_ros.training.fine_tuning.shelf import Reached, Shelf


class FineTuning:
    """One training, with all that it needs to go on."""

    def __init__(
        self,
        settings: FineTuneSettings,
        data: CocoBoxes,
        validation: CocoBoxes | None,
        out: Path,
        cpu: bool,
        workers: int,
    ) -> None:
        """Load the checkpoint and prepare everything.

        Args:
            settings: what to do.
            data: to train on.
            validation: to measure on, if anything.
            out: the folder.
            cpu: whether to leave a GPU alone.
            workers: processes that make batches.

        Raises:
            CheckpointError: the checkpoint can't be loaded.
            CocoError: phrases are too long for it.
            FineTuneError: bfloat16 is asked of a device that does not compute in it.
        """
        self.settings, self.workers = settings, workers
        _silence_libraries()
        set_seed(settings.seed)
        model = checkpoints.load(
            GroundingDinoForObjectDetection,
            settings.start,
            "grounding-dino",
            torch.device("cpu"),
            torch.float32,
        )
        tokenizer, processor = checkpoints.load_processors(settings.start)
        limit = model.config.max_text_len
        prompts = PromptMaker(data.phrases, tokenizer, limit, settings.negatives)
        if validation:
            PromptMaker(validation.phrases, tokenizer, limit, 0)  # complains of those too long
        maker = BatchMaker(tokenizer, processor, prompts, settings.noise, settings.augment)
        self.batches = CocoBatches(data, maker, settings.batch, settings.seed)
        whole = settings.phrases == "categories"
        self.shelf = Shelf(out, (tokenizer, processor), validation, whole)

        _check_bfloat16(settings, PartialState(cpu=cpu).device)
        self.accelerator = _accelerator(cpu, settings.bf16)
        set_trainable(model, settings.freeze)
        loss = DetectorLoss(model, settings.denoising > 0)
        optimiser = self._optimiser(loss)
        self.loss, self.optimiser = self.accelerator.prepare(loss, optimiser)
        self.schedule = LambdaLR(optimiser, self._rate_factor)
        self.model = self.accelerator.unwrap_model(self.loss).model
        self.average = Average(self.model, settings.average) if settings.average else None
        self.progress = Reached()
        kept = [self.schedule, self.progress, *([self.average.model] if self.average else [])]
        self.accelerator.register_for_checkpointing(*kept)

    def _optimiser(self, loss: DetectorLoss) -> torch.optim.AdamW:
        groups = parameter_groups([loss], self.settings.rate, self._rate_share)
        return torch.optim.AdamW(
            [{"params": g["params"], "lr": g["full_rate"]} for g in groups],
            weight_decay=self.settings.weight_decay,
        )

    @property
    def leads(self) -> bool:
        """Whether this is the process, of several, that writes and tells."""
        return self.accelerator.is_main_process

    def begin(self) -> int | None:
        """Take the folder for this training, and go on with it where it was begun before.

        Returns:
            The steps that are done, or None where it is new.

        Raises:
            FineTuneError: the folder holds another training.
        """
        # One process looks for all: another might look when the first has written already.
        told: list[Any] = [None, ""]
        if self.leads:
            try:
                told[0] = claim_folder(self.shelf.out, self.settings)
            except FineTuneError as error:
                told[1] = str(error)
        broadcast_object_list(told)
        known, complaint = told
        if complaint:
            raise FineTuneError(complaint)
        return self._resume() if known else None

    def _resume(self) -> int:
        if self.leads:
            self.shelf.mend()
        self.accelerator.wait_for_everyone()
        if self.shelf.state.is_dir():
            self.accelerator.load_state(str(self.shelf.state))
        return self.progress.step

    def run(self, every: int, tell: Callable[[str], None]) -> Reached:
        """Train to the end; measure and secure every `every` steps.

        Raises:
            CocoError: an image can't be read.
            FineTuneError: the loss is not a number any more.
        """
        settings, progress = self.settings, self.progress
        if progress.step == 0 and not progress.history and self.shelf.validation is not None:
            self._secure({"step": 0}, tell)
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        first, last = (s * settings.accumulate for s in (progress.step, settings.steps))
        numbers = range(first * world + rank, last * world, world)
        batches = in_turn(self.batches, numbers, self.workers)
        sums: dict[str, float] = {}
        since = 0
        with tqdm(
            total=settings.steps, initial=progress.step, unit="step", disable=not self.leads
        ) as bar:
            while progress.step < settings.steps:
                window = [next(batches) for _ in range(settings.accumulate)]
                for name, value in self._step(window).items():
                    sums[name] = sums.get(name, 0.0) + value
                progress.step += 1
                bar.update()
                since += 1
                means = {name: value / since for name, value in sums.items()}
                bar.set_postfix({name: f"{value:.2f}" for name, value in means.items()})
                if progress.step % every == 0 or progress.step == settings.steps:
                    self._secure({"step": progress.step, "loss": means}, tell)
                    sums, since = {}, 0
        return progress

    def _step(self, window: list[Any]) -> dict[str, float]:
        """One step of the optimiser over batches; returns the loss per object by part."""
        device, world = self.accelerator.device, self.accelerator.num_processes
        own = torch.tensor(float(sum(batch.targets.count for batch in window)), device=device)
        # Over all batches and devices, so that every object weighs the same, wherever it is.
        objects = self.accelerator.reduce(own, "sum").clamp(min=1)
        total: dict[str, float] = {}
        for number, batch in enumerate(window, start=1):
            alone = number < len(window)
            with self.accelerator.no_sync(self.loss) if alone else nullcontext():
                parts = self.loss(batch.to(device))
                # Devices' gradients are averaged.
                loss = torch.stack(list(parts.values())).sum() * world / objects
                self.accelerator.backward(loss)
            for name, part in parts.items():
                total[name] = total.get(name, 0.0) + float(part.detach() / objects) * world
        if not all(math.isfinite(value) for value in total.values()):
            raise FineTuneError(
                f"the loss is {total} at step {self.progress.step}: lower --rate, or train "
                "without --bf16"
            )
        self.accelerator.clip_grad_norm_(self.loss.parameters(), self.settings.clip)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average:
            self.average.update(self.model, self.progress.step)
        return total

    def _secure(self, entry: dict[str, Any], tell: Callable[[str], None]) -> None:
        """Write the checkpoint, measure it, keep it if it is the best, and secure the training."""
        if self.leads:
            model = self.average.model if self.average else self.model
            tell(self.shelf.keep_best(model, entry, self.progress, self.accelerator.device))
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(self.shelf.new_state))
        self.accelerator.wait_for_everyone()
        if self.leads:
            self.shelf.replace_state()
        self.accelerator.wait_for_everyone()

    def _rate_share(self, name: str) -> float:
        """Sampling offsets learn slowly (Deformable DETR, appendix A.2), as do trained parts."""
        if is_pretrained(name):
            return self.settings.pretrained_share
        return 0.1 if "sampling_offsets" in name else 1.0

    def _rate_factor(self, step: int) -> float:
        return rate_factor(step, step / self.settings.steps, max(self.settings.warmup, 1))


def is_pretrained(name: str) -> bool:
    """Whether a parameter is of the image backbone or the text encoder."""
    return "backbone.conv_encoder" in name or "text_backbone" in name


def _silence_libraries() -> None:
    transformers_logging.disable_progress_bar()
    # It tells at each saving that the heads share their weights, which is as it should be.
    logging.getLogger("accelerate.utils.other").setLevel(logging.ERROR)


def _check_bfloat16(settings: FineTuneSettings, device: torch.device) -> None:
    if settings.bf16 and not has_bfloat16(device):
        raise FineTuneError(
            f"--bf16: {device} only emulates bfloat16, slower than float32 and less exact: "
            "leave it out"
        )


def _accelerator(cpu: bool, bf16: bool) -> Accelerator:
    return Accelerator(
        cpu=cpu,
        mixed_precision="bf16" if bf16 else "no",
        kwargs_handlers=[
            DistributedDataParallelKwargs(find_unused_parameters=True),
            # The others wait while one validates.
            InitProcessGroupKwargs(timeout=timedelta(hours=12)),
        ],
    )


def set_trainable(model: GroundingDinoForObjectDetection, freeze: tuple[str, ...]) -> None:
    """Put the model into training mode, but for what is to be frozen: "backbone", "text"."""
    model.train().requires_grad_(True)
    core = model.model
    parts = {"backbone": core.backbone.conv_encoder, "text": core.text_backbone}
    for name in freeze:
        parts[name].eval().requires_grad_(False)  # without dropout, too
