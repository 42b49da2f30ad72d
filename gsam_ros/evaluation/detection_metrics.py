"""Average precision, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from gsam_ros.evaluation.pairing import PairedFrame

Annotation = dict[str, Any]


@dataclass(frozen=True)
class DetectionFigures:
    """Average precision over phrases, as COCO defines it (101 recall points, 100 per image).

    A phrase of which nothing was wanted in any frame has no precision and doesn't enter the mean.

    Attributes:
        box_ap50: boxes that overlap the truth by at least 0.5 (intersection over union) are hits.
        box_ap: mean of the thresholds 0.50, 0.55, ... 0.95.
        mask_ap50: likewise with masks for boxes.
        mask_ap: likewise.
    """

    box_ap50: float
    box_ap: float
    mask_ap50: float
    mask_ap: float


def score_detections(frames: Sequence[PairedFrame]) -> DetectionFigures:
    """Average precision of all answers, the prompts' phrases being the classes.

    An object with `ignored` set enters as a COCO crowd region, so that an answer on it is neither
    hit nor miss. NaN where nothing was wanted.
    """
    truth, answers = coco_truth(frames), coco_answers(frames)
    box_ap50, box_ap = _average_precision(truth, answers, "bbox")
    mask_ap50, mask_ap = _average_precision(truth, answers, "segm")
    return DetectionFigures(box_ap50, box_ap, mask_ap50, mask_ap)


@dataclass(frozen=True)
class PrecisionCurve:
    """Precision over recall of one phrase, at overlap 0.5.

    Attributes:
        phrase: as phrases are compared, without capitals.
        wanted: how often it had to be found, over all frames.
        recall: [101], 0 to 1.
        boxes: [101] precision, the greatest at this recall or a higher one; 0 where the recall is
            not reached.
        masks: [101] likewise.
    """

    phrase: str
    wanted: int
    recall: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray


def precision_curves(frames: Sequence[PairedFrame]) -> list[PrecisionCurve]:
    """The library's own curves, of which AP50 is the mean, for phrases that were wanted."""
    truth, answers = coco_truth(frames), coco_answers(frames)
    if not _anything_wanted(truth):
        return []
    boxes, masks = (_evaluated(truth, answers, overlap) for overlap in ("bbox", "segm"))
    curves = []
    for row, category in enumerate(boxes.params.catIds):
        wanted = [
            a for a in truth["annotations"] if a["category_id"] == category and not a["iscrowd"]
        ]
        if wanted:
            # [thresholds from 0.5 on, recalls, categories, sizes from "all" on, detections]
            box_curve, mask_curve = (e.eval["precision"][0, :, row, 0, -1] for e in (boxes, masks))
            name = boxes.cocoGt.cats[category]["name"]
            recall = np.asarray(boxes.params.recThrs)
            curves.append(PrecisionCurve(name, len(wanted), recall, box_curve, mask_curve))
    return curves


def coco_truth(frames: Sequence[PairedFrame]) -> dict[str, list[Annotation]]:
    """What was expected as a COCO data set; the image id is the position in `frames`, from 1."""
    categories = _categories(frames)
    images: list[Annotation] = []
    annotations: list[Annotation] = []
    for image_id, frame in enumerate(frames, 1):
        expected, objects = frame.expected, frame.expected.objects
        height, width = objects.masks[0]["size"] if objects.masks else (1, 1)
        images.append({"id": image_id, "height": height, "width": width})
        for i in np.flatnonzero(expected.phrase_index >= 0):
            box = _xywh(objects.boxes[i])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": categories[frame.phrases[expected.phrase_index[i]].casefold()],
                    "bbox": box,
                    "area": box[2] * box[3],
                    "segmentation": objects.masks[i],
                    "iscrowd": int(expected.ignored[i]),
                }
            )
    named = [{"id": category, "name": name} for name, category in categories.items()]
    return {"images": images, "categories": named, "annotations": annotations}


def coco_answers(frames: Sequence[PairedFrame]) -> list[Annotation]:
    """The answers as COCO results, with the ids of `coco_truth`."""
    categories = _categories(frames)
    return [
        {
            "image_id": image_id,
            "category_id": categories[frame.answer.phrases[i].casefold()],
            "bbox": _xywh(frame.answer.boxes[i]),
            "score": float(frame.answer.scores[i]),
            "segmentation": frame.answer.masks[i],
        }
        for image_id, frame in enumerate(frames, 1)
        for i in range(len(frame.answer))
    ]


def _average_precision(
    truth: dict[str, list[Annotation]], answers: list[Annotation], overlap: str
) -> tuple[float, float]:
    """(AP at 0.5, mean AP) with boxes ("bbox") or masks ("segm")."""
    if not _anything_wanted(truth):
        return float("nan"), float("nan")
    figures = _evaluated(truth, answers, overlap).stats_as_dict
    return float(figures["AP_50"]), float(figures["AP_all"])


def _anything_wanted(truth: dict[str, list[Annotation]]) -> bool:
    return any(not annotation["iscrowd"] for annotation in truth["annotations"])


def _evaluated(
    truth: dict[str, list[Annotation]], answers: list[Annotation], overlap: str
) -> COCOeval_faster:
    """The library's evaluation, done."""
    # The library writes into what it is given.
    reference = COCO(truth, use_deepcopy=True)
    results = reference.loadRes([dict(answer) for answer in answers])
    evaluation = COCOeval_faster(reference, results, overlap, print_function=_quiet)
    evaluation.run()
    return evaluation


def _categories(frames: Sequence[PairedFrame]) -> dict[str, int]:
    """Every phrase that was asked for or answered, capitals aside, with its category id."""
    phrases: dict[str, int] = {}
    for frame in frames:
        for phrase in (*frame.phrases, *frame.answer.phrases):
            phrases.setdefault(phrase.casefold(), len(phrases) + 1)
    return phrases


def _xywh(box: np.ndarray) -> list[float]:
    left, top, right, bottom = (float(edge) for edge in box)
    return [left, top, right - left, bottom - top]


def _quiet(*_: object) -> None:
    """The library reports its progress; the table says what there is to say."""
