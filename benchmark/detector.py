"""Our detector against transformers and sahi with the same weights, in one run.

A frame after the first: our detector, which has encoded the text before, against transformers'
processor, model and post-processing, on the architecture of grounding-dino-tiny with random
weights:

    python -m benchmark.detector frame --rounds 3
    python -m benchmark.detector frame --detector demo-detector --rounds 20

The share of the machine's matrix peak is what the products of a forward would take at the speed of
one large product, measured beside it, over the CPU time that the whole detection takes.

12 tiles of a picture of 1920x1080 against sahi, one by one and in its own batches, and how many of
the boxes agree (IoU of at least 0.99):

    python -m benchmark.detector tiles --rounds 3

All sides run in turn, and each round gives a ratio; the median is told. Absolute times depend on
the machine and on what else it does, CPU seconds less so.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForZeroShotObjectDetection,
    AutoProcessor,
    BertConfig,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    SwinConfig,
)

from gsam_ros import checkpoints
from gsam_ros.boxes import box_iou
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.forward import find
from gsam_ros.detection.pixels import prepare
from gsam_ros.detection.settings import SliceSettings
from gsam_ros.world.stills import draw_still

PHRASES = ("mug", "ring", "ball")  # of one word: transformers and sahi score them as we do
KNOWN = (("red", "mug"), ("blue", "ring"), ("purple", "ball"))
THRESHOLD = 0.3
Side = Callable[[np.ndarray], object]


def real_size(folder: Path, shortest: int, longest: int) -> str:
    """Save a model of the size of IDEA-Research/grounding-dino-tiny with random weights."""
    backbone = SwinConfig(
        embed_dim=96,
        depths=[2, 2, 6, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        out_features=["stage2", "stage3", "stage4"],
    )
    torch.manual_seed(0)
    config = GroundingDinoConfig(backbone_config=backbone, text_config=BertConfig())
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    processor: GroundingDinoProcessor = AutoProcessor.from_pretrained(
        checkpoints.locate("demo-detector")
    )
    processor.image_processor.size = {"shortest_edge": shortest, "longest_edge": longest}
    processor.save_pretrained(folder)
    return str(folder)


Times = dict[str, list[tuple[float, float]]]
"""Seconds on the clock and of the CPU, of each round of each side."""


def in_turn(sides: dict[str, Side], images: Sequence[np.ndarray]) -> Times:
    """Time each side on each image; every side looks at one image more before."""
    for side in sides.values():
        side(images[0])
    times: Times = {name: [] for name in sides}
    for image in images:
        for name, side in sides.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            side(image)
            times[name].append((time.perf_counter() - start, time.process_time() - cpu_start))
    return times


def show(times: Times, ours: str) -> None:
    """A table of medians and of the median ratio to our side."""
    print("| | seconds | times ours (least to most) | CPU seconds | times ours (least to most) |")
    print("|---|---|---|---|---|")
    for name, rounds in times.items():
        cells = [name]
        for clock in (0, 1):
            seconds = [each[clock] for each in rounds]
            reference = [each[clock] for each in times[ours]]
            ratios = [a / b for a, b in zip(seconds, reference, strict=True)]
            cells.append(f"{statistics.median(seconds):.3f}")
            cells.append(
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            )
        print(f"| {' | '.join(cells)} |")


def matrix_peak(dtype: torch.dtype) -> float:
    """FLOP per CPU second of one large product: what others do on the machine counts less."""
    left, right = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(6):
        start = time.process_time()
        left @ right
        seconds.append(time.process_time() - start)
    return float(2 * 2048**3 / min(seconds))


@torch.inference_mode()
def frame(options: argparse.Namespace, name: str) -> None:
    """Whole images, one by one."""
    dtype: torch.dtype = getattr(torch, options.precision)
    detector = GroundingDetector(name, torch.device("cpu"), dtype)
    text = detector.encode(PHRASES)
    source = checkpoints.locate(name)
    stock = AutoModelForZeroShotObjectDetection.from_pretrained(source, dtype=dtype).eval()
    processor = AutoProcessor.from_pretrained(source)

    def theirs(image: np.ndarray) -> None:
        inputs = processor(images=image, text=". ".join(PHRASES) + ".", return_tensors="pt")
        inputs["pixel_values"] = inputs["pixel_values"].to(dtype)
        outputs = stock(**inputs)
        processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], THRESHOLD, THRESHOLD, [image.shape[:2]]
        )

    def ours(image: np.ndarray) -> None:
        detector.detect([image], text, THRESHOLD)

    rng = np.random.default_rng(0)
    images = [draw_still(rng, 480, 640, KNOWN).image for _ in range(options.rounds)]
    times = in_turn({"ours": ours, "transformers": theirs}, images)
    show(times, "ours")

    batch = prepare([images[0]], detector.processor, detector.device, dtype)
    counts = []
    for run in (
        lambda: find(detector.model, batch.pixels, batch.mask, text.groups),
        lambda: theirs(images[0]),
    ):
        with FlopCounterMode(display=False) as counter:
            run()
        counts.append(counter.get_total_flops())
    peak, seconds = matrix_peak(dtype), statistics.median(cpu for _, cpu in times["ours"])
    print(f"matrix peak {peak / 1e9:.0f} GFLOP per CPU second in {options.precision}")
    print(
        f"ours: {counts[0] / 1e9:.0f} GFLOP of products a frame, {counts[0] / seconds / peak:.0%} "
        f"of the peak; transformers computes {counts[1] / 1e9:.0f}, and ours does its work at "
        f"{counts[1] / seconds / peak:.0%}"
    )


@torch.inference_mode()
def tiles(options: argparse.Namespace, name: str) -> None:
    """12 tiles of 640x480 and the whole image."""
    from sahi.models.huggingface import HuggingfaceDetectionModel
    from sahi.predict import get_sliced_prediction

    detector = GroundingDetector(name, torch.device("cpu"))
    text = detector.encode(PHRASES)
    slices = SliceSettings(
        mode="always", width=640, height=480, drop_cut=False, batch=options.batch
    )
    source = checkpoints.locate(name)
    model = HuggingfaceDetectionModel(
        model=AutoModelForZeroShotObjectDetection.from_pretrained(source).eval(),
        processor=AutoProcessor.from_pretrained(source),
        text_labels=list(PHRASES),
        confidence_threshold=THRESHOLD,
        text_threshold=THRESHOLD,
        device="cpu",
    )
    found: dict[str, np.ndarray] = {}

    def ours(image: np.ndarray) -> None:
        [answer] = detector.detect([image], text, THRESHOLD, 1.0, slices)
        found["ours"] = answer.boxes

    def sahi(image: np.ndarray, batch: int) -> None:
        answers = get_sliced_prediction(
            image, model, 480, 640, 0.2, 0.2, batch_size=batch, verbose=0
        ).object_prediction_list
        found["sahi"] = np.array([a.bbox.to_xyxy() for a in answers], np.float32).reshape(-1, 4)
        overlap = box_iou(found["ours"], found["sahi"])
        agreed.append((len(found["ours"]), len(found["sahi"]), int((overlap >= 0.99).sum())))

    agreed: list[tuple[int, int, int]] = []
    sides: dict[str, Side] = {
        "ours": ours,
        "sahi, one by one": lambda image: sahi(image, 1),
        f"sahi, {options.batch} at once": lambda image: sahi(image, options.batch),
    }
    rng = np.random.default_rng(1)
    images = [
        draw_still(rng, 1080, 1920, KNOWN, max_objects=30, share=(0.04, 0.2)).image
        for _ in range(options.rounds)
    ]
    show(in_turn(sides, images), "ours")
    mine, theirs, both = np.array(agreed).sum(0)
    print(f"boxes: {mine} of ours, {theirs} of sahi's, {both} the same")


def main() -> None:
    """Run one comparison and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("what", choices=("frame", "tiles"))
    arguments.add_argument(
        "--detector", help="checkpoint; frame: random weights of the real size, tiles: bundled"
    )
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--batch", type=int, default=8, help="tiles at once")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    arguments.add_argument(
        "--edges", type=int, nargs=2, default=(800, 1333), help="shortest and longest, real size"
    )
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    if options.what == "tiles":
        tiles(options, options.detector or "demo-detector")
    elif options.detector:
        frame(options, options.detector)
    else:
        with tempfile.TemporaryDirectory() as folder:
            frame(options, real_size(Path(folder), *options.edges))


if __name__ == "__main__":
    main()
