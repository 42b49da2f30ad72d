"""The life of a track, as a table of what happens to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsam_ros.instances import TrackState
from gsam_ros.masks import Masks
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track

SETTINGS = TrackerSettings(
    confirm_after=1.0,
    tentative_missed=0.0,
    confirmed_missed=2.0,
    occluded_after=1.0,
    lost_after=10.0,
)
SECOND = 1_000_000_000


def new_track(track_id: int = 1) -> Track:
    return Track(track_id, TrackMemory(7, 16), born=0)


def live(track: Track, story: str) -> bool:
    """Live through a story, one letter a second.

    d: visible, a detection agrees; m: visible, the detector looked and missed; v: visible, nobody
    looked; c: visible, but the detector sees something else in its place; h: hidden; p: somebody
    points at it.
    """
    alive = True
    for second, letter in enumerate(story):
        track.visible = letter in "dmvcp"
        if letter == "p":
            track.name_it("tool")
        if track.visible:
            track.appear(second * SECOND, torch.zeros(4))
        if letter == "d":
            track.agree("mug", 0.8, second * SECOND, SETTINGS)
        elif letter in "mc":
            track.miss(second * SECOND, contradicted=letter == "c")
        alive = track.grow_older(second * SECOND, SETTINGS)
        if not alive:
            break
    return alive


@pytest.mark.parametrize(
    ("story", "state"),
    [
        ("d", TrackState.TENTATIVE),
        ("dd", TrackState.CONFIRMED),
        ("dvvd", TrackState.CONFIRMED),
        ("dm", TrackState.LOST),  # a ghost: seen once, not again
        ("dmh", None),  # it has a second to be seen again
        ("dmd", TrackState.CONFIRMED),
        ("dhh", None),  # seen once, then out of sight
        ("ddmm", TrackState.CONFIRMED),  # the detector may miss a known object
        ("ddmmm", TrackState.LOST),  # but not for ever
        ("ddmmdmm", TrackState.CONFIRMED),  # misses in a row count
        ("ddh", TrackState.CONFIRMED),  # a short occlusion
        ("ddhv", TrackState.CONFIRMED),
        ("ddhh", TrackState.LOST),
        ("ddhhv", TrackState.LOST),  # back on SAM 2's word alone: not after so long
        ("ddhhd", TrackState.CONFIRMED),  # back, and a detection agrees
        ("dd" + "h" * 10, TrackState.LOST),
        ("dd" + "h" * 11, None),  # memory is not kept for ever
        ("ddc", TrackState.CONFIRMED),  # the detector may err once
        ("ddcc", TrackState.LOST),  # the mask slid onto a neighbour
        ("ddmc", TrackState.LOST),
        ("ddcdc", TrackState.CONFIRMED),
        ("p", TrackState.CONFIRMED),
        ("p" + "m" * 9, TrackState.CONFIRMED),  # the detector need not know it
        ("pcc", TrackState.CONFIRMED),
        ("phh", TrackState.LOST),
        ("phhhv", TrackState.CONFIRMED),  # nobody else can say that it is back
        ("p" + "h" * 11, None),
        ("ddhhp", TrackState.CONFIRMED),
    ],
)
def test_life(story, state):
    track = new_track()
    alive = live(track, story)
    assert (track.state if alive else None) == state


@pytest.mark.parametrize("rate", [1, 5, 30])
def test_times_are_in_seconds_whatever_the_detectors_rate(rate):
    """Two seconds of misses lose a track, be they two keyframes or sixty."""
    track = new_track()
    stamps = [round(index * SECOND / rate) for index in range(6 * rate)]
    lost = None
    for stamp in stamps:
        track.visible = True
        track.appear(stamp, torch.zeros(4))
        if stamp <= 2 * SECOND:
            track.agree("mug", 0.8, stamp, SETTINGS)
        else:
            track.miss(stamp)
        assert track.grow_older(stamp, SETTINGS)
        if track.state is TrackState.CONFIRMED:
            confirmed = stamp
        if lost is None and track.state is TrackState.LOST:
            lost = stamp
    first_miss = min(stamp for stamp in stamps if stamp > 2 * SECOND)
    assert lost is not None and lost > confirmed
    assert 0 <= lost - first_miss - 2 * SECOND < SECOND / rate + 2


@pytest.mark.parametrize("pause", [1, 3, 8])
def test_a_single_miss_of_a_slow_detector_hides_nobody(pause):
    """It is the second look that tells whether the first one erred, however late it comes."""
    track = new_track()
    live(track, "ddd")
    track.miss(3 * SECOND)
    for second in range(4, 4 + pause):
        track.appear(second * SECOND, torch.zeros(4))
        assert track.grow_older(second * SECOND, SETTINGS)
        assert track.shown
    track.miss((4 + pause) * SECOND)
    track.grow_older((4 + pause) * SECOND, SETTINGS)
    assert track.shown == (1 + pause < SETTINGS.confirmed_missed)


def test_a_mask_that_jumps_is_not_the_object():
    """It may go further the longer it was out of sight."""
    track = new_track()
    for second in range(3):
        track.box = np.array([100, 100, 140, 140], np.float32)
        track.visible = True
        track.appear(second * SECOND, torch.zeros(4))
    track.box = np.array([110, 100, 150, 140], np.float32)
    assert not track.jumped(2 * SECOND + SECOND // 10)
    track.box = np.array([240, 100, 280, 140], np.float32)
    assert track.jumped(2 * SECOND + SECOND // 10)
    assert not track.jumped(4 * SECOND)


def test_lost_tracks_are_not_shown_whatever_their_mask_says():
    track = new_track()
    live(track, "ddmmm")
    assert track.visible and not track.shown


def test_the_phrase_with_most_evidence_names_the_track():
    track = new_track()
    track.agree("cup", 0.4, 0, SETTINGS)
    track.agree("mug", 0.9, 0, SETTINGS)
    track.agree("cup", 0.4, 0, SETTINGS)
    assert track.phrase == "mug"


def test_a_name_that_somebody_gave_is_not_overruled():
    track = new_track()
    track.agree("cup", 0.9, 0, SETTINGS)
    track.name_it("tool")
    track.agree("cup", 0.9, 0, SETTINGS)
    assert track.phrase == "tool"


def test_two_pointed_at_that_meet_are_both_there_when_they_part():
    """No detector looks for them, so nothing but SAM 2 can bring the one back that gave way."""
    tracks = [new_track(1), new_track(2)]
    state = CameraTracks()
    state.begin(View("", 0, (64, 64), None))
    state.tracks = tracks
    parted = np.full((2, 64, 64), -10.0, np.float32)
    parted[0, 10:20, 10:20] = parted[1, 40:50, 40:50] = 10.0
    for second, together in enumerate([False, True, False, False]):
        state.begin(View("", second * SECOND, (64, 64), None))
        for row, track in enumerate(tracks):
            track.logits = parted[0 if together else row]
            track.box = Masks(track.logits[None], 64, 64).boxes[0]
            track.visible = True
            if second == 0:
                track.name_it(f"tool {row}")
        state.settle(SETTINGS)
        for track in tracks:
            if track.visible:
                track.appear(second * SECOND, torch.zeros(4))
        state.grow_older(SETTINGS)
        assert [t.shown for t in tracks].count(True) == (1 if together else 2)
    assert [t.state for t in tracks] == [TrackState.CONFIRMED] * 2


def test_room_is_made_by_those_out_of_sight_longest_and_never_by_followed_ones():
    tracks = [new_track(i) for i in range(1, 6)]
    for track, story in zip(tracks, ["dd", "ddhhh", "dd", "ddvhh", "dd"], strict=True):
        live(track, story)
    state = CameraTracks(tracks, next_id=6)
    assert state.admit(new_track(0), limit=6)
    assert [t.track_id for t in state.tracks] == [1, 2, 3, 4, 5, 6]
    assert state.admit(new_track(0), limit=6)
    assert [t.track_id for t in state.tracks] == [1, 3, 4, 5, 6, 7]
    assert not state.admit(new_track(0), limit=4)
    assert [t.track_id for t in state.tracks] == [1, 3, 5, 6, 7]
    state.put(new_track(3), limit=4)  # in its own place, though there are too many
    assert sorted(t.track_id for t in state.tracks) == [1, 3, 5, 6, 7]
    state.put(new_track(9), limit=4)  # one takes the place of one
    assert len(state.tracks) == 5
    state.put(new_track(2), limit=1)
    assert len(state.tracks) == 5
