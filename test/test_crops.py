"""Which crops show the small objects of an image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gsam_ros.tracking.crops import CropSizes, choose_crops

SIZES = CropSizes(alone=4.0, shared=8.0, crowded=8.0)


@st.composite
def small_boxes(draw):
    height, width = draw(st.integers(16, 400)), draw(st.integers(16, 400))
    count = draw(st.integers(1, 6))
    boxes = []
    for _ in range(count):
        w, h = draw(st.integers(1, 15)), draw(st.integers(1, 15))
        left, top = draw(st.integers(0, width - w)), draw(st.integers(0, height - h))
        boxes.append([left, top, left + w, top + h])
    return np.array(boxes, np.float32), (height, width), draw(st.integers(0, 4))


@given(small_boxes())
def test_a_crop_lies_in_the_image_and_shows_the_whole_object(case):
    boxes, size, most = case
    crops, shown_in = choose_crops(boxes, size, most, SIZES)
    assert len(crops) <= most
    assert (crops[:, :2] >= 0).all()
    assert (crops[:, 2:] <= size[::-1]).all()
    assert (crops[:, 2] - crops[:, 0] == crops[:, 3] - crops[:, 1]).all(), "square"
    for box, number in zip(boxes, shown_in, strict=True):
        if number >= 0:
            assert (box[:2] >= crops[number, :2]).all()
            assert (box[2:] <= crops[number, 2:]).all()
    if most >= len(boxes):
        assert (shown_in >= 0).all()


def test_neighbours_share_a_crop_and_the_smallest_come_first():
    boxes = np.array([[10, 10, 30, 30], [24, 20, 36, 32], [300, 300, 320, 320]], np.float32)
    _, shown_in = choose_crops(boxes, (400, 400), 9, SIZES)
    assert shown_in[0] != shown_in[2]
    _, shown_in = choose_crops(boxes[[1, 1, 2]], (400, 400), 9, SIZES)
    assert shown_in.tolist() == [0, 0, 1]
    _, shown_in = choose_crops(boxes, (400, 400), 1, SIZES)
    assert shown_in[1] == 0


def test_where_objects_are_more_than_crops_the_crops_become_larger():
    boxes = np.array([[x, 100, x + 20, 120] for x in (20, 70, 300, 350)], np.float32)
    wide = replace(SIZES, shared=3.0, crowded=16.0)
    for most, together in ((4, [0, 1, 2, 3]), (3, [0, 0, 1, 2]), (2, [0, 0, 1, 1])):
        crops, shown_in = choose_crops(boxes, (400, 400), most, wide)
        assert len(crops) == most
        assert len(set(zip(shown_in.tolist(), together, strict=True))) == most
    crops, shown_in = choose_crops(boxes, (400, 400), 1, wide)
    assert len(crops) == 1, "350 pixels would be too large a crop for things of 20"
    assert shown_in.tolist() in ([0, 0, -1, -1], [-1, -1, 0, 0])
    [crop], shown_in = choose_crops(boxes, (400, 400), 1, replace(wide, crowded=20.0))
    assert (shown_in == 0).all()
    assert crop[0] <= 20
    assert crop[2] >= 370


def test_an_image_without_small_objects_or_without_crops_has_none():
    for boxes, most in ((np.zeros((0, 4), np.float32), 3), (np.ones((2, 4), np.float32), 0)):
        crops, shown_in = choose_crops(boxes, (400, 400), most, SIZES)
        assert crops.shape == (0, 4)
        assert shown_in.tolist() == [-1] * len(boxes)
