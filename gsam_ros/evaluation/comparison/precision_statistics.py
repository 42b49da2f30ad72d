"""AP50 of any choice of blocks, without matching boxes again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gsam_ros.evaluation.metrics.matching import matched_at_half
from gsam_ros.evaluation.pairing import PairedFrame

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class _Phrase:
    """One phrase's answers, the surest first, and how often it was wanted.

    Attributes:
        block: [D] int64, of each answer.
        hit: [D] bool, at overlap 0.5; those that are neither hit nor miss are left out.
        wanted: [B] how often it had to be found in each block.
    """

    block: np.ndarray
    hit: np.ndarray
    wanted: np.ndarray


@dataclass(frozen=True)
class PrecisionStatistics:
    """What AP50 needs of each block; COCO matches boxes within an image, so blocks don't mix."""

    phrases: tuple[_Phrase, ...]

    @staticmethod
    def of(
        frames: Sequence[PairedFrame], block: np.ndarray, blocks: int, overlap: str
    ) -> PrecisionStatistics:
        """Match the answers once.

        Args:
            frames: of all cameras.
            block: [len(frames)] int64, the block of each frame.
            blocks: how many there are.
            overlap: "bbox" or "segm".
        """
        matched = matched_at_half(frames, overlap)
        by_phrase: dict[int, list[tuple[int, dict[str, np.ndarray]]]] = {}
        for entry in matched:
            by_phrase.setdefault(entry["category_id"], []).append(
                (int(block[entry["image_id"] - 1]), entry)
            )
        phrases = (_phrase(entries, blocks) for entries in by_phrase.values())
        return PrecisionStatistics(tuple(p for p in phrases if p.wanted.any()))

    def ap50(self, weights: np.ndarray) -> np.ndarray:
        """AP50 of draws.

        Args:
            weights: [R, B], how often each block counts.

        Returns:
            [R], the mean over the phrases that a draw wanted; NaN where it wanted none.
        """
        figures = np.full((len(self.phrases), len(weights)), np.nan)
        for row, phrase in enumerate(self.phrases):
            figures[row] = _precision(phrase, weights)
        asked = ~np.isnan(figures)
        sums = np.where(asked, figures, 0.0).sum(axis=0)
        return np.where(asked.any(axis=0), sums / np.maximum(asked.sum(axis=0), 1), np.nan)


def _precision(phrase: _Phrase, weights: np.ndarray) -> np.ndarray:
    """[R] average precision of one phrase, as COCO interpolates it."""
    wanted = weights @ phrase.wanted
    if not len(phrase.block):
        return np.where(wanted > 0, 0.0, np.nan)
    counts = weights[:, phrase.block]
    hits = np.cumsum(counts * phrase.hit, axis=1)
    recall = hits / np.maximum(wanted, 1)[:, None]
    precision = hits / np.maximum(np.cumsum(counts, axis=1), 1)
    # The greatest at this recall or a higher one.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    precision = np.concatenate([precision, np.zeros((len(weights), 1))], axis=1)
    figures = [
        curve[np.searchsorted(reached, _RECALLS)].mean()
        for reached, curve in zip(recall, precision, strict=True)
    ]
    return np.where(wanted > 0, figures, np.nan)


def _phrase(entries: Sequence[tuple[int, dict]], blocks: int) -> _Phrase:
    wanted = np.zeros(blocks)
    scores, hits, places = [], [], []
    for block, entry in entries:
        wanted[block] += np.count_nonzero(~np.asarray(entry["gtIgnore"], bool))
        counted = ~entry["dtIgnore"][0].astype(bool)
        scores.append(np.asarray(entry["dtScores"], float)[counted])
        hits.append(entry["dtMatches"][0][counted] > 0)
        places.append(np.full(np.count_nonzero(counted), block))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return _Phrase(np.concatenate(places)[order], np.concatenate(hits)[order], wanted)
