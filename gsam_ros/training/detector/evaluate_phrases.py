"""Measure what a detector makes of prompts: of phrases that nothing fits, and of long ones.

As in `evaluate_detector`, pictures go through the product's own detector, with its defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.training.detector.evaluate import (
    BOX_THRESHOLD,
    LEAST_SCORE,
    THRESHOLDS,
    test_stills,
)
from gsam_ros.training.detector.words import absent_words
from gsam_ros.world.stills import Still
from gsam_ros.world.vocabulary import PAIRS, Pair, phrase_of

LENGTHS = (1, 2, 5, 10, 20)
"""Phrases of the prompts that one object is asked for with."""
ORDERS = 4
"""Random orders of the longest of these prompts."""

_SPELLED = """
stethoscope accordion spatula forklift gearbox thermos trowel walnut octopus harmonica sundial anvil
crutch turnstile pendant sextant kayak sponge tripod beehive syringe gargoyle funnel zucchini
"""
NEVER_SEEN = tuple(_SPELLED.split())
"""Words that are not in the bundled detector's vocabulary: it has to spell them."""

_SEED = 2_000_000_003
_ABSENT = 3  # phrases of a prompt that holds no others, where there are several
_LENGTHS_EVERY = 10  # pictures
_SAME = 0.02  # change of a score


def phrase_figures(
    detector: GroundingDetector,
    scenes: int,
    height: int = 192,
    width: int = 256,
    show: bool = False,
) -> dict[str, Any]:
    """Figures on the pictures of `evaluate_detector.evaluate`; `show` a progress bar.

    `absent_one`: share of the pictures with a detection where the prompt is one phrase of the world
    of which nothing is there; `absent_three`: where it is that and two others; `unknown_words`:
    where it holds only words that name nothing, one that training had as such and one that it never
    had; `... by score` is the same at other thresholds.

    Every tenth picture's first object is asked for in prompts of `LENGTHS` phrases and in `ORDERS`
    orders of the longest of them: `order_change` and `length_change` are the largest differences of
    its score between these, the score of a phrase being that of its best detection, or 0;
    `..._median` are their medians, `length_change_within` the share of those objects whose score
    changes by 0.02 at most, and `score by length` their mean scores.
    """
    bar = tqdm(
        test_stills(scenes, height, width),
        "prompts",
        scenes,
        leave=False,
        unit="picture",
        disable=not show,
    )
    best: dict[str, list[float]] = {"absent_one": [], "absent_three": [], "unknown_words": []}
    orders: list[float] = []
    lengths: list[list[float]] = []
    everyday = absent_words()
    for number, (_, still) in enumerate(bar):
        rng = np.random.default_rng([_SEED, number])
        absent = draw_absent(rng, still, _ABSENT)
        words = [str(rng.choice(everyday)), str(rng.choice(NEVER_SEEN))]
        for name, phrases in zip(best, (absent[:1], absent, words), strict=True):
            best[name].append(_best(detector, still, phrases))
        if number % _LENGTHS_EVERY == 0 and len(still.boxes):
            by_length, by_order = scores_of_prompts(detector, rng, still)
            lengths.append(by_length)
            orders.append(float(np.ptp(by_order)))
    figures: dict[str, Any] = {}
    for name, scores in best.items():
        figures[name] = _share_above(scores, BOX_THRESHOLD)
        figures[f"{name} by score"] = {
            f"above {threshold:.2f}": _share_above(scores, threshold) for threshold in THRESHOLDS
        }
    if not lengths:
        return figures
    changes = np.ptp(lengths, axis=1)
    return figures | {
        "order_change": max(orders),
        "order_change_median": float(np.median(orders)),
        "length_change": float(changes.max()),
        "length_change_median": float(np.median(changes)),
        "length_change_within": float((changes <= _SAME).mean()),
        "score by length": dict(zip(map(str, LENGTHS), np.mean(lengths, 0).tolist(), strict=True)),
    }


def draw_absent(rng: np.random.Generator, still: Still, count: int) -> list[str]:
    """`count` phrases of the world that no object of the picture fits."""
    present = set(_pairs(still))
    absent = [pair for pair in PAIRS if pair not in present]
    return [phrase_of(absent[i]) for i in rng.permutation(len(absent))[:count]]


def scores_of_prompts(
    detector: GroundingDetector, rng: np.random.Generator, still: Still
) -> tuple[list[float], list[float]]:
    """The first object's scores in prompts of `LENGTHS`, and in `ORDERS` orders of the longest."""
    wanted = phrase_of(_pairs(still)[0])
    others = [phrase_of(pair) for pair in PAIRS if phrase_of(pair) != wanted]
    others = [others[i] for i in rng.permutation(len(others))]

    def score(count: int) -> float:
        prompt = [wanted, *others[: count - 1]]
        return _best(detector, still, [prompt[i] for i in rng.permutation(count)], wanted)

    by_length = [score(count) for count in LENGTHS]
    by_order = [score(LENGTHS[-1]) for _ in range(ORDERS)]
    return by_length, by_order


def _share_above(scores: Sequence[float], threshold: float) -> float:
    return float(np.mean(np.array(scores) > threshold))


def _pairs(still: Still) -> list[Pair]:
    return list(zip(still.colour, still.shape, strict=True))


def _best(
    detector: GroundingDetector, still: Still, phrases: Sequence[str], wanted: str | None = None
) -> float:
    """Score of the best detection of `wanted`, or of any phrase; 0 where there is none."""
    [found] = detector.detect([still.image], detector.encode(phrases), LEAST_SCORE)
    own = found.scores
    if wanted is not None:
        own = own[found.phrase_index == phrases.index(wanted)]
    return float(own.max()) if len(own) else 0.0
