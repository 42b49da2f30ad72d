"""The measures of the segmenter's memory, on cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gsam_ros.training.segmenter import evaluate_clips
from gsam_ros.training.segmenter.evaluate_clips import (
    HIDDEN,
    SETTLED,
    draw_return,
    presence_figures,
)
from gsam_ros.world.clips import Clip


@pytest.mark.parametrize(
    ("there", "away", "auc", "recall"),
    [
        ([1, 2, 3, 4], [-1, 0], 1.0, 1.0),
        ([1, 2, 3, 4], [5, 6], 0.0, 0.0),
        ([1, 2, 3, 4], [2, 0], 0.8125, 0.5),
        ([1] * 100 + [9] * 100, [0, 5], 0.75, 0.5),
        ([0, 0, 0, *[9] * 97], [1, 10], 0.485, 0.5),
    ],
    ids=["told apart", "upside down", "one tie", "half above", "3 of 100 may be missed"],
)
def test_presence(there: list, away: list, auc: float, recall: float) -> None:
    scores = np.array([*there, *away], float)
    present = np.arange(len(scores)) < len(there)
    figures = presence_figures(scores, present)
    assert figures == pytest.approx({"presence_auc": auc, "recall_at_3": recall})


def test_presence_of_one_kind_alone_has_no_figures() -> None:
    assert presence_figures(np.ones(3), np.ones(3, bool)) == {}


def test_an_object_to_return_is_hidden_for_ten_frames_and_has_a_double() -> None:
    for number in range(3):
        clip, end = draw_return(np.random.default_rng([4, number]))
        assert not clip.masks[end - HIDDEN : end, 0].any()
        assert clip.present[0, 0]
        assert clip.present[end, 0]
        assert clip.present[end + SETTLED, 0]
        assert (clip.shape[0], clip.colour[0]) == (clip.shape[1], clip.colour[1])


def test_figures_of_what_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth, but shifted by one column, and never told as absent."""

    def follow(model: object, images: np.ndarray, first: np.ndarray) -> tuple:
        return np.roll(truth, 1, axis=3), np.ones(truth.shape[:2])

    truth = np.zeros((4, 1, 256, 256), bool)
    truth[[0, 1, 3], 0, 100:110, 100:110] = True
    clip = Clip(np.zeros((4, 256, 256, 3), np.uint8), truth, truth.any((2, 3)), ("",), ("",))
    monkeypatch.setattr(evaluate_clips, "draw_clip_to_follow", lambda *arguments: clip)
    monkeypatch.setattr(evaluate_clips, "follow", follow)
    monkeypatch.setattr(evaluate_clips, "masks_of_boxes", lambda model, image, masks: masks)
    figures = evaluate_clips.clip_figures(None, count=1, frames=4)  # type: ignore[arg-type]
    shifted = 90 / 110
    assert figures == pytest.approx(
        {
            "memory_iou": shifted,
            "boxed_iou": 1.0,
            "memory_j": 2 * shifted / 3,
            "memory_iou_last": shifted,
            "after_return": shifted,
            "absence_recall": 0.0,
            "false_absence": 0.0,
            "presence_auc": 0.5,
            "recall_at_3": 0.0,
        }
    )
