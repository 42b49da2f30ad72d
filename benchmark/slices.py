"""Sliced inference against the whole image and against the sahi package: AP50 and time, in one run.

Same weights, same pictures of 1920x1080 with objects of 12 to 40 pixels:

    python -m benchmark.slices --scenes 5 --frames 10

Then, on a camera that stands still, all tiles against only those with objects, with motion or whose
turn it is; what is known of the objects is where they were found before.

sahi runs as its documentation shows it, tile by tile and with its own batches; it scores a box by
its best token and not by its phrase, so its boxes differ a little from ours. Times are of the CPU,
and all sides run in turn on each picture; read the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from sahi.models.huggingface import HuggingfaceDetectionModel
from sahi.predict import get_sliced_prediction
from tqdm import tqdm
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from gsam_ros import checkpoints
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.regions import TileTurns
from gsam_ros.detection.settings import SliceSettings
from gsam_ros.instances import Detections
from gsam_ros.training.detector.evaluate import Picture, average_precision
from gsam_ros.world.stills import Still, draw_still, draw_stills
from gsam_ros.world.vocabulary import SEEN, Pair, phrase_of

HEIGHT, WIDTH = 1080, 1920
THRESHOLD = 0.1  # low, for AP; below it sahi would take another way of merging
Side = Callable[[np.ndarray, tuple[str, ...]], Detections]


def scenes(count: int) -> Iterator[tuple[Still, list[Pair]]]:
    """Pictures of up to 60 small objects of six kinds, and the kinds."""
    for seed in range(count):
        rng = np.random.default_rng([20, seed])
        pairs = [SEEN[int(i)] for i in rng.choice(len(SEEN), 6, replace=False)]
        yield (
            draw_still(rng, HEIGHT, WIDTH, pairs, max_objects=60, share=(12 / HEIGHT, 40 / HEIGHT)),
            pairs,
        )


def ours(
    detector: GroundingDetector, slices: SliceSettings, image: np.ndarray, phrases: tuple[str, ...]
) -> Detections:
    """Our detector, text and all."""
    [found] = detector.detect([image], detector.encode(phrases), THRESHOLD, slices=slices)
    return found


def sahi(
    stock: torch.nn.Module,
    processor: AutoProcessor,
    slices: SliceSettings,
    image: np.ndarray,
    phrases: tuple[str, ...],
    device: str = "cpu",
) -> Detections:
    """sahi's wrapper of the same model."""
    model = HuggingfaceDetectionModel(
        model=stock,
        processor=processor,
        text_labels=list(phrases),
        confidence_threshold=THRESHOLD,
        text_threshold=THRESHOLD,
        device=device,
    )
    answers = get_sliced_prediction(
        image,
        model,
        slices.height,
        slices.width,
        slices.overlap,
        slices.overlap,
        batch_size=slices.batch,
        verbose=0,
    ).object_prediction_list
    if not answers:
        return Detections.none()
    return Detections(
        np.array([answer.bbox.to_xyxy() for answer in answers], np.float32),
        np.array([answer.score.value for answer in answers], np.float32),
        np.array([phrases.index(answer.category.name) for answer in answers]),
    )


def regions(detector: GroundingDetector, slices: SliceSettings, frames: int) -> None:
    """Follow a sequence with all tiles and with some, and print a table."""
    pairs = list(SEEN[::9])
    text = detector.encode(tuple(phrase_of(pair) for pair in pairs))
    turns, known, looked = TileTurns(), np.zeros((0, 4), np.float32), []
    pictures: dict[str, list[Picture]] = {"all tiles": [], "regions": []}
    times: dict[str, list[float]] = {name: [] for name in pictures}
    rng = np.random.default_rng(21)

    def some(image: np.ndarray, views: np.ndarray) -> np.ndarray:
        chosen = turns.choose(image, known, slices.share, views)
        looked.append(len(chosen) / len(views))
        return chosen

    for still in draw_stills(rng, frames, HEIGHT, WIDTH, pairs):
        present = list(zip(still.colour, still.shape, strict=True))
        for name, choose in (("all tiles", None), ("regions", [partial(some, still.image)])):
            start = time.process_time()
            [found] = detector.detect([still.image], text, slices=slices, choose=choose)
            times[name].append(time.process_time() - start)
            if choose:
                known = found.boxes
            named = [pairs[i] for i in found.phrase_index]
            pictures[name].append(
                Picture((HEIGHT, WIDTH), still.boxes, present, found.boxes, found.scores, named)
            )
    print("| | AP50 | CPU seconds per image | tiles looked at |")
    print("|---|---|---|---|")
    for name, share in (("all tiles", 1.0), ("regions", statistics.mean(looked))):
        kinds = sorted({pair for picture in pictures[name] for pair in picture.truth_pairs})
        score = average_precision(pictures[name], kinds)["ap50"]
        print(f"| {name} | {score:.3f} | {statistics.mean(times[name]):.2f} | {share:.0%} |")


def main() -> None:
    """Run all sides on each picture in turn and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--detector", default="demo-detector")
    arguments.add_argument("--scenes", type=int, default=5)
    arguments.add_argument("--frames", type=int, default=10, help="of the sequence")
    arguments.add_argument("--tile", type=int, nargs=2, default=(256, 192), metavar=("W", "H"))
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)

    detector = GroundingDetector(options.detector, torch.device("cpu"))
    source = checkpoints.locate(options.detector)
    processor = AutoProcessor.from_pretrained(source)
    stock = AutoModelForZeroShotObjectDetection.from_pretrained(source).eval()
    width, height = options.tile
    sliced = SliceSettings(mode="always", width=width, height=height, batch=options.batch)
    single = SliceSettings(mode="always", width=width, height=height, batch=1)
    sides: dict[str, Side] = {
        "whole image": partial(ours, detector, SliceSettings()),
        f"slices, {options.batch} at once": partial(ours, detector, sliced),
        "sahi, one by one": partial(sahi, stock, processor, single),
        f"sahi, {options.batch} at once": partial(sahi, stock, processor, sliced),
    }
    pictures: dict[str, list[Picture]] = {name: [] for name in sides}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for still, pairs in tqdm(scenes(options.scenes), total=options.scenes, mininterval=2):
        phrases = tuple(phrase_of(pair) for pair in pairs)
        present = list(zip(still.colour, still.shape, strict=True))
        for name, side in sides.items():
            start = time.process_time()
            found = side(still.image, phrases)
            times[name].append(time.process_time() - start)
            named = [pairs[i] for i in found.phrase_index]
            pictures[name].append(
                Picture((HEIGHT, WIDTH), still.boxes, present, found.boxes, found.scores, named)
            )
    print(f"{sum(len(p.truth) for p in pictures['whole image'])} objects")
    print("| | AP50 | CPU seconds per image | times ours, median |")
    print("|---|---|---|---|")
    reference = times[f"slices, {options.batch} at once"]
    for name in sides:
        kinds = sorted({pair for picture in pictures[name] for pair in picture.truth_pairs})
        score = average_precision(pictures[name], kinds)["ap50"]
        seconds = statistics.median(times[name])
        ratio = statistics.median(a / b for a, b in zip(times[name], reference, strict=True))
        print(f"| {name} | {score:.3f} | {seconds:.2f} | {ratio:.2f} |")
    print()
    regions(detector, sliced, options.frames)


if __name__ == "__main__":
    main()
