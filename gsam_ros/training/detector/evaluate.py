"""Measure a detector on pictures of the demo world that training never saw.

Pictures go through the product's own detector, with its defaults, so any Grounding DINO that the
node loads will do. AP50 is COCO's average precision at IoU 0.5, averaged over the pairs, by
faster-coco-eval, of all detections that score `LEAST_SCORE` or more. All else is counted at the
threshold that a user has by default.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from gsam_ros.boxes import box_iou
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.settings import DetectorSettings
from gsam_ros.training.detector.prompts import draw_test_phrases
from gsam_ros.world.stills import Still, draw_still
from gsam_ros.world.vocabulary import HELD_OUT, PAIRS, SEEN, Pair, phrase_of

BOX_THRESHOLD = DetectorSettings().box_threshold
"""Score above which the product shows a detection by default."""

LEAST_SCORE = 0.01

THRESHOLDS = (0.25, 0.30, BOX_THRESHOLD, 0.40)
_SEED = 2_000_000_001
_HELD_OUT_WEIGHT = len(SEEN) // len(HELD_OUT)  # half of all objects are of held-out pairs


@dataclass
class Picture:
    """One test picture: truth and detections. Boxes are [K, 4] xyxy pixels."""

    size: tuple[int, int]
    """(height, width)"""
    truth: NDArray[np.float32]
    truth_pairs: list[Pair]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    pairs: list[Pair]
    asked: Sequence[Pair] = ()
    """What the prompt named."""

    def shown(self, threshold: float = BOX_THRESHOLD) -> NDArray[np.bool_]:
        """[K], which detections are above a score."""
        return self.scores > threshold


def test_stills(count: int, height: int, width: int) -> Iterator[tuple[np.random.Generator, Still]]:
    """Pictures in which half of the objects, on average, are of held-out pairs."""
    pairs = [*SEEN, *HELD_OUT * _HELD_OUT_WEIGHT]
    for index in range(count):
        rng = np.random.default_rng([_SEED, index])
        yield rng, draw_still(rng, height, width, pairs=pairs)


def examine(
    detector: GroundingDetector,
    rng: np.random.Generator,
    still: Still,
    pool: Sequence[Pair] = PAIRS,
) -> Picture:
    """Ask for what is there and for others of `pool`; each query answers for its best phrase."""
    present = list(zip(still.colour, still.shape, strict=True))
    phrases = draw_test_phrases(rng, present, pool)
    pairs = [(phrase.colour or "", phrase.shape or "") for phrase in phrases]
    text = detector.encode([phrase.text for phrase in phrases])
    [found] = detector.detect([still.image], text, LEAST_SCORE)
    named = [pairs[i] for i in found.phrase_index]
    size = still.image.shape[:2]
    return Picture(size, still.boxes, present, found.boxes, found.scores, named, pairs)


def average_precision(pictures: Sequence[Picture], pairs: Sequence[Pair]) -> dict[str, float]:
    """AP50 and AP (mean of IoU 0.50 to 0.95) over `pairs`, by COCO's own rules.

    NaN where there is no object of these pairs; 0 where nothing was found.
    """
    category = {pair: index + 1 for index, pair in enumerate(pairs)}
    images: list[dict[str, Any]] = []
    truth: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, start=1):
        images.append({"id": number, "height": picture.size[0], "width": picture.size[1]})
        for box, pair in zip(picture.truth, picture.truth_pairs, strict=True):
            if pair in category:
                entry = _entry(number, category[pair], box)
                area = entry["bbox"][2] * entry["bbox"][3]
                truth.append(entry | {"id": len(truth) + 1, "area": area, "iscrowd": 0})
        for box, score, pair in zip(picture.boxes, picture.scores, picture.pairs, strict=True):
            if pair in category:
                found.append(_entry(number, category[pair], box) | {"score": float(score)})
    names = [{"id": number, "name": phrase_of(pair)} for pair, number in category.items()]
    if not found:  # faster-coco-eval takes no empty list
        return dict.fromkeys(("ap50", "ap"), 0.0 if truth else math.nan)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO({"images": images, "annotations": truth, "categories": names})
        evaluation = COCOeval_faster(reference, reference.loadRes(found), "bbox")
        evaluation.run()
    figures = {"ap50": float(evaluation.stats[1]), "ap": float(evaluation.stats[0])}
    return {name: value if value >= 0 else math.nan for name, value in figures.items()}


def _entry(image: int, category: int, box: NDArray[np.float32]) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(value) for value in box)
    return {
        "image_id": image,
        "category_id": category,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
    }


def precision_recall(
    pictures: Sequence[Picture], pairs: Sequence[Pair], threshold: float = BOX_THRESHOLD
) -> dict[str, float]:
    """Precision and recall above a score and at IoU 0.5, each object found once at most."""
    right = shown = there = 0
    for picture in pictures:
        for pair in set(pairs):
            truth = [
                b for b, p in zip(picture.truth, picture.truth_pairs, strict=True) if p == pair
            ]
            hits = [
                (s, b)
                for b, s, p in zip(picture.boxes, picture.scores, picture.pairs, strict=True)
                if p == pair and s > threshold
            ]
            there, shown = there + len(truth), shown + len(hits)
            for _, box in sorted(hits, key=lambda hit: -hit[0]):
                overlaps = _ious(box, truth)
                if overlaps.max(initial=0) >= 0.5:
                    truth.pop(int(np.argmax(overlaps)))
                    right += 1
    return {
        "precision": right / max(shown, 1),
        "recall": right / max(there, 1),
        "objects": there,
    }


def absent_shown(pictures: Sequence[Picture]) -> float:
    """Share of the pictures with a detection for a phrase of which nothing is there.

    Of those pictures whose prompt holds such a phrase, beside phrases of what is there.
    """
    asked = [p for p in pictures if set(p.asked) - set(p.truth_pairs)]
    wrong = [any(p.pairs[i] not in p.truth_pairs for i in np.flatnonzero(p.shown())) for p in asked]
    return float(np.mean(wrong)) if wrong else float("nan")


def duplicates(pictures: Sequence[Picture]) -> int:
    """Detections of objects that have a better one already, whatever their phrases.

    A detection is of the object that it overlaps most, if by an IoU of 0.5 or more.
    """
    count = 0
    for picture in pictures:
        owners = []
        for box in picture.boxes[picture.shown()]:
            overlaps = _ious(box, picture.truth)
            if overlaps.max(initial=0) >= 0.5:
                owners.append(int(np.argmax(overlaps)))
        count += len(owners) - len(set(owners))
    return count


def _ious(box: NDArray[np.float32], others: ArrayLike) -> NDArray[np.float32]:
    """[K] of a box [4] with K others."""
    return box_iou(box[None], np.reshape(others, (-1, 4)))[0]


def evaluate(
    detector: GroundingDetector,
    scenes: int,
    height: int = 192,
    width: int = 256,
    show: bool = False,
) -> dict[str, Any]:
    """Figures on `scenes` pictures of height x width pixels; `show` a progress bar."""
    stills = test_stills(scenes, height, width)
    bar = tqdm(stills, "pictures", scenes, leave=False, unit="picture", disable=not show)
    pictures = [examine(detector, rng, still) for rng, still in bar]
    figures: dict[str, Any] = {"scenes": scenes, "height": height, "width": width}
    for name, pairs in (("seen", SEEN), ("held_out", HELD_OUT)):
        figures[name] = average_precision(pictures, pairs)
        for threshold in THRESHOLDS:
            figures[name][f"above {threshold:.2f}"] = precision_recall(pictures, pairs, threshold)
    figures["held_out"]["ap50 by pair"] = {
        phrase_of(pair): average_precision(pictures, [pair])["ap50"] for pair in HELD_OUT
    }
    figures["absent_beside_present"] = absent_shown(pictures)
    figures["duplicates"] = duplicates(pictures)
    figures["detections"] = int(sum(picture.shown().sum() for picture in pictures))
    return figures
