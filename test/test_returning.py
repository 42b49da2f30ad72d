"""Which of several that hid is the one that a detection shows: worked examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.returning import who_returns
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track

PERIOD = 200_000_000
ALIKE = torch.ones(4)


def box_at(x: float, size: float) -> np.ndarray:
    return np.array([x - size / 2, 50 - size / 2, x + size / 2, 50 + size / 2], np.float32)


def hidden(
    x: float, size: float = 20, looks: int = 5, last: int = 0, pointer: torch.Tensor = ALIKE
) -> Track:
    """One that stood still for some looks, the last of them at a stamp."""
    track = Track(1, TrackMemory(7, 16), born=last - (looks - 1) * PERIOD)
    for stamp in range(track.born, last + 1, PERIOD):
        track.agreed_box = box_at(x, size)
        track.agree("mug", 0.8, stamp, TrackerSettings())
        track.move(track.agreed_box, stamp, detected=True)
    track.pointer = pointer
    return track


def pairs(tracks: list[Track], *boxes: np.ndarray, stamp: int = PERIOD, like=None) -> dict:
    looks = torch.stack([ALIKE] * len(boxes)) if like is None else like
    possible = np.ones((len(tracks), len(boxes)), bool)
    return dict(who_returns(tracks, np.stack(boxes), looks, possible, stamp))


def test_of_two_alike_the_nearer_one_is_back():
    tracks = [hidden(100), hidden(140)]
    assert pairs(tracks, box_at(135, 20)) == {1: 0}
    assert pairs(tracks, box_at(110, 20)) == {0: 0}


def test_of_two_alike_the_one_of_that_size_is_back_though_the_other_hid_nearer():
    tracks = [hidden(100, size=20), hidden(125, size=45)]
    assert pairs(tracks, box_at(118, 20)) == {0: 0}


def test_of_two_alike_in_one_place_the_one_that_hid_last_is_back():
    tracks = [hidden(100, last=0), hidden(100, last=10 * PERIOD)]
    assert pairs(tracks, box_at(102, 20), stamp=11 * PERIOD) == {1: 0}


def test_looks_tell_where_they_differ():
    other = torch.tensor([1.0, -1.0, 1.0, -1.0])
    tracks = [hidden(100), hidden(104, pointer=other)]
    assert pairs(tracks, box_at(104, 20)) == {0: 0}
    assert pairs(tracks, box_at(104, 20), like=other[None]) == {1: 0}


def test_all_that_can_return_do():
    """The likeliest pair alone would leave one detection to a newcomer."""
    tracks = [hidden(100), hidden(120)]
    both = pairs(tracks, box_at(110, 20), box_at(200, 20))
    assert both == {0: 0, 1: 1}


def test_what_can_not_be_is_not():
    tracks = [hidden(100), hidden(140)]
    possible = np.array([[False], [True]])
    boxes, looks = box_at(100, 20)[None], ALIKE[None]
    assert who_returns(tracks, boxes, looks, possible, PERIOD) == [(1, 0)]
    assert who_returns(tracks[:1], boxes, looks, possible[:1], PERIOD) == []


@pytest.mark.parametrize("looks", [1, 2, 3, 5])
def test_how_far_it_may_come_hangs_on_whether_its_way_is_known(looks):
    """Three detections tell of a speed: it stood, and can't be five sizes away in half a second."""
    track = hidden(100, looks=looks)
    far = box_at(200, 20)
    assert track.can_come_back_to(far, 5 * PERIOD // 2) == (looks < 3)
    assert track.can_come_back_to(box_at(115, 20), 5 * PERIOD // 2)
