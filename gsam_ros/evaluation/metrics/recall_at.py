"""How much is found at a price that one is ready to pay: recall at fixed false alarms per frame.

The free-response curve (FROC; Chakraborty, Medical Physics 1989) with boxes that overlap by half,
over all phrases together: answers are taken from the surest on, and one stops where they would hold
more false alarms than so many per frame. Unlike average precision it speaks of one threshold for
all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gsam_ros.evaluation.metrics.matching import matched_at_half
from gsam_ros.evaluation.pairing import PairedFrame

PRICES = (0.1, 0.3, 1.0)
"""False alarms per frame."""


def recall_at(
    frames: Sequence[PairedFrame], prices: Sequence[float] = PRICES
) -> dict[float, float]:
    """False alarms per frame to recall, [0, 1]; NaN where nothing was wanted."""
    entries = matched_at_half(frames, "bbox")
    wanted = sum(int(np.count_nonzero(~np.asarray(e["gtIgnore"], bool))) for e in entries)
    if not wanted:
        return {price: float("nan") for price in prices}
    scores, hits = [np.zeros(0)], [np.zeros(0, bool)]
    for entry in entries:
        counted = ~entry["dtIgnore"][0].astype(bool)
        scores.append(np.asarray(entry["dtScores"], float)[counted])
        hits.append(entry["dtMatches"][0][counted] > 0)
    score, hit = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-score, kind="stable")
    score, hit = score[order], hit[order]
    # A threshold takes all answers of one score or none.
    last = np.append(score[1:] != score[:-1], True)[: len(score)]
    found, false = np.cumsum(hit)[last], np.cumsum(~hit)[last]
    return {
        price: float(found[false <= price * len(frames)].max(initial=0) / wanted)
        for price in prices
    }
