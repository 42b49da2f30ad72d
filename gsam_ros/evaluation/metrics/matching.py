"""Which answer is taken for which object, as COCO's evaluation decides it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from gsam_ros.evaluation.metrics.coco_data import answers_as_coco, truth_as_coco
from gsam_ros.evaluation.pairing import PairedFrame


def matched_at_half(frames: Sequence[PairedFrame], overlap: str) -> list[dict]:
    """pycocotools' matching at overlap 0.5: its `evalImgs`, one entry per image and phrase.

    Args:
        frames: truth and answers; the image id is the position in them, from 1.
        overlap: of boxes ("bbox") or masks ("segm").
    """
    with redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = COCO()
        truth.dataset = truth_as_coco(frames)
        truth.createIndex()
        answers = answers_as_coco(frames)
        if answers:
            results = truth.loadRes(answers)
        else:
            results = COCO()
            results.dataset = {**truth.dataset, "annotations": []}
            results.createIndex()
        evaluation = COCOeval(truth, results, overlap)
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
    return [entry for entry in evaluation.evalImgs if entry is not None]
