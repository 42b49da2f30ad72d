"""Specks go, pieces stay."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gsam_ros.tracking.fragments import without_fragments

MASKS = arrays(np.float32, (12, 16), elements=st.floats(-8, 8, width=32))


def mask(*parts: tuple[int, int, int, int]) -> np.ndarray:
    logits = np.full((20, 30), -5, np.float32)
    for top, left, height, width in parts:
        logits[top : top + height, left : left + width] = 3
    return logits


def test_a_speck_goes_and_the_object_stays() -> None:
    object_, speck = (2, 2, 8, 8), (18, 27, 2, 3)
    np.testing.assert_array_equal(
        without_fragments(mask(object_, speck), 0.15) > 0, mask(object_) > 0
    )


def test_both_halves_of_an_object_behind_a_pole_stay() -> None:
    logits = mask((2, 2, 8, 8), (2, 12, 8, 3))
    np.testing.assert_array_equal(without_fragments(logits, 0.15), logits)


def test_the_largest_part_stays_whatever_its_share() -> None:
    nine = [(6 * row, 8 * column, 2, 2) for row in range(3) for column in range(3)]
    largest = (0, 0, 3, 2)
    kept = without_fragments(mask(*nine, largest), 1.0)
    np.testing.assert_array_equal(kept > 0, mask(largest) > 0)


@given(MASKS, st.floats(0, 1))
def test_it_only_takes_away_and_never_all(logits: np.ndarray, least: float) -> None:
    kept = without_fragments(logits, least)
    assert not ((kept > 0) & (logits <= 0)).any()
    assert (kept > 0).any() == (logits > 0).any()
    np.testing.assert_array_equal(np.abs(kept), np.abs(logits))
    np.testing.assert_array_equal(without_fragments(kept, least) > 0, kept > 0)


@given(MASKS)
def test_without_a_share_nothing_goes(logits: np.ndarray) -> None:
    np.testing.assert_array_equal(without_fragments(logits, 0.0), logits)
