"""What denoising does to a detector's training: AP50 against steps, with and without it.

    OMP_NUM_THREADS=1 python -m benchmark.denoising --out out/denoising

Two detectors of the bundled one's architecture start from its backbone and text encoder, as
Grounding DINO starts from Swin and BERT, and from random weights for the rest. They see the same
batches in turn, small pictures of up to four objects, and have the same schedule; one has denoising
queries besides. So they share the machine's load, too, and their time can be compared. Every so
many steps the averaged weights of both are measured on scenes that training never draws.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from transformers.utils import logging as transformers_logging

from gsam_ros.checkpoints import locate
from gsam_ros.training.detector_data import TRAINING_PAIRS, Batch, DetectorBatches, make_batch
from gsam_ros.training.detector_model import save_detector
from gsam_ros.training.evaluate_detector import Detector, average_precision, examine
from gsam_ros.training.train_detector import DetectorTraining, Settings
from gsam_ros.world.stills import Still, draw_still
from gsam_ros.world.vocabulary import HELD_OUT, SEEN, Pair

WITHOUT, WITH = "without denoising", "with denoising"
_TEST_SEED = 2_000_000_007


class SmallBatches(DetectorBatches):
    """The training's batches in small: pictures of 128x96 pixels."""

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng([self.seed, index])
        stills = [draw_small(rng, TRAINING_PAIRS) for _ in range(self.batch_size)]
        return make_batch(rng, stills, self.tokenizer)


def draw_small(rng: np.random.Generator, pairs: Sequence[Pair]) -> Still:
    """A picture of up to four objects, of a quarter to a half of its height."""
    return draw_still(rng, 96, 128, pairs, max_objects=4, share=(0.25, 0.5))


def start(settings: Settings, queries: int) -> dict[str, DetectorTraining]:
    """Both trainings, with the same weights."""
    bundled = load_file(Path(locate("demo-detector")) / "model.safetensors")
    learned = ("model.backbone.conv_encoder.", "model.text_backbone.")
    known = {name: value.float() for name, value in bundled.items() if name.startswith(learned)}
    trainings = {}
    for name, count in ((WITHOUT, 0), (WITH, queries)):
        training = DetectorTraining(replace(settings, denoising=count))
        lost = training.model.load_state_dict(known, strict=False)
        assert not lost.unexpected_keys
        training.average.model.load_state_dict(training.model.state_dict())
        trainings[name] = training
    return trainings


def measure(training: DetectorTraining, scenes: int) -> dict[str, float]:
    """AP50 of the averaged weights, on pairs that were seen and on held-out ones."""
    with tempfile.TemporaryDirectory() as folder:
        save_detector(training.average.model, Path(folder))
        detector = Detector(folder)
    detector.processor.image_processor.do_resize = False  # small pictures, as in training
    pictures = []
    for index in range(scenes):
        rng = np.random.default_rng([_TEST_SEED, index])
        still = draw_small(rng, [*SEEN, *7 * HELD_OUT])
        pictures.append(examine(detector, rng, still, ask_unknown=False))
    return {
        name: average_precision(pictures, pairs)["ap50"]
        for name, pairs in (("seen", SEEN), ("held_out", HELD_OUT))
    }


def compare(settings: Settings, queries: int, every: int, scenes: int, log: Path) -> None:
    """Train both in turn, and write a line for each measurement to `log`."""
    trainings = start(settings, queries)
    seconds = dict.fromkeys(trainings, 0.0)
    batches = SmallBatches(settings.seed, settings.batch)
    for batch in DataLoader(batches, batch_size=None, sampler=range(settings.steps), num_workers=1):
        for name, training in trainings.items():
            begin = time.process_time()
            losses = training.losses(batch)
            training.stage.advance(torch.stack(list(losses.values())).sum())
            training.average.update(training.model, training.stage.step)
            training.stage.tick(0.0)
            seconds[name] += time.process_time() - begin
        step = training.stage.step
        if step % every and step != settings.steps:
            continue
        for name, training in trainings.items():
            line = {"arm": name, "step": step, "seconds": seconds[name]}
            line |= measure(training, scenes)
            with log.open("a") as out:
                out.write(json.dumps(line) + "\n")
            print(line, flush=True)


def plot(log: Path, picture: Path) -> None:
    """Draw the curves of a log."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name, colour in ((WITHOUT, "tab:gray"), (WITH, "tab:blue")):
        own = [line for line in lines if line["arm"] == name]
        steps = [line["step"] for line in own]
        for pairs, style in (("seen", "-"), ("held_out", "--")):
            axes.plot(
                steps,
                [line[pairs] for line in own],
                style,
                color=colour,
                marker=".",
                label=f"{name}, {pairs.replace('_', ' ')} pairs",
            )
    axes.set_xlabel("training steps of 8 pictures")
    axes.set_ylabel("AP50")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(picture, dpi=110)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m benchmark.denoising`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--every", type=int, default=150, help="steps between measurements")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/denoising"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "log.jsonl"
    log.unlink(missing_ok=True)
    settings = Settings(seed=options.seed, steps=options.steps, warmup=100)
    compare(settings, options.queries, options.every, options.scenes, log)
    plot(log, options.out / "denoising.png")


if __name__ == "__main__":
    main()
