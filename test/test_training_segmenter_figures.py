"""The measures of the segmenter's memory, on cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gsam_ros.training.evaluate_clips import HIDDEN, SETTLED, draw_return, presence_figures


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
