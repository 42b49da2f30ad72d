"""Truth and answers as a COCO data set and COCO results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from gsam_ros.evaluation.pairing import PairedFrame

Annotation = dict[str, Any]


def truth_as_coco(frames: Sequence[PairedFrame]) -> dict[str, list[Annotation]]:
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
                    "area": _area(frame, int(i), box),
                    "segmentation": objects.masks[i],
                    "iscrowd": int(expected.ignored[i]),
                }
            )
    named = [{"id": category, "name": name} for name, category in categories.items()]
    return {"images": images, "categories": named, "annotations": annotations}


def _area(frame: PairedFrame, i: int, box: list[float]) -> float:
    """Pixels of an object of the truth, which decide whether it is small."""
    if frame.boxes_only:
        return box[2] * box[3]
    return float(coco_mask.area(frame.expected.objects.masks[i]))


def answers_as_coco(frames: Sequence[PairedFrame]) -> list[Annotation]:
    """The answers as COCO results, with the ids of `truth_as_coco`."""
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
