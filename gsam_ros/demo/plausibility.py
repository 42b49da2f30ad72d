"""Figures that can't be right, or that mean that something is broken.

The bounds are wide. They don't say that a result is good; they catch a run that went wrong without
an error: wrong colour order, shifted stamps, a prompt that never arrived, truth that leaked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gsam_ros.evaluation.run_score import RunScore


@dataclass(frozen=True)
class Bound:
    """What a figure must lie between, and why.

    Attributes:
        low: the least plausible value.
        high: the greatest.
        reason: what it means when the figure lies outside.
    """

    low: float
    high: float
    reason: str


BOUNDS = {
    "AP50": Bound(
        0.30,
        0.999,
        "the demo detector reaches 0.8 on stills; far less means wrong colours, boxes or prompts, "
        "and a perfect score that truth leaked into the answers",
    ),
    "mask IoU": Bound(
        0.50,
        0.99,
        "a filled box has 0.61; less means shifted masks or stamps, and no model draws the very "
        "pixels of the truth",
    ),
    "HOTA": Bound(0.25, 0.99, "ids that change all the time, or truth that leaked"),
    "IDF1": Bound(0.25, 0.999, "ids that change all the time, or truth that leaked"),
    "id switches per object found": Bound(
        0.0,
        0.12,
        "ids that are not kept over frames: a new id in every frame would give nearly 1, and the "
        "demo models, which drift where objects cross, give 0.02 to 0.05",
    ),
    "frame age p50 (s)": Bound(
        0.0,
        600.0,
        "stamps and the node's clock are of different worlds; a slow or busy machine is late by "
        "its backlog, which is far less",
    ),
    "answers per frame": Bound(0.1, 20.0, "nothing is found, or everything is"),
}
"""For the demo's recording and the demo's models."""


def implausible(score: RunScore) -> Iterator[str]:
    """One sentence for every figure outside its bounds; NaN is outside of all."""
    figures = {
        "AP50": score.detection.box_ap50,
        "mask IoU": score.tracking.mask_iou,
        "HOTA": score.tracking.hota,
        "IDF1": score.tracking.idf1,
        "id switches per object found": score.tracking.id_switches / max(1, score.tracking.hits),
        "frame age p50 (s)": score.timing.age.p50,
        "answers per frame": sum(len(f.answer) for f in score.frames) / max(1, len(score.frames)),
    }
    for name, value in figures.items():
        bound = BOUNDS[name]
        if not bound.low <= value <= bound.high:
            yield (
                f"{name} is {value:.3g}, plausible is {bound.low:g} to {bound.high:g}: "
                f"{bound.reason}"
            )


def missing_frames(score: RunScore) -> Iterator[str]:
    """One sentence for every camera with frames that were never answered."""
    for camera in score.cameras:
        if camera.missing:
            yield (
                f"{len(camera.missing)} of {camera.played} frames of the camera "
                f"{camera.camera!r} have no result, the first at {camera.missing[0] / 1e9:.3f} s"
            )
