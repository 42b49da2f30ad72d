"""What decides how a detector is fine-tuned."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gsam_ros.training.detector.denoising import NoiseSettings


class FineTuneError(RuntimeError):
    """Training that can't start or go on; the message says why and what to do."""


@dataclass(frozen=True)
class FineTuneSettings:
    """Everything that decides what comes out, given the data.

    Attributes:
        start: the checkpoint, as in `checkpoints.locate`.
        data: COCO file.
        images: folder of its images.
        phrases: where they come from, "categories" or "captions".
        negatives: phrases a prompt has at most of which nothing is in the image.
        validation: COCO file to measure on; empty: `validation_share` of the data is.
        validation_images: folder of its images.
        validation_share: taken away from training at random; 0: nothing is measured.
        seed: of everything that is random.
        steps: of the optimiser.
        batch: images a step and process take at a time.
        accumulate: such batches a step sums up.
        rate: learning rate of what is neither backbone nor text encoder.
        pretrained_share: of the rate that those two get.
        warmup: steps until the full rate.
        weight_decay: of AdamW.
        clip: longest gradient.
        average: decay of the moving average of the weights, which is what is kept; 0: none.
        denoising: queries an image, 0 for none.
        box_noise: as in `NoiseSettings`.
        phrase_noise: likewise.
        freeze: "backbone", "text" or both are left as they are.
        bf16: compute in bfloat16 where autocast allows it.
        augment: "none", "flip" or "crop", see `coco_batches.BatchMaker`.
    """

    start: str
    data: str
    images: str
    phrases: str = "categories"
    negatives: int = 15
    validation: str = ""
    validation_images: str = ""
    validation_share: float = 0.1
    seed: int = 0
    steps: int = 1000
    batch: int = 4
    accumulate: int = 1
    rate: float = 1e-4
    pretrained_share: float = 0.1
    warmup: int = 50
    weight_decay: float = 1e-4
    clip: float = 0.1
    average: float = 0.998
    denoising: int = 100
    box_noise: float = 0.4
    phrase_noise: float = 0.25
    freeze: tuple[str, ...] = ()
    bf16: bool = False
    augment: str = "crop"

    @property
    def noise(self) -> NoiseSettings | None:
        """Of the denoising queries."""
        if self.denoising == 0:
            return None
        return NoiseSettings(self.denoising, self.box_noise, self.phrase_noise)


def claim_folder(folder: Path, settings: FineTuneSettings) -> bool:
    """Take `folder` for a training with these settings; returns whether one is to be gone on with.

    Raises:
        FineTuneError: it holds another training.
    """
    record = folder / "training" / "settings.json"
    own = json.loads(json.dumps(asdict(settings)))
    if not record.is_file():
        if (folder / "config.json").exists():
            raise FineTuneError(
                f"{folder} holds a model already, and no training of it: give another --out"
            )
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(own, indent=2) + "\n")
        return False
    known: dict[str, Any] = json.loads(record.read_text())
    changed = [
        f"{name} ({known.get(name)!r}, now {value!r})"
        for name, value in own.items()
        if known.get(name) != value
    ]
    if changed:
        raise FineTuneError(
            f"{folder} holds a training with other settings: {', '.join(changed)}; give the same "
            "to go on with it, or another --out"
        )
    return True
