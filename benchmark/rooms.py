"""What detectors find in rooms, where things hide one another and stand in perspective.

    python -m benchmark.rooms --tuning --detector demo-detector --detector DIR

Frames are those of `benchmark.sequences`, each looked at by itself: no memory helps. Precision and
recall are those of `gsam evaluate`; an object has to be found if a quarter of it is to be seen. All
detectors see the same frames in turn, so that their times can be compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from tqdm import tqdm

from benchmark.sequences import REPORTED_SEED, TUNING_SEED, World
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.settings import DetectorSettings
from gsam_ros.detection.text import EncodedText
from gsam_ros.evaluation.metrics.detection import score_detections
from gsam_ros.evaluation.metrics.matching import matched_at_half
from gsam_ros.evaluation.metrics.tracking import matches
from gsam_ros.evaluation.objects import FrameObjects, filled_boxes, some_of
from gsam_ros.evaluation.pairing import PairedFrame, PromptChange, pair_up
from gsam_ros.instances import Detections, Frame, TrackState
from gsam_ros.prompts import parse_prompt

LEAST_SCORE = 0.05
HALF = 0.5  # share of an object that is to be seen, below which it counts as hidden
DEFAULT = DetectorSettings().box_threshold


@dataclass
class Looks:
    """One detector, and what it said so far."""

    name: str
    detector: GroundingDetector
    frames: list[PairedFrame] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)

    def look(self, frame: Frame, truth: FrameObjects, prompt: str, text: EncodedText) -> None:
        """At one frame, by itself; `text` is the prompt as this detector encodes it."""
        begin = time.perf_counter()
        [found] = self.detector.detect([frame.image], text, LEAST_SCORE)
        self.milliseconds.append(1e3 * (time.perf_counter() - begin))
        answer = answer_of(frame, found, text)
        self.frames += pair_up([truth], [answer], [PromptChange.of(0, prompt)], boxes_only=True)


def answer_of(frame: Frame, found: Detections, text: EncodedText) -> FrameObjects:
    """Detections as an answer, each an object of its own."""
    return FrameObjects(
        frame.camera,
        frame.stamp,
        np.arange(len(found)),
        tuple(text.phrases[index] for index in found.phrase_index),
        found.scores,
        found.boxes,
        filled_boxes(found.boxes, *frame.image.shape[:2]),
        np.full(len(found), TrackState.CONFIRMED, np.uint8),
    )


def above(frame: PairedFrame, score: float) -> PairedFrame:
    """The frame with the surer answers alone."""
    return replace(frame, answer=some_of(frame.answer, frame.answer.scores > score))


def found(frames: Sequence[PairedFrame]) -> tuple[float, float, float]:
    """Recall, recall of what shows less than half of itself, and false finds per frame."""
    wanted: list[float] = []
    hits: list[float] = []
    for frame in frames:
        shares = frame.expected.objects.scores  # that are to be seen
        wanted += shares[frame.expected.wanted].tolist()
        hits += [float(shares[row]) for row, _ in matches(frame)]
    unmatched = sum(
        int(np.count_nonzero((entry["dtMatches"][0] == 0) & ~entry["dtIgnore"][0].astype(bool)))
        for entry in matched_at_half(frames, "bbox")
    )
    hidden_hits, hidden = (sum(share < HALF for share in seen) for seen in (hits, wanted))
    return len(hits) / len(wanted), hidden_hits / max(hidden, 1), unmatched / len(frames)


def row(looks: Looks, first: Looks, score: float) -> str:
    """One line of the table."""
    figures = score_detections(looks.frames)
    recall, hidden, false = found([above(frame, score) for frame in looks.frames])
    milliseconds = statistics.fmean(looks.milliseconds)
    return (
        f"| {looks.name} | {figures.boxes.ap50:.3f} | {figures.boxes.ap75:.3f} "
        f"| {figures.boxes.ap:.3f} | {recall:.3f} | {hidden:.3f} | {false:.2f} "
        f"| {milliseconds:.0f} | {milliseconds / statistics.fmean(first.milliseconds):.2f} |"
    )


def main() -> None:
    """Look at every frame with every detector, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--detector", action="append", help="bundled name, folder or hub id")
    arguments.add_argument("--sequences", type=int, default=4)
    arguments.add_argument("--frames", type=int, default=200, help="of each sequence")
    arguments.add_argument("--every", type=int, default=8, help="which of them are looked at")
    arguments.add_argument("--tuning", action="store_true", help="worlds for choosing settings")
    arguments.add_argument(
        "--score", type=float, default=DEFAULT, help="for recall and false finds"
    )
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    names = options.detector or [DetectorSettings().model]
    detectors = [Looks(name, GroundingDetector(name, torch.device("cpu"))) for name in names]
    seed = TUNING_SEED if options.tuning else REPORTED_SEED
    worlds = [World(seed + index, options.frames) for index in range(options.sequences)]
    with tqdm(total=sum(-(-w.frames // options.every) for w in worlds), unit="frame") as bar:
        for world in worlds:
            prompt = world.prompt()
            texts = [looks.detector.encode(parse_prompt(prompt)) for looks in detectors]
            for index, (frame, truth) in enumerate(world):
                if index % options.every == 0:
                    for looks, text in zip(detectors, texts, strict=True):
                        looks.look(frame, truth, prompt, text)
                    bar.update()
    print("| detector | AP50 | AP75 | AP | recall | of the hidden | false a frame | ms | share |")
    print("|---|---|---|---|---|---|---|---|---|")
    for looks in detectors:
        print(row(looks, detectors[0], options.score))


if __name__ == "__main__":
    main()
