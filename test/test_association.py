"""Which detection is which track."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou as torch_box_iou

from gsam_ros.boxes import box_iou
from gsam_ros.tracking.association import Outlines, affinities, assign, mask_overlap, match, overlap


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


CERTAIN = 5  # the phrase of tracks that can't be renamed
A, B, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (500, 500, 510, 510)


@pytest.mark.parametrize(
    ("tracks", "track_phrases", "found", "found_phrases", "pairs"),
    [
        ([], [], [A], [0], set()),  # nothing is known yet
        ([A], [0], [], [], set()),  # nothing was found
        ([A, B], [0, 0], [B, A], [0, 0], {(0, 1), (1, 0)}),  # order does not matter
        ([A], [0], [FAR], [0], set()),  # same phrase, another place
        ([A], [0], [A], [1], {(0, 0)}),  # the detector changed its mind about the phrase
        ([A], [CERTAIN], [A], [1], set()),  # a known object does not become another
        ([A], [0], [(3, 0, 13, 10)], [1], set()),  # another object that stands close by
        ([A, A], [0, 1], [A, A], [1, 0], {(0, 1), (1, 0)}),  # own phrase first
        # The greedy choice, best overlap first, would leave the second track without a partner.
        ([(0, 0, 10, 10), (4, 0, 14, 10)], [0, 0], [(3, 0, 13, 10), (-4, 0, 6, 10)], [0, 0],
         {(0, 1), (1, 0)}),
    ],
)  # fmt: skip
def test_match(tracks, track_phrases, found, found_phrases, pairs):
    result = match(
        box_iou(boxes(*tracks), boxes(*found)),
        np.ones(len(tracks), bool),
        np.array(track_phrases, np.int64),
        np.array([phrase != CERTAIN for phrase in track_phrases], bool),
        np.array(found_phrases, np.int64),
        least=0.3,
        least_renamed=0.7,
    )
    assert set(result) == pairs


def test_of_two_tracks_on_one_object_the_one_in_sight_keeps_it():
    alike = np.array([[0.9], [0.5]])
    one = np.zeros(2, np.int64), np.zeros(2, bool), np.zeros(1, np.int64), 0.3, 0.7
    assert match(alike, np.array([False, True]), *one) == [(1, 0)]
    assert match(alike, np.array([True, True]), *one) == [(0, 0)]


def masks_of(*rows):
    """Boxes as masks [N, 10, 60] of cells as large as a pixel."""
    masks = np.zeros((len(rows), 10, 60), bool)
    for mask, (left, top, right, bottom) in zip(masks, rows, strict=True):
        mask[top:bottom, left:right] = True
    return masks


def outlines(*rows, close=False):
    """Boxes as objects whose masks fill them."""
    return Outlines(masks_of(*rows), boxes(*rows), np.full(len(rows), close))


def test_a_mask_that_slid_onto_a_look_alike_is_outvoted_by_the_way():
    """Both masks lie on B; the detections, and where both were going, say who is who."""
    alike = affinities(
        boxes(A, B), boxes(A, B), outlines(B, B), np.ones(2, bool), outlines(B, A),
    )  # fmt: skip
    assert assign(alike, 0.25) == [(0, 1), (1, 0)]


def test_a_track_out_of_sight_is_where_it_was_going_or_where_it_was():
    nothing = outlines((0, 0, 0, 0))
    for expected, before in ((A, FAR), (FAR, A)):
        alike = affinities(
            boxes(expected), boxes(before), nothing, np.zeros(1, bool), outlines(A, B),
        )  # fmt: skip
        assert alike.tolist() == [[1.0, 0.0]]


def test_pairs_below_the_least_do_not_push_out_better_ones():
    affinities = np.array([[0.5, 0.29], [0.29, 0.0]])
    assert assign(affinities, least=0.3) == [(0, 0)]


coordinate = st.floats(0, 100, width=32)


@given(st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=5))
def test_box_iou_equals_torchvisions(rows):
    first = boxes(*[(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in rows])
    solid = first[((first[:, 2:] - first[:, :2]) > 1e-3).all(1)]
    expected = torch_box_iou(torch.from_numpy(solid), torch.from_numpy(solid)).numpy()
    np.testing.assert_allclose(box_iou(solid, solid), expected, atol=1e-5)


def test_boxes_without_area_overlap_nothing():
    assert box_iou(boxes((5, 5, 5, 5)), boxes((0, 0, 10, 10), (5, 5, 5, 5))).tolist() == [[0, 0]]


def test_mask_overlap_of_a_part_and_its_whole():
    whole, part = np.zeros((2, 1, 4, 4), bool)
    whole[:] = True
    part[:, :2] = True
    iou, covered = mask_overlap(part, whole)
    assert (iou[0, 0], covered[0, 0]) == (0.5, 1.0)
    assert mask_overlap(np.zeros_like(part), whole)[0][0, 0] == 0


def test_neighbours_in_one_cell_of_the_whole_image_are_two_by_their_boxes():
    cell = np.ones((1, 1, 1), bool)
    left, right, half = ((0, 0, 4, 4), (4, 0, 8, 4), (0, 0, 2, 4))

    def small(box, close=True):
        return Outlines(cell, boxes(box), np.array([close]))

    assert [o.item() for o in overlap(small(left), small(right))] == [0, 0]
    assert [o.item() for o in overlap(small(left), small(half))] == pytest.approx([0.5, 1.0])
    assert [o.item() for o in overlap(small(left), small(right, close=False))] == [0, 0]
    both = [small(box, close=False) for box in (left, right)]
    assert [o.item() for o in overlap(*both)] == [1, 1], "masks say more of what is large"
