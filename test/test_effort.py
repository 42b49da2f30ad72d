"""Who attends to memory, and who is segmented from a box."""

from __future__ import annotations

import numpy as np
import torch

from gsam_ros.instances import Detections, TrackState
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.effort import choose
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.track import Track

NOW = 10_000_000_000
VIEW = View("", NOW, (480, 640), None)


def track(number: int, left: float, agreed: float = 0.2, **about) -> Track:
    """A confirmed track 40 pixels wide, in sight, that a detection agreed with seconds ago."""
    then = NOW - round(agreed * 1e9)
    made = Track(number, TrackMemory(7, 16), born=0, state=TrackState.CONFIRMED, visible=True)
    made.box = np.array([left, 100, left + 40, 140], np.float32)
    made.agree("mug", 0.9, then, TrackerSettings())
    made.appear(then, torch.zeros(4))
    for name, value in about.items():
        setattr(made, name, value)
    return made


def chosen(tracks: list[Track], view: View = VIEW, **settings) -> tuple[list[int], list[int]]:
    state = CameraTracks(tracks)
    both = choose([view], [state], TrackerSettings(**settings), edge=256)
    return tuple([one.track_id for _, one in part] for part in both)  # type: ignore[return-value]


def test_exactly_all_attend():
    assert chosen([track(1, 0), track(2, 300)]) == ([1, 2], [])


def test_the_lost_attend_where_a_detection_could_be_theirs():
    tracks = [
        track(1, 0),
        track(2, 300, state=TrackState.LOST),
        track(3, 400, state=TrackState.LOST, name="tool"),
    ]
    keyframe = View("", NOW, (480, 640), Detections.none())
    assert chosen(tracks) == ([1, 3], [])
    assert chosen(tracks, keyframe) == ([1, 2, 3], [])


def test_fast_only_the_unclear_attend():
    tracks = [
        track(1, 0),
        track(2, 200),
        track(3, 230),  # meets the second
        track(4, 400, agreed=1.5),  # nobody confirmed it lately
        track(5, 500, missed_since=NOW),
        track(6, 600, state=TrackState.LOST),
        track(7, 300, state=TrackState.LOST, name="tool"),
        track(8, 100, state=TrackState.TENTATIVE),
    ]
    attending, following = chosen(tracks, memory="fast", attention_budget=10)
    assert (sorted(attending), following) == ([2, 3, 4, 5, 7, 8], [1])


def test_the_budget_goes_round():
    tracks = [track(number, 10.0 * number) for number in range(1, 7)]  # each meets the next
    seen: list[int] = []
    for step in range(3):
        state = CameraTracks(tracks)
        view = View("", NOW + step, (480, 640), None)
        settings = TrackerSettings(memory="fast", attention_budget=2)
        attending, following = choose([view], [state], settings, edge=256)
        assert (len(attending), len(following)) == (2, 4)
        seen += [one.track_id for _, one in attending]
    assert sorted(seen) == [1, 2, 3, 4, 5, 6]


def test_the_budget_goes_round_over_cameras_whose_clocks_differ():
    clocks = {"uptime": 0, "wall": 10**18}
    settings = TrackerSettings(memory="fast", attention_budget=2)
    tracks = {camera: [track(n, 10.0 * n) for n in (1, 2)] for camera in clocks}
    seen: list[str] = []
    for step in range(4):
        for camera, clock in clocks.items():
            for one in tracks[camera]:
                one.agreed, one.missed_since = clock, clock  # unclear, whatever the clock says
        views = [View(c, NOW + clock + step, (480, 640), None) for c, clock in clocks.items()]
        states = [CameraTracks(own) for own in tracks.values()]
        attending, _ = choose(views, states, settings, edge=256)
        seen += [views[index].camera for index, _ in attending]
    assert seen.count("uptime") == seen.count("wall") == 4


def test_small_objects_follow_their_boxes_where_there_is_an_image():
    tracks = [track(1, 0), track(2, 300), track(3, 500, state=TrackState.LOST)]
    tracks[1].move(np.array([300, 100, 312, 112], np.float32), NOW, detected=True)
    seen = View("", NOW, (480, 640), None, image=np.zeros((480, 640, 3), np.uint8))
    limits = {"closeup_below": 16 * 1.2}  # of 40 pixels that become 12: the motion lags behind
    for memory in ("exact", "fast"):
        _, following = chosen(tracks, seen, memory=memory, attention_budget=0, **limits)
        assert 2 in following
    assert chosen(tracks, seen, closeup_below=0.0) == ([1, 2], [])
    assert chosen(tracks) == ([1, 2], []), "there is no image to look at"
