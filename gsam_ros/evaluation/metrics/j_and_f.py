"""DAVIS' J&F, by TrackEval.

J: overlap of masks; F: agreement of outlines. Perazzi et al., "A Benchmark Dataset and Evaluation
Methodology for Video Object Segmentation", CVPR 2016. Each object is compared with the one id that
fits it best over the whole sequence; frames without either mask count in full.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from trackeval.metrics import JAndF

_MARGIN = 3  # pixels beyond the tolerance that outlines need around them


def score_masks(sequences: Iterable[dict[str, Any]]) -> tuple[float, float]:
    """(J, F), means over all objects of all sequences; NaN where there are none.

    Args:
        sequences: TrackEval's `data` with masks, see `tracking.sequence_of`.
    """
    metric = _LocalJAndF()
    results = {}
    for number, data in enumerate(sequences):
        if data["num_gt_ids"] and data["num_timesteps"]:
            # The library fills in masks for absent objects, in place.
            copied = {**data, "gt_dets": list(data["gt_dets"])}
            copied["tracker_dets"] = list(data["tracker_dets"])
            # Decay, which is not used, has quarters without a frame in short sequences.
            with np.errstate(invalid="ignore"):
                results[str(number)] = metric.eval_sequence(copied)
    if not results:
        return float("nan"), float("nan")
    combined = metric.combine_sequences(results)
    return float(combined["J-Mean"]), float(combined["F-Mean"])


class _LocalJAndF(JAndF):
    """The library's own figures, with outlines sought around the masks and not in all the image.

    An outline and its tolerance reach a few pixels beyond the masks, so a window that holds both
    masks with that margin has all that the whole image has; at the image's border, where the
    library treats the last row and column differently, the window ends where the image does.
    """

    @staticmethod
    def _compute_f(
        gt_data: list, tracker_data: list, tracker_data_id: int, gt_id: int, bound_th: float
    ) -> np.ndarray:
        agreement = np.ones(len(gt_data))
        for t, (truths, answers) in enumerate(zip(gt_data, tracker_data, strict=True)):
            truth, answer = truths[gt_id], answers[tracker_data_id]
            height, width = truth["size"]
            # Below 1 the tolerance is a share of the image's diagonal.
            tolerance = np.ceil(bound_th * np.hypot(height, width))
            window = _window(truth, answer, int(tolerance) + _MARGIN)
            if window is None:
                continue  # neither mask is there: they agree
            parts = [
                {**coco_mask.encode(np.asfortranarray(coco_mask.decode(mask)[window]))}
                for mask in (truth, answer)
            ]
            # From 1 on it is a number of pixels.
            [agreement[t]] = JAndF._compute_f([parts[:1]], [parts[1:]], 0, 0, float(tolerance))
        return agreement


def _window(first: Any, second: Any, margin: int) -> tuple[slice, slice] | None:
    """Rows and columns around two masks; None where both are empty."""
    boxes = [coco_mask.toBbox(mask) for mask in (first, second) if coco_mask.area(mask) > 0]
    if not boxes:
        return None
    height, width = first["size"]
    left, top = (int(min(box[i] for box in boxes)) - margin for i in range(2))
    right, bottom = (int(max(box[i] + box[i + 2] for box in boxes)) + margin for i in range(2))
    return slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
