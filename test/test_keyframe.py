"""What a look of the detector makes of tracks: pure rules, on masks of a few cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsam_ros.instances import Detections, TrackState
from gsam_ros.tracking.association import Outlines
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.keyframe import Keyframe
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.segmented_detections import SegmentedDetections
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track

SIZE = (100, 200)
CLASSES = ("mug", "box")
PERIOD = 100_000_000
HERE, BESIDE, THERE = (20, 20, 60, 60), (50, 20, 90, 60), (140, 20, 180, 60)


def mask(box) -> np.ndarray:
    """A box as a mask with a cell for every pixel."""
    inside = np.zeros(SIZE, bool)
    left, top, right, bottom = box
    inside[top:bottom, left:right] = True
    return inside


def outlines(*rows) -> Outlines:
    """Boxes with what they hold: (box, box that its mask fills)."""
    masks = np.array([mask(filled) for _, filled in rows], bool).reshape(-1, *SIZE)
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    return Outlines(masks, boxes, np.zeros(len(rows), bool))


def track_at(box, looks: int = 4, phrase: str = "mug") -> Track:
    """A track that stands still, and that the detector agreed with at every frame."""
    track = Track(1, TrackMemory(7, 16), born=0)
    for index in range(looks):
        put(track, box)
        track.appear(index * PERIOD, torch.ones(4))
        track.agree(phrase, 0.8, index * PERIOD, TrackerSettings())
        track.agreed_box = np.array(box, np.float32)
        track.move(track.agreed_box, index * PERIOD, detected=True)
    return track


def put(track: Track, box) -> None:
    """Have SAM 2 show it at a box."""
    track.logits = np.where(mask(box), 10, -10).astype(np.float32)
    track.box, track.visible = np.array(box, np.float32), True


def keyframe(tracks, *found, index: int = 4, phrases=None) -> Keyframe:
    """A frame with sure detections (box, box that its mask fills)."""
    held = outlines(*found)
    names = np.array(phrases or [0] * len(found), np.int64)
    detections = Detections(held.boxes, np.full(len(found), 0.8, np.float32), names)
    seen = SegmentedDetections(detections, np.ones(len(found), bool), np.arange(len(found)), held)
    view = View("", index * PERIOD, SIZE, detections)
    state = CameraTracks(tracks=list(tracks), stamp=view.stamp, size=SIZE)
    return Keyframe(view, state, seen, torch.ones(len(found), 4), CLASSES, TrackerSettings())


@pytest.mark.parametrize(
    ("box", "filled", "phrase", "looks", "new"),
    [
        # Half of the smaller box and of its mask are another detection's: one object twice.
        ((30, 20, 75, 60), (40, 20, 75, 60), 0, 4, False),
        ((30, 20, 75, 60), (52, 20, 75, 60), 0, 4, False),  # another part of it
        ((30, 20, 75, 60), (57, 20, 75, 60), 0, 4, True),  # a crowd: boxes overlap, masks don't
        ((30, 20, 75, 60), (40, 20, 75, 60), 1, 4, True),  # what stands in front of it
        ((30, 20, 75, 60), (40, 20, 75, 60), 0, 0, True),  # a track just made has no such word
        (BESIDE, (50, 20, 75, 60), 0, 4, True),  # less than half
        (THERE, THERE, 0, 4, True),
    ],
)
def test_what_starts_a_track(box, filled, phrase, looks, new):
    track = track_at(HERE, looks) if looks else track_at(HERE, 1)
    frame = keyframe([track], (HERE, HERE), (box, filled), phrases=[0, phrase])
    put(track, HERE)
    frame.agree(track, 0)
    if not looks:
        track.state = TrackState.TENTATIVE
    assert frame.is_new(1) == new


def test_a_detection_where_a_track_was_is_that_track_though_its_mask_slid_away():
    track = track_at(HERE)
    put(track, THERE)
    track.move(track.box, 4 * PERIOD, detected=False)
    frame = keyframe([track], ((30, 30, 70, 70), (30, 30, 70, 70)))
    drifted, free = frame.follow()
    assert drifted == [] and free == [0], "the mask tells nothing of it: the test proves nothing"
    assert frame.returned(free) == {0: track}


def test_a_track_with_a_detection_of_its_own_takes_no_other():
    track = track_at(HERE)
    put(track, HERE)
    frame = keyframe([track], (HERE, HERE), (BESIDE, BESIDE))
    _, free = frame.follow()
    assert free == [1] and frame.returned(free) == {}


@pytest.mark.parametrize(
    ("shown", "other", "hidden"),
    [
        (HERE, THERE, False),  # the detector fails to see what SAM 2 holds on to: it stays
        ((20, 20, 60, 45), THERE, True),  # a piece of where it was
        ((20, 20, 100, 60), THERE, True),  # it leaked
        (HERE, (30, 20, 70, 60), True),  # what slid in front has most of it
        (HERE, BESIDE, False),
    ],
)
def test_a_mask_without_a_detection_stays_while_it_is_where_its_object_was(shown, other, hidden):
    track = track_at(HERE)
    front = track_at(other, phrase="box")
    put(track, shown)
    put(front, other)
    frame = keyframe([track, front], (other, other), phrases=[1])
    frame.follow()
    assert track.visible != hidden
    assert front.visible


def test_a_track_that_holds_on_is_not_drawn_to_a_newcomer_beside_it():
    """The detector fails to see it for once."""
    track = track_at(HERE)
    put(track, HERE)
    frame = keyframe([track], ((62, 20, 102, 60), (62, 20, 102, 60)))
    _, free = frame.follow()
    assert track.shown and free == [0]
    assert frame.returned(free) == {} and frame.is_new(0)


def test_of_two_tracks_of_one_object_the_settled_one_keeps_it():
    """However well the newcomer's mask fits."""
    settled, new = track_at(HERE), track_at((25, 20, 60, 60), looks=1)
    new.state = TrackState.TENTATIVE
    put(settled, (20, 20, 55, 55))
    put(new, (25, 20, 60, 60))
    frame = keyframe([settled, new], ((25, 20, 60, 60), (25, 20, 60, 60)))
    frame.follow()
    assert settled.agreed == frame.view.stamp > new.agreed
