"""Measure a detector on pictures of the demo world that training never saw.

    python -m gsam_ros.training.evaluate_detector --model DIR --scenes 1000

Any Grounding DINO that transformers loads will do. AP50 is COCO's average precision at IoU 0.5,
averaged over the pairs, by faster-coco-eval; nothing is cut off by score. Precision, recall and
the detections for words that name nothing are counted at the thresholds a user would set.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from gsam_ros.training.detector_loss import phrase_token_masks
from gsam_ros.training.detector_prompts import draw_test_phrases
from gsam_ros.world.stills import Still, draw_still
from gsam_ros.world.vocabulary import HELD_OUT, PAIRS, SEEN, Pair, phrase_of

BOX_THRESHOLD, TEXT_THRESHOLD = 0.35, 0.25
"""Scores from which a detection counts, and from which a token belongs to its phrase."""

_THRESHOLDS = (0.25, 0.30, BOX_THRESHOLD, 0.40)
_SEED = 2_000_000_001
_UNKNOWN = "dog. chair."
_UNKNOWN_EVERY = 5  # pictures
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
    unknown: int | None
    """Detections above the threshold for words that name nothing, None where not asked."""


@dataclass
class Detector:
    """A model with its processor, as loaded from a folder or by name."""

    folder: str
    model: torch.nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.processor = AutoProcessor.from_pretrained(self.folder)
        self.model = AutoModelForZeroShotObjectDetection.from_pretrained(self.folder).eval()

    @torch.no_grad()
    def detect(self, image: NDArray[np.uint8], prompt: str) -> tuple[Tensor, Tensor]:
        """Boxes [Q, 4] in xyxy pixels and the score [Q, P] of each phrase: its tokens' mean."""
        inputs = self.processor(images=image, text=prompt, return_tensors="pt")
        outputs = self.model(**inputs)
        masks = phrase_token_masks(inputs.input_ids)[0].float()
        tokens = outputs.logits[0, :, : masks.shape[1]].sigmoid()
        scores = tokens @ masks.T / masks.sum(-1)
        x, y, w, h = outputs.pred_boxes[0].unbind(-1)
        height, width = image.shape[:2]
        corners = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], -1)
        return corners * torch.tensor([width, height, width, height]), scores


def test_stills(count: int, height: int, width: int) -> Iterator[tuple[np.random.Generator, Still]]:
    """Pictures in which half of the objects, on average, are of held-out pairs."""
    pairs = [*SEEN, *HELD_OUT * _HELD_OUT_WEIGHT]
    for index in range(count):
        rng = np.random.default_rng([_SEED, index])
        yield rng, draw_still(rng, height, width, pairs=pairs)


def examine(
    detector: Detector,
    rng: np.random.Generator,
    still: Still,
    ask_unknown: bool,
    pool: Sequence[Pair] = PAIRS,
) -> Picture:
    """Ask for what is there and for others of `pool`; each query answers for its best phrase."""
    present = list(zip(still.colour, still.shape, strict=True))
    phrases = draw_test_phrases(rng, present, pool)
    pairs = [(phrase.colour, phrase.shape) for phrase in phrases]
    boxes, scores = detector.detect(still.image, " ".join(f"{p.text}." for p in phrases))
    best = scores.max(-1)
    unknown = None
    if ask_unknown:
        _, nonsense = detector.detect(still.image, _UNKNOWN)
        unknown = int((nonsense.amax(-1) > BOX_THRESHOLD).sum())
    return Picture(
        still.image.shape[:2],
        still.boxes,
        present,
        boxes.numpy(),
        best.values.numpy(),
        [pairs[i] for i in best.indices.tolist()],
        unknown,
    )


def average_precision(pictures: Sequence[Picture], pairs: Sequence[Pair]) -> dict[str, float]:
    """AP50 and AP (mean of IoU 0.50 to 0.95) over `pairs`, by COCO's own rules."""
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
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO({"images": images, "annotations": truth, "categories": names})
        evaluation = COCOeval_faster(reference, reference.loadRes(found), "bbox")
        evaluation.run()
    return {"ap50": float(evaluation.stats[1]), "ap": float(evaluation.stats[0])}


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
                overlaps = [_iou(box, other) for other in truth]
                if overlaps and max(overlaps) >= 0.5:
                    truth.pop(int(np.argmax(overlaps)))
                    right += 1
    return {
        "precision": right / max(shown, 1),
        "recall": right / max(there, 1),
        "objects": there,
    }


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    overlap = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(overlap / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - overlap))


def evaluate(folder: str, scenes: int, height: int = 192, width: int = 256) -> dict[str, Any]:
    """All figures of one model on `scenes` pictures of height x width pixels."""
    detector = Detector(folder)
    pictures = [
        examine(detector, rng, still, ask_unknown=number % _UNKNOWN_EVERY == 0)
        for number, (rng, still) in enumerate(test_stills(scenes, height, width))
    ]
    figures: dict[str, Any] = {"scenes": scenes, "height": height, "width": width}
    for name, pairs in (("seen", SEEN), ("held_out", HELD_OUT)):
        figures[name] = average_precision(pictures, pairs)
        for threshold in _THRESHOLDS:
            figures[name][f"above {threshold:.2f}"] = precision_recall(pictures, pairs, threshold)
    figures["held_out"]["ap50 by pair"] = {
        phrase_of(pair): average_precision(pictures, [pair])["ap50"] for pair in HELD_OUT
    }
    asked = [picture.unknown for picture in pictures if picture.unknown is not None]
    figures["unknown_words"] = {"scenes": len(asked), "detections": sum(asked)}
    return figures


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m gsam_ros.training.evaluate_detector`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--width", type=int, default=256)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    figures = evaluate(str(options.model), options.scenes, options.height, options.width)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
