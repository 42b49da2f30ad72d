"""Average precision, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from gsam_ros.evaluation.metrics.coco_data import Annotation, answers_as_coco, truth_as_coco
from gsam_ros.evaluation.metrics.recall_at import recall_at
from gsam_ros.evaluation.pairing import PairedFrame

SIZES = ("small", "medium", "large")
"""Objects of less than 32x32, less than 96x96, and more pixels, as COCO has it."""

NAN = float("nan")


@dataclass(frozen=True)
class Precision:
    """Average precision with one kind of overlap; NaN where nothing was wanted.

    Attributes:
        ap50: what overlaps the truth by at least 0.5 (intersection over union) is a hit.
        ap75: likewise 0.75.
        ap: mean of the thresholds 0.50, 0.55, ... 0.95.
        sizes: `ap` of objects of each of `SIZES`.
        phrases: (AP50, AP) of each phrase that was wanted, as phrases are compared.
    """

    ap50: float = NAN
    ap75: float = NAN
    ap: float = NAN
    sizes: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SIZES, NAN))
    phrases: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class DetectionFigures:
    """Average precision over phrases, as COCO defines it (101 recall points, 100 per image).

    A phrase of which nothing was wanted in any frame has no precision and doesn't enter the mean.

    Attributes:
        boxes: with the overlap of boxes.
        masks: with that of masks; NaN where the truth has none.
        recall_at: false alarms per frame to the share of wanted objects that is found with so many;
            see `recall_at`.
    """

    boxes: Precision = field(default_factory=Precision)
    masks: Precision = field(default_factory=Precision)
    recall_at: dict[float, float] = field(default_factory=dict)

    @property
    def box_ap50(self) -> float:
        return self.boxes.ap50

    @property
    def box_ap(self) -> float:
        return self.boxes.ap

    @property
    def mask_ap50(self) -> float:
        return self.masks.ap50

    @property
    def mask_ap(self) -> float:
        return self.masks.ap


def score_detections(frames: Sequence[PairedFrame]) -> DetectionFigures:
    """Average precision of all answers, the prompts' phrases being the classes.

    An object with `ignored` set enters as a COCO crowd region, so that an answer on it is neither
    hit nor miss.
    """
    truth, answers = truth_as_coco(frames), answers_as_coco(frames)
    if not _anything_wanted(truth):
        return DetectionFigures(recall_at=recall_at(frames))
    boxes = _precision(_evaluated(truth, answers, "bbox"))
    masks = Precision()
    if not any(frame.boxes_only for frame in frames):
        masks = _precision(_evaluated(truth, answers, "segm"))
    return DetectionFigures(boxes, masks, recall_at(frames))


def _precision(evaluation: COCOeval_faster) -> Precision:
    """The library's own figures; where it says -1, there was nothing."""
    told = {name: NAN if v < 0 else float(v) for name, v in evaluation.stats_as_dict.items()}
    phrases = {}
    # [thresholds from 0.5 on, recalls, categories, sizes from "all" on, detections]
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    for row, category in enumerate(evaluation.params.catIds):
        curve = precision[:, :, row]
        if (curve >= 0).all():
            name = evaluation.cocoGt.cats[category]["name"]
            phrases[name] = float(curve[0].mean()), float(curve.mean())
    sizes = {size: told[f"AP_{size}"] for size in SIZES}
    return Precision(told["AP_50"], told["AP_75"], told["AP_all"], sizes, phrases)


@dataclass(frozen=True)
class PrecisionCurve:
    """Precision over recall of one phrase, at overlap 0.5.

    Attributes:
        phrase: as phrases are compared, without capitals.
        wanted: how often it had to be found, over all frames.
        recall: [101], 0 to 1.
        boxes: [101] precision, the greatest at this recall or a higher one; 0 where the recall is
            not reached.
        masks: [101] likewise; None where the truth has none.
    """

    phrase: str
    wanted: int
    recall: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray | None


def precision_curves(frames: Sequence[PairedFrame]) -> list[PrecisionCurve]:
    """The library's own curves, of which AP50 is the mean, for phrases that were wanted."""
    truth, answers = truth_as_coco(frames), answers_as_coco(frames)
    if not _anything_wanted(truth):
        return []
    boxes = _evaluated(truth, answers, "bbox")
    has_masks = not any(frame.boxes_only for frame in frames)
    masks = _evaluated(truth, answers, "segm") if has_masks else None
    curves = []
    for row, category in enumerate(boxes.params.catIds):
        wanted = [
            a for a in truth["annotations"] if a["category_id"] == category and not a["iscrowd"]
        ]
        if wanted:
            box_curve, mask_curve = _curve(boxes, row), _curve(masks, row) if masks else None
            name = boxes.cocoGt.cats[category]["name"]
            recall = np.asarray(boxes.params.recThrs)
            curves.append(PrecisionCurve(name, len(wanted), recall, box_curve, mask_curve))
    return curves


def _curve(evaluation: COCOeval_faster, category: int) -> np.ndarray:
    """[101] precision at overlap 0.5 of objects of all sizes."""
    # [thresholds from 0.5 on, recalls, categories, sizes from "all" on, detections]
    curve: np.ndarray = evaluation.eval["precision"][0, :, category, 0, -1]
    return curve


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


def _quiet(*_: object) -> None:
    """The library reports its progress; the table says what there is to say."""
