"""Every figure of the model cards, and the aim that each is held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from transformers import Sam2VideoModel

from gsam_ros import checkpoints
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.training.detector.evaluate import evaluate
from gsam_ros.training.detector.evaluate_phrases import phrase_figures
from gsam_ros.training.segmenter.evaluate import still_figures
from gsam_ros.training.segmenter.evaluate_clips import clip_figures, return_figures
from gsam_ros.training.segmenter.model import IMAGE_SIZE

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Amounts:
    """How much the models are measured on.

    Attributes:
        scenes: pictures for the detector.
        stills: pictures for the segmenter.
        clips: of 16 frames.
        long_clips: of 100 frames.
        returns: clips with an object that is hidden and comes back.
    """

    scenes: int = 1000
    stills: int = 200
    clips: int = 40
    long_clips: int = 10
    returns: int = 40

    def times(self, share: float) -> Amounts:
        """That share of it, at least one of each."""
        return Amounts(*(max(round(share * count), 1) for count in asdict(self).values()))


@dataclass(frozen=True)
class Aim:
    """What a figure should be.

    Attributes:
        figure: its name in what `measure_detector` or `measure_segmenter` return.
        meaning: for people.
        bound: the least it should be, or the most where `at_most`; None: there is no aim.
        at_most: which.
    """

    figure: str
    meaning: str
    bound: float | None = None
    at_most: bool = False

    def met_by(self, value: float) -> bool:
        """Whether the figure is as it should be."""
        if self.bound is None:
            return True
        return value <= self.bound if self.at_most else value >= self.bound

    def told(self, value: float) -> tuple[str, str, str]:
        """A row of a table: meaning, figure, and the aim with the verdict."""
        shown = f"{value:.0f}" if self.figure == "duplicates" else f"{value:.3f}"
        if self.bound is None:
            return self.meaning, shown, ""
        sign = "at most" if self.at_most else "at least"
        verdict = "" if self.met_by(value) else ": MISSED"
        return self.meaning, shown, f"aim: {sign} {self.bound:g}{verdict}"


DETECTOR = (
    Aim("seen ap50", "AP50, seen pairs of colour and shape", 0.90),
    Aim("held_out ap50", "AP50, held-out pairs", 0.87),
    Aim("seen ap", "AP, seen pairs"),
    Aim("held_out ap", "AP, held-out pairs"),
    Aim("absent_one", "pictures with a find of one absent phrase", 0.05, True),
    Aim("absent_three", "the same, three absent phrases in the prompt", 0.05, True),
    Aim("absent_beside_present", "the same, beside phrases of what is there", 0.05, True),
    Aim("unknown_words", "pictures with a find of unknown words", 0.01, True),
    Aim("duplicates", "second finds of the same object", 0, True),
    Aim("order_change", "largest change of a score by the order of phrases", 0.02, True),
    Aim("length_change", "largest change of a score, 1 to 20 phrases", 0.02, True),
    Aim("length_change_median", "the median of these changes"),
)

SEGMENTER = (
    Aim("box_iou_seen", "box to mask, mean IoU, seen pairs", 0.90),
    Aim("box_iou_held_out", "box to mask, held-out pairs"),
    Aim("point_iou", "point to mask", 0.80),
    Aim("memory_iou", "by memory, 16 frames", 0.80),
    Aim("memory_iou_100", "by memory, 100 frames", 0.70),
    Aim("absence_recall", "absences told", 0.90),
    Aim("false_absence", "false absences", 0.03, True),
    Aim("absence_recall_100", "absences told, 100 frames"),
    Aim("false_absence_100", "false absences, 100 frames"),
    Aim("after_return", "frames after an absence, IoU"),
    Aim("returned", "back on the right object after 10 hidden frames", 0.80),
)


def measure_detector(name: str, amounts: Amounts, show: bool = False) -> dict[str, Any]:
    """All figures of a detector; `name` as in `checkpoints.locate`, `show` progress bars.

    Raises:
        CheckpointError: it can't be loaded.
    """
    detector = GroundingDetector(name, _CPU)
    figures = evaluate(detector, amounts.scenes, show=show)
    return figures | phrase_figures(detector, amounts.scenes, show=show)


def measure_segmenter(name: str, amounts: Amounts, show: bool = False) -> dict[str, Any]:
    """All figures of a segmenter; `name` as in `checkpoints.locate`, `show` progress bars.

    Raises:
        CheckpointError: it can't be loaded, or takes images of another size.
    """
    model = checkpoints.load(Sam2VideoModel, name, "sam2_video", _CPU, torch.float32)
    size = model.config.prompt_encoder_config.image_size
    if size != IMAGE_SIZE:
        raise checkpoints.CheckpointError(
            f"the model {name!r} takes images of {size} pixels, and the world's clips have "
            f"{IMAGE_SIZE}: only segmenters of that size can be measured on it"
        )
    figures: dict[str, Any] = asdict(amounts)
    del figures["scenes"]
    if amounts.stills:
        figures |= still_figures(model, amounts.stills, show=show)
    if amounts.clips:
        figures |= clip_figures(model, amounts.clips, show=show)
    if amounts.long_clips:
        hundred = clip_figures(model, amounts.long_clips, frames=100, show=show)
        figures |= {f"{figure}_100": value for figure, value in hundred.items()}
    if amounts.returns:
        figures |= return_figures(model, amounts.returns, show=show)
    return figures


ROLES: dict[str, tuple[Callable[[str, Amounts, bool], dict[str, Any]], Sequence[Aim]]] = {
    "detector": (measure_detector, DETECTOR),
    "segmenter": (measure_segmenter, SEGMENTER),
}
"""How each kind of model is measured, and against what."""


def rows(figures: dict[str, Any], aims: Sequence[Aim]) -> list[tuple[str, str, str]]:
    """Meaning, figure and aim of each that was measured; scenes too few have not all of them."""
    pairs = [(aim, figure_of(figures, aim.figure)) for aim in aims]
    return [aim.told(value) for aim, value in pairs if not math.isnan(value)]


def missed(figures: dict[str, Any], aims: Sequence[Aim]) -> list[str]:
    """Names of the figures that were measured and are not as they should be."""
    pairs = [(aim, figure_of(figures, aim.figure)) for aim in aims]
    return [aim.figure for aim, value in pairs if not (math.isnan(value) or aim.met_by(value))]


def figure_of(figures: dict[str, Any], name: str) -> float:
    """The figure of a name such as "seen ap50"; NaN where it was not measured."""
    value: Any = figures
    for key in name.split():
        value = value.get(key, math.nan)
    return float(value)
