"""Where a box will be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsam_ros.boxes import box_iou
from gsam_ros.tracking.motion import BoxMotion

BOX = np.array([100.0, 100.0, 160.0, 140.0])


@pytest.mark.parametrize("rate", [5, 10, 30])
def test_a_steady_way_is_foreseen_at_any_rate(rate):
    speed = np.array([60.0, -20.0, 60.0, -20.0])  # pixels per second
    motion = BoxMotion(BOX, 0.0)
    for index in range(1, 2 * rate):
        motion.update(BOX + speed * index / rate, index / rate, detected=True)
    ahead = motion.predict(2.2)
    np.testing.assert_allclose(ahead, BOX + speed * 2.2, atol=3)


def test_what_is_out_of_sight_does_not_run_away():
    motion = BoxMotion(BOX, 0.0)
    for index in range(1, 20):
        motion.update(BOX + 30.0 * index, index / 10, detected=True)
    assert np.abs(motion.predict(1000.0) - motion.predict(2.4)).max() < 1


@given(
    st.lists(
        st.tuples(st.floats(0, 600), st.floats(0, 400), st.floats(0, 200), st.floats(0, 200)),
        min_size=1,
        max_size=20,
    ),
    st.booleans(),
)
def test_whatever_is_seen_the_box_stays_a_box(sizes, detected):
    motion = BoxMotion(BOX, 0.0)
    for index, (left, top, width, height) in enumerate(sizes):
        motion.update(np.array([left, top, left + width, top + height]), index * 0.1, detected)
    left, top, right, bottom = motion.predict(len(sizes) * 0.1)
    assert np.isfinite([left, top, right, bottom]).all()
    assert right > left and bottom > top


def test_a_detection_weighs_more_than_a_guess():
    moved = BOX + 20.0
    overlaps = []
    for detected in (True, False):
        motion = BoxMotion(BOX, 0.0)
        motion.update(moved, 0.1, detected)
        overlaps.append(box_iou(motion.predict(0.1)[None], moved[None].astype(np.float32))[0, 0])
    assert overlaps[0] > overlaps[1]


def test_what_slides_in_front_does_not_shrink_an_object_on_and_on():
    motion = BoxMotion(BOX, 0.0)
    for step, index in enumerate(
        (1, 2, 3, 4, 4, 4), start=1
    ):  # from 60 pixels to 28, and no further
        motion.update(BOX - np.array([0, 0, 8.0 * index, 0]), step * 0.1, detected=False)
    left, _, right, _ = motion.predict(0.7)
    assert right - left >= 28


def test_a_way_back_after_an_absence_is_learnt_from_the_way_back():
    """It left to the left, and comes back to the right, three of its sizes per second."""
    speed = np.array([150.0, 0, 150.0, 0])
    motion = BoxMotion(BOX, 0.0)
    for index in range(1, 5):
        motion.update(BOX - speed * index / 10, index / 10, detected=True)
    for index in range(3):
        motion.update(BOX - 60 + speed * index / 10, 4.0 + index / 10, detected=True)
    np.testing.assert_allclose(motion.predict(4.3), BOX - 60 + speed * 0.3, atol=8)
