"""`gsam train`: make a detector that knows a user's own objects, or the bundled models anew."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gsam_ros.commands import train_demo
from gsam_ros.commands.common import above_zero, count, fail, folder, number, positive

if TYPE_CHECKING:
    from gsam_ros.training.fine_tuning.settings import FineTuneSettings

ABOUT = "fine-tune a detector on images of your own, or make the bundled models anew"

_share = number(float, lambda n: 0 <= n < 1, "a number from 0 to below 1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gsam train`."""
    models = parser.add_subparsers(required=True, metavar="MODEL")
    detector = models.add_parser("detector", help="Grounding DINO, on COCO data")
    detector.add_argument("--data", type=Path, required=True, help="COCO file (.json)")
    detector.add_argument("--images", type=Path, required=True, help="folder of its images")
    detector.add_argument(
        "--from",
        dest="start",
        required=True,
        metavar="CHECKPOINT",
        help="what to start from: bundled name, folder, or hub id",
    )
    detector.add_argument(
        "--out",
        type=folder,
        required=True,
        help="folder for the best checkpoint; where it holds an interrupted training, that goes on",
    )
    _add_data_arguments(detector)
    _add_optimiser_arguments(detector)
    detector.set_defaults(
        memory_advice="lower --batch and raise --accumulate by as much, or give --bf16, "
        "--freeze backbone text, or a lower --denoising"
    )
    demo = models.add_parser("demo", help=train_demo.ABOUT)
    train_demo.add_arguments(demo)
    demo.set_defaults(run=train_demo.run)


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--phrases",
        choices=("categories", "captions"),
        default="categories",
        help="what names the objects; captions: each annotation's `caption`, or its "
        "`tokens_positive` in the image's",
    )
    parser.add_argument(
        "--negatives",
        type=count,
        help="phrases in a prompt of which nothing is there (default: 15; 0 with captions, since "
        "another image's may be true as well)",
    )
    parser.add_argument("--validation", type=Path, metavar="DATA", help="COCO file to measure on")
    parser.add_argument("--validation-images", type=Path, metavar="DIR", help="default: --images")
    parser.add_argument(
        "--validation-share",
        type=_share,
        default=0.1,
        help="without --validation: share of the images to measure on (default: 0.1)",
    )
    parser.add_argument(
        "--augment",
        choices=("none", "flip", "crop"),
        default="crop",
        help="flip: mirror half of the images, not where left and right matter; crop: cut and "
        "shrink some besides (default)",
    )
    parser.add_argument("--workers", type=count, default=2, help="processes that make batches (2)")


def _add_optimiser_arguments(parser: argparse.ArgumentParser) -> None:
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs", type=above_zero, default=20.0, help="times through the images (20)"
    )
    length.add_argument("--steps", type=positive, help="of the optimiser, instead of --epochs")
    parser.add_argument(
        "--batch", type=positive, default=4, help="images a device takes at once (4)"
    )
    parser.add_argument("--accumulate", type=positive, default=1, help="batches a step sums up (1)")
    parser.add_argument("--rate", type=above_zero, default=1e-4, help="learning rate (1e-4)")
    parser.add_argument(
        "--freeze", nargs="+", choices=("backbone", "text"), default=[], help="what not to change"
    )
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16")
    parser.add_argument(
        "--ema", type=_share, default=0.998, help="decay of the weights' average (0.998); 0: none"
    )
    parser.add_argument(
        "--denoising", type=count, default=100, help="denoising queries an image (100); 0: none"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (0)")
    parser.add_argument(
        "--every",
        type=positive,
        default=500,
        help="steps between measurements, which a kill loses (500)",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu"), default="auto", help="cpu leaves a GPU alone"
    )


def run(options: argparse.Namespace) -> int:
    """Check the data, then train."""
    from tqdm import tqdm

    from gsam_ros.checkpoints import CheckpointError
    from gsam_ros.training.fine_tuning.coco_batches import split
    from gsam_ros.training.fine_tuning.coco_boxes import CocoError
    from gsam_ros.training.fine_tuning.coco_reading import read_coco
    from gsam_ros.training.fine_tuning.fine_tune import FineTuning
    from gsam_ros.training.fine_tuning.settings import FineTuneError

    def tell(text: str) -> None:
        tqdm.write(f"gsam: {text}", file=sys.stderr)  # above a progress bar, where there is one

    try:
        data = read_coco(options.data, options.images, options.phrases)
        validation = None
        if options.validation is not None:
            folder = options.validation_images or options.images
            validation = read_coco(options.validation, folder, options.phrases)
        else:
            data, validation = split(data, options.validation_share, options.seed)
        for note in (*data.notes, *(validation.notes if validation else ())):
            tell(note)
        if validation and not any(len(image.boxes) for image in validation.images):
            raise CocoError(
                f"none of the {len(validation.images)} images for validation has an object: give "
                "another --validation or --validation-share"
            )
        settings = _settings(options, len(data.images))
        training = FineTuning(
            settings, data, validation, options.out, options.device == "cpu", options.workers
        )
        if (done := training.begin()) is not None:
            tell(f"going on from step {done} of {options.out}")
        progress = training.run(options.every, tell)
    except (CheckpointError, CocoError, FineTuneError, OSError) as error:
        return fail(str(error))
    if training.leads:
        best = f" with AP50 {progress.best:.3f} in validation" if validation else ""
        print(f"the best checkpoint{best} is in {options.out}")
    return 0


def _settings(options: argparse.Namespace, images: int) -> FineTuneSettings:
    from gsam_ros.training.fine_tuning.settings import FineTuneSettings

    negatives = options.negatives
    if negatives is None:
        negatives = 15 if options.phrases == "categories" else 0
    steps = options.steps
    if steps is None:
        # `accelerate launch` and torchrun tell how many processes share the images.
        together = options.batch * options.accumulate * int(os.environ.get("WORLD_SIZE", "1"))
        steps = max(math.ceil(options.epochs * images / together), 1)
    return FineTuneSettings(
        start=options.start,
        data=str(options.data),
        images=str(options.images),
        phrases=options.phrases,
        negatives=negatives,
        validation=str(options.validation or ""),
        validation_images=str(options.validation_images or ""),
        validation_share=options.validation_share,
        seed=options.seed,
        steps=steps,
        batch=options.batch,
        accumulate=options.accumulate,
        rate=options.rate,
        average=options.ema,
        denoising=options.denoising,
        freeze=tuple(sorted(options.freeze)),
        bf16=options.bf16,
        augment=options.augment,
    )
