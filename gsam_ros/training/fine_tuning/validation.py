"""Average precision of a checkpoint on a COCO data set, found as the node finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from tqdm import tqdm

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.text import EncodedText
from gsam_ros.training.fine_tuning.coco_boxes import CocoBoxes, LabelledImage, read_image

_LEAST_SCORE = 0.01


@dataclass(frozen=True)
class Precision:
    """COCO's figures for boxes (101 recall points, 100 detections per image).

    Attributes:
        ap50: average precision at IoU 0.5, mean over phrases of which there is an object.
        ap: mean of IoU 0.50 to 0.95.
        by_phrase: AP50 of each.
    """

    ap50: float
    ap: float
    by_phrase: dict[str, float]


def measure(
    folder: Path, data: CocoBoxes, device: torch.device, whole_prompt: bool, show: bool = True
) -> Precision:
    """Load a folder in Hugging Face format and look at every image of `data`.

    Args:
        folder: of the checkpoint.
        data: images with their truth.
        device: where to compute.
        whole_prompt: ask every image for all phrases of the data, as a user would; else only for
            those that it has, where each has a caption of its own.
        show: a progress bar.
    """
    detector = GroundingDetector(str(folder), device)
    encoded: dict[tuple[int, ...], EncodedText] = {}
    truth: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": []}
    found: list[dict[str, Any]] = []
    for number, image in enumerate(
        tqdm(data.images, desc="validation", unit="image", disable=not show, leave=False), start=1
    ):
        height, width = image.size
        truth["images"].append({"id": number, "height": height, "width": width})
        truth["annotations"] += _annotations(image, number, len(truth["annotations"]))
        asked = tuple(range(len(data.phrases)))
        if not whole_prompt:
            asked = tuple(dict.fromkeys(image.phrases.tolist()))
        if not asked:
            continue
        if asked not in encoded:
            encoded = encoded if whole_prompt else {}
            encoded[asked] = detector.encode([data.phrases[i] for i in asked])
        [answer] = detector.detect([read_image(image)], encoded[asked], threshold=_LEAST_SCORE)
        for box, score, phrase in zip(
            answer.boxes, answer.scores, answer.phrase_index, strict=True
        ):
            entry = _entry(number, asked[int(phrase)], box)
            found.append(entry | {"score": float(score)})
    truth["categories"] = [
        {"id": number + 1, "name": phrase} for number, phrase in enumerate(data.phrases)
    ]
    return _precision(truth, found)


def _annotations(image: LabelledImage, number: int, before: int) -> list[dict[str, Any]]:
    own = [
        _entry(number, int(phrase), box) | {"iscrowd": crowd}
        for boxes, phrases, crowd in (
            (image.boxes, image.phrases, 0),
            (image.crowds, image.crowd_phrases, 1),
        )
        for box, phrase in zip(boxes, phrases, strict=True)
    ]
    return [
        entry | {"id": before + i, "area": entry["bbox"][2] * entry["bbox"][3]}
        for i, entry in enumerate(own, start=1)
    ]


def _entry(image: int, phrase: int, box: np.ndarray) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(edge) for edge in box)
    return {"image_id": image, "category_id": phrase + 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}


def _precision(truth: dict[str, list[dict[str, Any]]], found: list[dict[str, Any]]) -> Precision:
    if not found:
        return Precision(0.0, 0.0, {})
    reference = COCO(truth, use_deepcopy=True)
    evaluation = COCOeval_faster(
        reference, reference.loadRes(found), "bbox", print_function=lambda *_: None
    )
    evaluation.run()
    # [thresholds from 0.5 on, recalls, categories, sizes from "all" on, detections]
    curves = evaluation.eval["precision"][:, :, :, 0, -1]
    by_phrase = {
        reference.cats[category]["name"]: float(curves[0, :, row].mean())
        for row, category in enumerate(evaluation.params.catIds)
        if (curves[:, :, row] >= 0).all()
    }
    told = evaluation.stats_as_dict
    return Precision(max(float(told["AP_50"]), 0.0), max(float(told["AP_all"]), 0.0), by_phrase)
