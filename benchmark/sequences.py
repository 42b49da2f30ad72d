"""How well objects keep ids and masks: HOTA, id switches and mask IoU over generated sequences.

    python -m benchmark.sequences                          # 20 sequences of 200 frames
    python -m benchmark.sequences --tuning --sequences 4 --frames 60
    python -m benchmark.sequences --variant "" --variant tracker.memory=fast
    python -m benchmark.sequences --variant "" --variant detector.rate=10 --true-boxes

Each sequence is one camera of a new demo world: nine objects, each named by the prompt, two of them
alike; four cross the others' paths, three leave the image and come back, a pillar hides what passes
behind it, and the camera sways. The whole machine runs on it with the bundled models. Truth, rules
and metrics are those of `gsam evaluate`.

The worlds of the reported figures, of tuning, of the demo and of training have seeds of their own:
what was tuned on the one set is measured on the other.

Several variants see the same frames in turn, so that their times can be compared. `--true-boxes`
puts the truth in the detector's place: what is left then is lost by the segmenter and by the rules.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco_mask
from tqdm import tqdm

from gsam_ros.detection.text import EncodedText
from gsam_ros.evaluation.metrics.tracking import TrackingFigures, score_tracking
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.pairing import PairedFrame, PromptChange, pair_up
from gsam_ros.instances import Detections, Frame, FrameResult, TrackState
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.settings import with_texts
from gsam_ros.world.scene import RenderedFrame, Scene
from gsam_ros.world.vocabulary import phrase_of

REPORTED_SEED, TUNING_SEED = 2000, 1000
PERIOD = 100_000_000  # nanoseconds between two frames
LEAST_VISIBLE = 0.25  # share of an object to be seen, from which on the true boxes tell of it
SURE = 0.9  # their scores


@dataclass(frozen=True)
class World:
    """One camera of one world."""

    seed: int
    frames: int

    @property
    def name(self) -> str:
        """Of the camera; every sequence has a world of ids of its own."""
        return f"world {self.seed}"

    def prompt(self) -> str:
        """A phrase for each object."""
        pairs = Scene(self.seed).pairs.values()
        return " ".join(dict.fromkeys(f"{phrase_of(pair)}." for pair in pairs))

    def __iter__(self) -> Iterator[tuple[Frame, FrameObjects]]:
        """Frames with their truth, drawn when they are asked for."""
        scene, camera = Scene(self.seed), self.seed % 2
        for index in range(self.frames):
            rendered, stamp = scene.render(camera, index * PERIOD / 1e9), index * PERIOD
            yield Frame(rendered.image, stamp, self.name), truth_of(rendered, self.name, stamp)


def truth_of(rendered: RenderedFrame, camera: str, stamp: int) -> FrameObjects:
    """What there is in a frame of the world, as the sample recording tells it."""
    return FrameObjects(
        camera,
        stamp,
        rendered.ids,
        tuple(phrase_of(pair) for pair in rendered.pairs),
        rendered.visible,
        rendered.boxes,
        tuple(coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in rendered.masks),
        np.full(len(rendered.ids), TrackState.CONFIRMED, np.uint8),
    )


def answer_of(result: FrameResult) -> FrameObjects:
    """What the machine says of a frame."""
    found = result.instances
    classes = result.prompt.classes if result.prompt else ()
    size = [found.masks.height, found.masks.width]
    return FrameObjects(
        result.frame.camera,
        result.frame.stamp,
        found.track_id,
        tuple(classes[index] for index in found.phrase_index),
        found.scores,
        found.boxes,
        tuple({"size": size, "counts": counts} for counts in found.masks.rle()),
        found.state,
    )


@dataclass(frozen=True)
class Outcome:
    """What one variant made of one sequence: answers beside the truth, and times per frame."""

    frames: list[PairedFrame]
    track_ms: list[float]
    step_ms: list[float]


class TrueBoxes:
    """A detector without fault: it knows the truth of the frame that is looked at."""

    def __init__(self) -> None:
        self.truth: FrameObjects | None = None

    def detect(
        self, images: Sequence[np.ndarray], text: EncodedText, *_: Any, **__: Any
    ) -> list[Detections]:
        """Boxes of the one image's named objects, without those that are mostly hidden."""
        assert len(images) == 1 and self.truth
        truth, names = self.truth, text.phrases
        rows = [
            row
            for row, name in enumerate(truth.phrases)
            if name in names and truth.scores[row] >= LEAST_VISIBLE
        ]
        phrases = np.array([names.index(truth.phrases[row]) for row in rows], np.int64)
        scores = np.full(len(rows), SURE, np.float32)
        boxes = truth.boxes[rows].astype(np.float32).reshape(-1, 4)
        return [Detections(boxes, scores, phrases)]


def run(
    sequence: World, machines: Sequence[GroundedTracker], true_boxes: TrueBoxes | None = None
) -> list[Outcome]:
    """All variants on one sequence, frame by frame in turn."""
    prompt = PromptChange.of(0, sequence.prompt())
    outcomes = [Outcome([], [], []) for _ in machines]
    for machine in machines:
        machine.reset()
        machine.set_prompt(sequence.prompt())
    for frame, truth in sequence:
        if true_boxes:
            true_boxes.truth = truth
        for machine, outcome in zip(machines, outcomes, strict=True):
            [result] = machine.step([frame])
            outcome.frames.extend(pair_up([truth], [answer_of(result)], [prompt]))
            outcome.track_ms.append(
                sum(result.stage_ms.get(stage, 0.0) for stage in ("track", "glide"))
            )
            outcome.step_ms.append(sum(result.stage_ms.values()))
    return outcomes


def row(name: str, figures: TrackingFigures, outcome: Outcome, least: Outcome) -> str:
    """One line of the table; times are means, as shares of the first variant's."""
    track, step = (
        statistics.fmean(own) / statistics.fmean(first)
        for own, first in (
            (outcome.track_ms, least.track_ms),
            (outcome.step_ms, least.step_ms),
        )
    )
    return (
        f"| {name or 'as it comes'} | {figures.hota:.3f} | {figures.det_a:.3f} "
        f"| {figures.ass_a:.3f} | {figures.mask_iou:.3f} "
        f"| {figures.id_switches / max(1, figures.objects):.3f} | {figures.idf1:.3f} "
        f"| {figures.misses} | {figures.false_alarms} | {track:.2f} | {step:.2f} |"
    )


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Several sequences as one."""
    return Outcome(
        [frame for outcome in outcomes for frame in outcome.frames],
        [ms for outcome in outcomes for ms in outcome.track_ms],
        [ms for outcome in outcomes for ms in outcome.step_ms],
    )


def main() -> None:
    """Run, print a table per variant, and write everything as JSON where asked to."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sequences", type=int, default=20)
    arguments.add_argument("--frames", type=int, default=200)
    arguments.add_argument("--tuning", action="store_true", help="worlds for choosing settings")
    arguments.add_argument(
        "--variant", action="append", default=[], help='settings "NAME=VALUE NAME=VALUE"; "" is us'
    )
    arguments.add_argument(
        "--true-boxes", action="store_true", help="the truth in the detector's place"
    )
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--out", type=Path, help="JSON file to write after each sequence")
    options = arguments.parse_args()

    torch.set_num_threads(options.threads)
    variants = options.variant or [""]
    machines = [
        GroundedTracker(with_texts(Settings(device="cpu"), variant.split())) for variant in variants
    ]
    true_boxes = TrueBoxes() if options.true_boxes else None
    if true_boxes:
        for machine in machines:
            machine._detector.detect = true_boxes.detect
    first = TUNING_SEED if options.tuning else REPORTED_SEED
    outcomes: list[list[Outcome]] = [[] for _ in variants]
    scores: list[dict[str, TrackingFigures]] = [{} for _ in variants]
    with tqdm(total=options.sequences, unit="sequence") as bar:
        for seed in range(first, first + options.sequences):
            found = run(World(seed, options.frames), machines, true_boxes)
            for own, score, outcome in zip(outcomes, scores, found, strict=True):
                own.append(outcome)
                score[str(seed)] = score_tracking(outcome.frames)
            bar.update()
            if options.out:  # a long run is worth something before it ends
                rows = zip(variants, outcomes, scores, strict=True)
                report = {name: report_of(own, score) for name, own, score in rows}
                options.out.write_text(json.dumps(report, indent=1))
    print("| variant | HOTA | DetA | AssA | mask IoU | id switches per object | IDF1 | misses "
          "| false alarms | time of tracking | time of a step |")  # fmt: skip
    print("|---" * 11 + "|")
    for name, own in zip(variants, outcomes, strict=True):
        total = score_tracking(joined(own).frames)
        print(row(name, total, joined(own), joined(outcomes[0])))


def report_of(own: Sequence[Outcome], score: dict[str, TrackingFigures]) -> dict[str, Any]:
    """Everything about one variant."""
    together = joined(own)
    return {
        "total": asdict(score_tracking(together.frames)),
        "sequences": {seed: asdict(figures) for seed, figures in score.items()},
        "track_ms": statistics.median(together.track_ms),
        "step_ms": statistics.median(together.step_ms),
    }


if __name__ == "__main__":
    main()
