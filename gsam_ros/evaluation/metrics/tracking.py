"""HOTA, CLEAR, identity metrics and J&F, by TrackEval.

HOTA: Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021.
CLEAR: Bernardin and Stiefelhagen, EURASIP JIVP 2008. IDF1: Ristani et al., ECCV workshops 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment
from trackeval.metrics import CLEAR, HOTA, Identity

from gsam_ros.evaluation.metrics.j_and_f import score_masks
from gsam_ros.evaluation.pairing import PairedFrame

HIT = 0.5
"""The overlap (intersection over union of masks) from which an answer finds an object."""


@dataclass(frozen=True)
class TrackingFigures:
    """How well objects keep their ids, over all cameras; on masks where the truth has them.

    Attributes:
        hota: higher order tracking accuracy, mean over overlap thresholds 0.05 to 0.95.
        det_a: its detection part.
        ass_a: its association part.
        mask_iou: mean overlap of pairs of object and answer (HOTA's LocA at threshold 0.05, so
            that poor masks count too); NaN where nothing was found.
        idf1: identity F1 at overlap 0.5.
        mota: multi-object tracking accuracy at overlap 0.5.
        id_switches: times an object's answer changed its id.
        fragments: times an object was lost and found again.
        hits: wanted objects found, at overlap 0.5.
        misses: wanted objects not found.
        false_alarms: answers without an object.
        objects: different objects that were wanted.
        tracks: different ids that were given.
        jaccard: DAVIS' J, mean overlap of masks of each object and the one id that fits it best,
            over all frames; NaN where the truth has no masks.
        boundary: DAVIS' F, how well their outlines agree, likewise.
    """

    hota: float
    det_a: float
    ass_a: float
    mask_iou: float
    idf1: float
    mota: float
    id_switches: int
    fragments: int
    hits: int
    misses: int
    false_alarms: int
    objects: int
    tracks: int
    jaccard: float = float("nan")
    boundary: float = float("nan")

    @property
    def j_and_f(self) -> float:
        """The mean of both, DAVIS' main figure."""
        return (self.jaccard + self.boundary) / 2


def score_tracking(frames: Sequence[PairedFrame]) -> TrackingFigures:
    """Score all cameras; ids of different cameras are different worlds."""
    cameras = sorted({frame.answer.camera for frame in frames})
    sequences = {
        camera: sequence_of([frame for frame in frames if frame.answer.camera == camera])
        for camera in cameras
    }
    hota = _combined(HOTA(), sequences)
    clear = _combined(CLEAR({"THRESHOLD": HIT, "PRINT_CONFIG": False}), sequences)
    identity = _combined(Identity({"THRESHOLD": HIT, "PRINT_CONFIG": False}), sequences)
    jaccard, boundary = float("nan"), float("nan")
    if not any(frame.boxes_only for frame in frames):
        jaccard, boundary = score_masks(sequences.values())
    return TrackingFigures(
        hota=float(np.mean(hota["HOTA"])),
        det_a=float(np.mean(hota["DetA"])),
        ass_a=float(np.mean(hota["AssA"])),
        mask_iou=float(hota["LocA(0)"]) if hota["HOTA_TP"][0] else float("nan"),
        idf1=float(identity["IDF1"]),
        mota=float(clear["MOTA"]),
        id_switches=int(clear["IDSW"]),
        fragments=int(clear["Frag"]),
        hits=int(clear["CLR_TP"]),
        misses=int(clear["CLR_FN"]),
        false_alarms=int(clear["CLR_FP"]),
        objects=sum(sequence["num_gt_ids"] for sequence in sequences.values()),
        tracks=sum(sequence["num_tracker_ids"] for sequence in sequences.values()),
        jaccard=jaccard,
        boundary=boundary,
    )


def sequence_of(frames: Sequence[PairedFrame]) -> dict[str, Any]:
    """One camera's frames as TrackEval wants them.

    - An object under another phrase is another object, since the prompt asks for something else.
    - An answer resembles only objects of its own phrase; elsewhere the similarity is 0.
    - Answers that lie on an ignored object, and on no wanted one, are taken out, as MOTS does it
      (Voigtlaender et al., CVPR 2019): more than half of their pixels on it.

    Args:
        frames: in the order of their stamps.

    Returns:
        TrackEval's `data`: ids from 0 without gaps, [objects, answers] similarities per frame.
    """
    truth_names: dict[tuple[int, str], int] = {}
    answer_names: dict[int, int] = {}
    truth_ids, answer_ids, similarities = [], [], []
    truth_masks, answer_masks = [], []
    for frame in sorted(frames, key=lambda frame: frame.answer.stamp):
        keys = [
            (int(frame.expected.objects.ids[i]), _phrase(frame, int(i)))
            for i in np.flatnonzero(frame.expected.wanted)
        ]
        similarity = _similarity(frame, frame.expected.wanted, crowd=False)
        kept = ~_excused(frame, similarity)
        ids = frame.answer.ids[kept].tolist()
        truth_ids.append(_numbered(keys, truth_names))
        answer_ids.append(_numbered(ids, answer_names))
        similarities.append(similarity[:, kept])
        objects = frame.expected.objects
        truth_masks.append([objects.masks[i] for i in np.flatnonzero(frame.expected.wanted)])
        answer_masks.append([frame.answer.masks[i] for i in np.flatnonzero(kept)])
    return {
        "num_timesteps": len(truth_ids),
        "num_gt_ids": len(truth_names),
        "num_tracker_ids": len(answer_names),
        "num_gt_dets": sum(map(len, truth_ids)),
        "num_tracker_dets": sum(map(len, answer_ids)),
        "gt_ids": truth_ids,
        "tracker_ids": answer_ids,
        "similarity_scores": similarities,
        "gt_dets": truth_masks,
        "tracker_dets": answer_masks,
    }


def _similarity(frame: PairedFrame, chosen: np.ndarray, crowd: bool) -> np.ndarray:
    """[chosen objects, answers] overlap of masks where the phrases agree, else 0.

    Args:
        frame: truth and answers.
        chosen: [N] bool, which objects of the truth.
        crowd: divide by the answer's own area instead of the union.
    """
    objects: Any = [frame.expected.objects.masks[i] for i in np.flatnonzero(chosen)]
    answers: Any = list(frame.answer.masks)
    if not objects or not answers:
        return np.zeros((len(objects), len(answers)))
    if frame.boxes_only:
        objects, answers = _xywh(frame.expected.objects.boxes[chosen]), _xywh(frame.answer.boxes)
    overlap = coco_mask.iou(answers, objects, [crowd] * len(objects)).T
    wanted = np.array([_phrase(frame, int(i)) for i in np.flatnonzero(chosen)])
    answered = np.array([phrase.casefold() for phrase in frame.answer.phrases])
    return np.where(wanted[:, None] == answered[None, :], overlap, 0.0)


def _xywh(boxes: np.ndarray) -> np.ndarray:
    """[N, 4] corners as corner, width and height, in float64, which the library wants."""
    converted = boxes.astype(np.float64)
    converted[:, 2:] -= converted[:, :2]
    return converted


def matches(frame: PairedFrame) -> list[tuple[int, int]]:
    """Wanted objects and the answers that find them: pairs of rows, in the order of the objects.

    The pairs that overlap most in sum win, among those that overlap by at least `HIT`.
    """
    similarity = _similarity(frame, frame.expected.wanted, crowd=False)
    rows = np.flatnonzero(frame.expected.wanted)
    return [(int(rows[i]), j) for i, j in _assigned(similarity)]


def mistakes(frame: PairedFrame) -> tuple[list[int], list[int]]:
    """Rows of the wanted objects that no answer finds, and rows of the false alarms."""
    similarity = _similarity(frame, frame.expected.wanted, crowd=False)
    found = _assigned(similarity)
    rows = np.flatnonzero(frame.expected.wanted)
    missed = set(range(len(rows))) - {i for i, _ in found}
    counted = set(np.flatnonzero(~_excused(frame, similarity)).tolist())
    return [int(rows[i]) for i in sorted(missed)], sorted(counted - {j for _, j in found})


def _assigned(similarity: np.ndarray) -> list[tuple[int, int]]:
    """[objects, answers] similarities to pairs of (object, answer)."""
    hits = np.where(similarity >= HIT, similarity, 0)
    pairs = zip(*linear_sum_assignment(hits, maximize=True), strict=True)
    return [(int(i), int(j)) for i, j in pairs if hits[i, j] > 0]


def _excused(frame: PairedFrame, similarity: np.ndarray) -> np.ndarray:
    """[answers] bool: hits no wanted object and lies on an ignored one."""
    hits = np.zeros(len(frame.answer), bool)
    hits[[answer for _, answer in _assigned(similarity)]] = True
    on_ignored = _similarity(frame, frame.expected.ignored, crowd=True)
    return ~hits & (on_ignored > 0.5).any(axis=0)


def _phrase(frame: PairedFrame, i: int) -> str:
    """The phrase that names object `i`, as phrases are compared."""
    return frame.phrases[frame.expected.phrase_index[i]].casefold()


def _numbered(keys: Sequence[Any], known: dict[Any, int]) -> np.ndarray:
    """Each key's number, given in the order of first appearance."""
    return np.array([known.setdefault(key, len(known)) for key in keys], np.int64)


def _combined(metric: Any, sequences: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One metric over all cameras, joined as TrackEval joins sequences."""
    return metric.combine_sequences(
        {name: metric.eval_sequence(s) for name, s in sequences.items()}
    )
