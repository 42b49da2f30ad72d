"""HOTA, mask IoU, IDF1 and counts of any choice of blocks, without matching masks again.

All these figures are functions of counts that add up over frames: how often two ids were seen, and
how often they were matched. A draw of blocks adds the counts of its blocks. HOTA's matching within
a frame, which looks at the whole run, is kept as it is for the whole run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

from gsam_ros.evaluation.metrics.tracking import HIT, sequence_of
from gsam_ros.evaluation.pairing import PairedFrame

_THRESHOLDS = np.arange(0.05, 0.99, 0.05)  # HOTA's
_EPSILON = np.finfo(float).eps
COUNTS = ("id switches", "missed", "false alarms")
"""CLEAR's counts."""


@dataclass(frozen=True)
class _Camera:
    """One camera's counts per block.

    Attributes:
        objects: [B, G] how often each object was wanted.
        ids: [B, T] how often each id was answered.
        pairs: [P, 2] int64, the objects and ids that were matched at all.
        matched: [B, P * 19] how often, at each of HOTA's thresholds.
        overlap: [B] sum of the overlaps of pairs that were matched at the least threshold.
        candidates: [B, G * T] how often object and id overlapped by half.
        counts: [B, 3] CLEAR's counts, in the order of `COUNTS`.
    """

    objects: csr_matrix
    ids: csr_matrix
    pairs: np.ndarray
    matched: csr_matrix
    overlap: np.ndarray
    candidates: csr_matrix
    counts: np.ndarray


@dataclass(frozen=True)
class TrackingStatistics:
    """What HOTA, IDF1 and CLEAR need of each block, for all cameras."""

    cameras: tuple[_Camera, ...]

    @staticmethod
    def of(frames: Sequence[PairedFrame], block: np.ndarray, blocks: int) -> TrackingStatistics:
        """Match the answers once.

        Args:
            frames: of all cameras.
            block: [len(frames)] int64, the block of each frame.
            blocks: how many there are.
        """
        cameras = []
        for camera in sorted({frame.answer.camera for frame in frames}):
            own = [i for i, frame in enumerate(frames) if frame.answer.camera == camera]
            own.sort(key=lambda i: frames[i].answer.stamp)
            sequence = sequence_of([frames[i] for i in own])
            cameras.append(_counted(sequence, block[own], blocks))
        return TrackingStatistics(tuple(cameras))

    def figures(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """HOTA, mask IoU, IDF1 and the counts of draws.

        Args:
            weights: [R, B], how often each block counts.

        Returns:
            Name to [R] values.
        """
        seen: Any = 0.0  # [R], of all cameras
        answered: Any = 0.0
        overlap: Any = 0.0
        kept: Any = 0.0
        hits: Any = 0.0  # [R, 19]
        association: Any = 0.0
        for camera in self.cameras:
            objects, ids = weights @ camera.objects, weights @ camera.ids
            matched = (weights @ camera.matched).reshape(len(weights), -1, len(_THRESHOLDS))
            either = objects[:, camera.pairs[:, 0]] + ids[:, camera.pairs[:, 1]]
            jaccard = matched / np.maximum(1, either[:, :, None] - matched)
            association = association + (matched * jaccard).sum(axis=1)
            hits = hits + matched.sum(axis=1)
            seen, answered = seen + objects.sum(axis=1), answered + ids.sum(axis=1)
            overlap = overlap + weights @ camera.overlap
            kept = kept + _best_ids(weights @ camera.candidates, objects.shape[1])
        det_a = hits / np.maximum(1, (seen + answered)[:, None] - hits)
        ass_a = association / np.maximum(1, hits)
        counts = sum(weights @ camera.counts for camera in self.cameras)
        return {
            "HOTA": np.sqrt(det_a * ass_a).mean(axis=1),
            "mask IoU": np.where(hits[:, 0] > 0, overlap / np.maximum(1, hits[:, 0]), np.nan),
            "IDF1": kept / np.maximum(1, (seen + answered) / 2),
            **{name: counts[:, i] for i, name in enumerate(COUNTS)},
        }


def _best_ids(candidates: np.ndarray, objects: int) -> np.ndarray:
    """[R] IDTP: matches that remain if each object may have one id and each id one object.

    That assignment is the one which leaves the fewest false positives and negatives, as Ristani
    et al. define it.

    Args:
        candidates: [R, G * T] how often object and id overlapped by half.
        objects: G.
    """
    if not candidates.size:
        return np.zeros(len(candidates))
    tables = candidates.reshape(len(candidates), objects, -1)
    best = (linear_sum_assignment(table, maximize=True) for table in tables)
    return np.array([table[pairs].sum() for table, pairs in zip(tables, best, strict=True)])


def _counted(sequence: dict[str, Any], block: np.ndarray, blocks: int) -> _Camera:
    """Counts per block of one camera's TrackEval `data`."""
    objects, ids = sequence["num_gt_ids"], sequence["num_tracker_ids"]
    frames = list(
        zip(
            block.tolist(),
            sequence["gt_ids"],
            sequence["tracker_ids"],
            sequence["similarity_scores"],
            strict=True,
        )
    )
    alignment = _alignment(frames, objects, ids)
    pairs: dict[tuple[int, int], int] = {}
    matched, candidates = [], []
    overlap = np.zeros(blocks)
    for where, gt, tracker, similarity in frames:
        near = np.argwhere(similarity >= HIT)
        candidates += [(where, int(gt[i]) * ids + int(tracker[j])) for i, j in near]
        score = alignment[np.ix_(gt, tracker)] * similarity
        for i, j in zip(*linear_sum_assignment(score, maximize=True), strict=True):
            reached = np.flatnonzero(similarity[i, j] >= _THRESHOLDS - _EPSILON)
            if len(reached):
                pair = pairs.setdefault((int(gt[i]), int(tracker[j])), len(pairs))
                matched += [(where, pair * len(_THRESHOLDS) + a) for a in reached.tolist()]
                overlap[where] += similarity[i, j]
    return _Camera(
        _summed([(where, i) for where, gt, _, _ in frames for i in gt], blocks, objects),
        _summed([(where, j) for where, _, tracker, _ in frames for j in tracker], blocks, ids),
        np.array(list(pairs), np.int64).reshape(-1, 2),
        _summed(matched, blocks, len(pairs) * len(_THRESHOLDS)),
        overlap,
        _summed(candidates, blocks, objects * ids),
        _clear_counts(frames, objects, blocks),
    )


def _alignment(frames: Sequence[tuple], objects: int, ids: int) -> np.ndarray:
    """[G, T] how much of their time object and id share: HOTA's score before the matching."""
    shared = np.zeros((objects, ids))
    seen, answered = np.zeros((objects, 1)), np.zeros((1, ids))
    for _, gt, tracker, similarity in frames:
        union = similarity.sum(axis=0) + similarity.sum(axis=1)[:, None] - similarity
        shared[np.ix_(gt, tracker)] += np.where(
            union > _EPSILON, similarity / np.maximum(union, _EPSILON), 0.0
        )
        seen[gt] += 1
        answered[0, tracker] += 1
    return shared / np.maximum(seen + answered - shared, _EPSILON)


def _clear_counts(frames: Sequence[tuple], objects: int, blocks: int) -> np.ndarray:
    """[B, 3] id switches, misses and false alarms, counted frame by frame as TrackEval does.

    An object stays with the id of the frame before where they still overlap by half; the others
    are matched by overlap. Frames without an object or without an answer don't end that bond.
    """
    counts = np.zeros((blocks, len(COUNTS)))
    newest, before = np.full(objects, -1), np.full(objects, -1)
    for where, gt, tracker, similarity in frames:
        found = 0
        if len(gt) and len(tracker):
            score = similarity + 1000 * (before[gt][:, None] == tracker[None, :])
            score[similarity < HIT - _EPSILON] = 0
            rows, columns = linear_sum_assignment(score, maximize=True)
            hits = score[rows, columns] > _EPSILON
            which, ids = gt[rows[hits]], tracker[columns[hits]]
            counts[where, 0] += np.count_nonzero((newest[which] >= 0) & (newest[which] != ids))
            before[:] = -1
            newest[which] = before[which] = ids
            found = len(which)
        counts[where, 1:] += len(gt) - found, len(tracker) - found
    return counts


def _summed(entries: Sequence[tuple[int, int]], rows: int, columns: int) -> csr_matrix:
    """[rows, columns], how often each (row, column) is among `entries`."""
    places = np.array(entries, np.int64).reshape(-1, 2)
    return csr_matrix((np.ones(len(places)), (places[:, 0], places[:, 1])), (rows, columns))
