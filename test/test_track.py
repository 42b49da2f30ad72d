"""The life of a track, as a table of what happens to it."""

from __future__ import annotations

import pytest
import torch

from gsam_ros.instances import TrackState
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track, make_room

SETTINGS = TrackerSettings(
    confirm_hits=2, tentative_misses=1, confirmed_misses=3, occluded_after=1.0, lost_after=10.0
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
            track.agree("mug", 0.8, SETTINGS)
            track.last_visible = second * SECOND
        elif letter in "mc":
            track.miss(contradicted=letter == "c")
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
        ("dm", None),  # a ghost: seen once, not again
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
        ("ddc", TrackState.LOST),  # the mask slid onto a neighbour
        ("ddcd", TrackState.CONFIRMED),
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


def test_lost_tracks_are_not_shown_whatever_their_mask_says():
    track = new_track()
    live(track, "ddmmm")
    assert track.visible and not track.shown


def test_the_phrase_with_most_evidence_names_the_track():
    track = new_track()
    track.agree("cup", 0.4, SETTINGS)
    track.agree("mug", 0.9, SETTINGS)
    track.agree("cup", 0.4, SETTINGS)
    assert track.phrase == "mug"


def test_a_name_that_somebody_gave_is_not_overruled():
    track = new_track()
    track.agree("cup", 0.9, SETTINGS)
    track.name_it("tool")
    track.agree("cup", 0.9, SETTINGS)
    assert track.phrase == "tool"


def test_room_is_made_by_those_out_of_sight_longest_and_never_by_followed_ones():
    tracks = [new_track(i) for i in range(1, 6)]
    for track, story in zip(tracks, ["dd", "ddhhh", "dd", "ddvhh", "dd"], strict=True):
        live(track, story)
    assert [t.track_id for t in make_room(tracks, 1, limit=6)] == [1, 2, 3, 4, 5]
    assert [t.track_id for t in make_room(tracks, 1, limit=5)] == [1, 3, 4, 5]
    assert [t.track_id for t in make_room(tracks, 3, limit=5)] == [1, 3, 5]
