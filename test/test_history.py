"""Going back with the bundled segmenter: what comes late counts as if it had come in time."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gsam_ros.instances import Detections, TrackState
from gsam_ros.prompts import PromptError
from gsam_ros.tracking import history, known_masks
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.history import History
from gsam_ros.tracking.kept_frames import bytes_of
from gsam_ros.tracking.segmenters.interface import ImageFeatures, SegmentationModel
from gsam_ros.tracking.segmenters.packages import load_segmenter
from gsam_ros.tracking.settings import SegmenterSettings, TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.visual_prompts import VisualPrompt
from gsam_ros.world.scene import RenderedFrame, Scene

PERIOD = 100_000_000  # nanoseconds between two frames
COUNT = 10
CAMERA = "front"
NAMES = ("red mug", "purple ball", "blue ring")


class Film(NamedTuple):
    """Frames of the demo world with their features, encoded once for all tests."""

    model: SegmentationModel
    rendered: list[RenderedFrame]
    features: list[ImageFeatures]


@pytest.fixture(scope="module")
def film() -> Film:
    model = load_segmenter(SegmenterSettings(), torch.device("cpu"))
    scene = Scene(seed=1)
    rendered = [scene.render(0, index * PERIOD / 1e9) for index in range(COUNT)]
    return Film(model, rendered, [model.encode_image([frame.image]) for frame in rendered])


class Stream:
    """A tracker with its history, fed with the film; detections come when the test says so."""

    def __init__(self, film: Film, **rules) -> None:
        self.film = film
        self.tracker = InstanceTracker(film.model, TrackerSettings(**rules))
        self.tracker.set_phrases(NAMES, ("tool",))
        self.history = History(self.tracker)
        self.needed: dict[str, int] = {}

    def view(self, index: int) -> View:
        size = self.film.rendered[index].image.shape[:2]
        return View(CAMERA, index * PERIOD, size, None)

    def show(self, *indices: int, found: Detections | None = None):
        for index in indices:
            views = [replace(self.view(index), detections=found)]
            features = self.film.features[index]
            views = self.history.keep(features, views, self.needed)
            [result] = self.tracker.step(features, views)
        return result

    def detect(self, index: int, found: Detections) -> bool:
        return self.history.detected(CAMERA, index * PERIOD, found, Detections.none())

    @property
    def tracks(self):
        return self.tracker.cameras[CAMERA].tracks

    @property
    def kept(self):
        return self.history._of[CAMERA]


def seen(film: Film, index: int, names=NAMES, shift: float = 0.0) -> Detections:
    """What a good detector finds on a frame; `shift` in sizes of each object."""
    frame = film.rendered[index]
    rows = [
        (row, NAMES.index(" ".join(pair)))
        for row, pair in enumerate(frame.pairs)
        if " ".join(pair) in names and frame.visible[row] > 0.6
    ]
    boxes = np.array([frame.boxes[row] for row, _ in rows], np.float32).reshape(-1, 4)
    boxes = boxes + shift * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = np.clip(boxes, 0, (640, 480, 640, 480)).astype(np.float32)
    scores = np.linspace(0.9, 0.5, len(rows), dtype=np.float32)
    return Detections(boxes, scores, np.array([phrase for _, phrase in rows], np.int64))


def assert_same(one: Stream, other: Stream) -> None:
    assert [t.track_id for t in one.tracks] == [t.track_id for t in other.tracks]
    for a, b in zip(one.tracks, other.tracks, strict=True):
        assert (a.state, a.visible, a.hits, a.phrase) == (b.state, b.visible, b.hits, b.phrase)
        assert a.memory.shape() == b.memory.shape()
        np.testing.assert_allclose(a.logits, b.logits, atol=2e-3)
        expected = [t.expected(COUNT * PERIOD) for t in (a, b)]
        np.testing.assert_allclose(*expected, atol=0.5)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.integers(0, 2),
    delays=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    shifts=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    lost=st.sampled_from(NAMES),
    memory=st.sampled_from(["exact", "exact", "fast"]),
)
def test_what_is_late_ends_as_what_was_in_time(film, first, delays, shifts, lost, memory):
    """Two keyframes, the second without one of the objects and with boxes elsewhere."""
    late, on_time = Stream(film, memory=memory), Stream(film, memory=memory)
    second = first + delays[0] + 1
    rest = tuple(name for name in NAMES if name != lost)
    answers = {
        first: seen(film, first, NAMES, shifts[0]),
        second: seen(film, second, rest, shifts[1]),
    }
    due = {index + delay: index for index, delay in zip(answers, delays, strict=True)}
    for index in range(second + delays[1] + 1):
        on_time.show(index, found=answers.get(index))
        late.show(index)
        if index in due:
            assert late.detect(due[index], answers[due[index]])
    assert_same(late, on_time)
    if second + delays[1] + 1 < COUNT:
        for stream in (late, on_time):
            stream.show(second + delays[1] + 1)
        assert_same(late, on_time)


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """How many memories were asked, call by call."""
    numbers: list[int] = []
    propagate = known_masks.propagate

    def count(model, features, where, memories):
        numbers.append(len(memories))
        return propagate(model, features, where, memories)

    monkeypatch.setattr(known_masks, "propagate", count)
    return numbers


def test_only_what_changed_is_propagated_again(film, asked):
    stream = Stream(film, reprompt_iou=0.0)  # what agrees is never segmented anew
    stream.show(0, found=seen(film, 0, NAMES[:2]))
    stream.show(1, 2, 3)
    before = len(asked)
    old = len(stream.tracks)
    assert old >= 2
    assert stream.detect(1, seen(film, 1))
    new = len(stream.tracks) - old
    assert new >= 1
    assert asked[before:] == [new, new], "on frames 2 and 3, and the old ones not at all"


def test_a_memory_is_not_asked_twice_for_the_same(film, asked):
    stream = Stream(film, reprompt_iou=0.0)
    stream.show(0, found=seen(film, 0))
    stream.show(1, 2, 3)
    before = len(asked)
    assert stream.detect(1, seen(film, 1))
    assert asked[before:] == []


def test_however_late_the_frame_is_kept_and_the_others_give_way(film):
    stream = Stream(film, kept_frames=3, kept_seconds=0.2)
    on_time = Stream(film)
    stream.needed = {CAMERA: 0}
    stream.show(*range(COUNT))
    assert len(stream.kept) == 4
    assert stream.kept.span == (0, (COUNT - 1) * PERIOD)
    assert stream.detect(0, seen(film, 0))
    on_time.show(0, found=seen(film, 0))
    on_time.show(*range(1, COUNT))
    for late in (t for t in stream.tracks if t.visible):
        [twin] = [t for t in on_time.tracks if t.track_id == late.track_id]
        both, either = (late.logits > 0) & (twin.logits > 0), (late.logits > 0) | (twin.logits > 0)
        assert both.sum() > 0.7 * either.sum()
    assert any(t.visible for t in stream.tracks)


def test_known_tracks_are_not_asked_again_over_frames_that_gave_way(film, asked):
    stream = Stream(film, kept_frames=3, reprompt_iou=0.0)
    stream.show(0, found=seen(film, 0))
    stream.needed = {CAMERA: PERIOD}
    stream.show(*range(1, 7))
    before, masks = len(asked), [t.logits for t in stream.tracks]
    assert stream.detect(1, seen(film, 1))
    assert asked[before:] == []
    for track, mask in zip(stream.tracks, masks, strict=True):
        np.testing.assert_array_equal(track.logits, mask)


def test_bytes_are_bounded(film):
    stream = Stream(film, kept_megabytes=3.0)
    stream.show(0, found=seen(film, 0))
    stream.show(*range(1, COUNT))
    assert 3 <= len(stream.kept) < COUNT
    before = stream.kept.since(stream.kept.span[0])[:-1]
    assert bytes_of(before, stream.kept.newest.before.tracks) <= 3e6


def test_memories_that_only_old_frames_still_have_count(film):
    """The tracks go on, and what they forget is kept for those who go back."""
    few, many = Stream(film), Stream(film)
    few.show(0, found=seen(film, 0, NAMES[:1]))
    many.show(0, found=seen(film, 0))
    for stream in (few, many):
        stream.show(*range(1, COUNT))
    held = []
    for stream in (few, many):
        frames = stream.kept.since(0)
        now = {key for t in stream.tracks for key in t.memory.sizes()}
        own = {key for f in frames for t in f.before.tracks for key in t.memory.sizes()}
        assert own - now
        held.append(bytes_of(frames, stream.tracks))
    one = next(iter(few.tracks[0].memory.sizes().values()))
    assert held[1] - held[0] >= one * (len(many.tracks) - len(few.tracks))


def test_a_camera_keeps_no_masks_of_others(film):
    """They share steps, and what one keeps counts against its own bound."""
    alone, together = Stream(film), Stream(film)
    for index in range(3):
        found = seen(film, index) if index == 0 else None
        alone.show(index, found=found)
        view = replace(together.view(index), detections=found)
        several = [view, *(replace(view, camera=f"other {n}") for n in range(3))]
        one = film.features[index]
        images = [torch.cat([each] * 4) for each in (one.image_top, *one.image_high)]
        features = ImageFeatures(images[0], tuple(images[1:]))
        together.tracker.step(features, together.history.keep(features, several, {}))
    assert len(together.tracks) == len(alone.tracks) > 1
    held = [bytes_of(stream.kept.since(0), ()) for stream in (alone, together)]
    assert held[0] == held[1]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_what_is_young_is_kept_more_densely(film, count):
    stream = Stream(film, kept_frames=count)
    stream.show(*range(COUNT))
    stamps = [frame.view.stamp // PERIOD for frame in stream.kept.since(stream.kept.span[0])]
    assert len(stamps) == count + 1
    assert (stamps[0], stamps[-1]) == (0, COUNT - 1)
    gaps = np.diff(stamps)
    assert (gaps[:-1] >= gaps[1:]).all()


def test_what_is_older_than_asked_for_is_forgotten(film):
    stream = Stream(film, kept_seconds=0.25)
    stream.show(*range(6))
    assert stream.kept.span == (3 * PERIOD, 5 * PERIOD)
    assert not stream.detect(0, seen(film, 0))
    assert not stream.tracks


def test_nothing_is_kept_where_nobody_wants_it(film):
    stream = Stream(film, kept_frames=0)
    stream.show(0, 1, found=seen(film, 0))
    assert not stream.detect(0, seen(film, 0))
    assert len(stream.tracks) == len(seen(film, 0))


def test_what_people_did_meanwhile_stays_done(film):
    stream = Stream(film)
    stream.show(0, found=seen(film, 0, NAMES[:2]))
    stream.show(1, 2)
    gone = stream.tracks[0].track_id
    stream.tracker.remove(CAMERA, gone)
    stream.history.edit(CAMERA, gone, lambda tracks: tracks.remove(gone))
    box = film.rendered[2].boxes[_row(film, 2, "blue ring")]
    prompt = VisualPrompt(CAMERA, "tool", box=box)
    pointed = stream.tracker.point_out(film.features[2], stream.view(2), prompt)
    copy = pointed.copy()
    stream.history.edit(CAMERA, copy.track_id, lambda tracks: tracks.put(copy.copy(), 32))
    stream.show(3)
    assert stream.detect(1, seen(film, 1))
    ids = [t.track_id for t in stream.tracks]
    assert gone not in ids, "it was removed after the frame that the detector saw"
    assert len(set(ids)) == len(ids)
    [tool] = [t for t in stream.tracks if t.name == "tool"]
    assert tool.track_id == pointed.track_id
    assert tool.visible


def test_what_was_pointed_at_meanwhile_and_is_gone_again_is_no_obstacle(film):
    stream = Stream(film)
    stream.show(0, 1)
    box = film.rendered[1].boxes[_row(film, 1, "blue ring")]
    pointed = stream.tracker.point_out(
        film.features[1], stream.view(1), VisualPrompt(CAMERA, "a passing fancy", box=box)
    )
    stream.tracker.set_phrases(NAMES, ("tool", "a passing fancy"))
    copy = pointed.copy()
    stream.history.edit(CAMERA, copy.track_id, lambda tracks: tracks.put(copy.copy(), 32))
    stream.show(2)
    stream.tracker.remove(CAMERA, pointed.track_id)
    stream.history.edit(CAMERA, pointed.track_id, lambda tracks: tracks.remove(pointed.track_id))
    stream.tracker.set_phrases(NAMES, ("tool",))
    stream.show(3)
    assert stream.detect(0, seen(film, 0))
    assert stream.tracks and not any(track.name for track in stream.tracks)


@pytest.mark.parametrize("limit", [1, 2])
def test_the_room_for_objects_holds_for_late_ones_too(film, limit):
    stream = Stream(film, max_objects=limit)
    stream.show(0, 1)
    box = film.rendered[1].boxes[_row(film, 1, "purple ball")]
    prompt = VisualPrompt(CAMERA, "tool", box=box)
    copy = stream.tracker.point_out(film.features[1], stream.view(1), prompt).copy()
    stream.history.edit(CAMERA, copy.track_id, lambda tracks: tracks.put(copy.copy(), limit))
    stream.show(2)
    assert stream.detect(0, seen(film, 0, ("red mug", "blue ring")))
    assert len(stream.tracks) <= limit
    assert "tool" in [t.name for t in stream.tracks], "what people point at stays"


def test_pointing_at_the_past_keeps_to_what_memory_has_room_for(film, monkeypatch):
    stream = Stream(film, max_objects=32)
    stream.show(0, 1, 2)
    stream.history.point_back(pointed_at(film, 1, "purple ball"), stream.view(1).stamp)
    monkeypatch.setattr(stream.tracker.limits, "of", lambda camera, most: 1)
    with pytest.raises(PromptError, match="1 objects are followed and there is no room"):
        stream.history.point_back(pointed_at(film, 1, "red mug"), stream.view(1).stamp)
    assert len(stream.tracks) == 1


def test_pointing_on_and_on_at_a_camera_that_stands_still_keeps_no_more(film):
    stream = Stream(film)
    stream.show(0, 1)
    prompt = VisualPrompt(CAMERA, "tool", box=film.rendered[1].boxes[0])
    for _ in range(5):
        track = stream.tracker.point_out(film.features[1], stream.view(1), prompt)
        copy = track.copy()
        stream.history.edit(
            CAMERA, track.track_id, lambda tracks, copy=copy: tracks.put(copy.copy(), 32)
        )
    assert len(stream.kept.newest.edits) == 1


def test_a_frame_that_finds_no_memory_is_not_kept(film, monkeypatch):
    stream = Stream(film)
    stream.show(0, 1)

    def full(features: ImageFeatures, index: int) -> ImageFeatures:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(history, "_alone", full)
    with pytest.raises(torch.OutOfMemoryError):
        stream.show(2)
    monkeypatch.undo()
    assert len(stream.kept) == 2
    stream.show(2)
    assert len(stream.kept) == 3


def test_a_stream_that_started_over_has_no_past(film):
    stream = Stream(film)
    stream.show(3, 4, 5, 0)
    assert not stream.detect(4, seen(film, 4))
    assert not stream.tracks
    assert len(stream.kept) == 1


def _row(film: Film, index: int, name: str) -> int:
    frame = film.rendered[index]
    rows = [row for row, pair in enumerate(frame.pairs) if " ".join(pair) == name]
    return max(rows, key=lambda row: frame.masks[row].sum())


def pointed_at(film: Film, index: int, name: str) -> VisualPrompt:
    return VisualPrompt(CAMERA, "tool", box=film.rendered[index].boxes[_row(film, index, name)])


@pytest.mark.parametrize("back", [0, 1, 4])
def test_pointing_at_the_past_ends_where_pointing_in_time_does(film, back):
    late, on_time = Stream(film), Stream(film)
    last = 5
    at = last - back
    prompt = pointed_at(film, at, "red mug")
    on_time.show(*range(at + 1))
    on_time.tracker.point_out(film.features[at], on_time.view(at), prompt)
    if back:
        on_time.show(*range(at + 1, last + 1))
    late.show(*range(last + 1))
    track = late.history.point_back(prompt, at * PERIOD + PERIOD // 5)
    assert (track.name, track.state) == ("tool", TrackState.CONFIRMED)
    assert_same(late, on_time)


def test_pointing_at_the_past_finds_the_track_of_then_and_of_now(film):
    stream = Stream(film)
    stream.show(0, 1)
    stream.show(2, found=seen(film, 2))
    stream.show(3, 4)
    ids = {t.track_id for t in stream.tracks}
    for at in (3, 1):  # it was followed then; it was not, and has been found since
        track = stream.history.point_back(pointed_at(film, at, "red mug"), at * PERIOD)
        assert track.track_id in ids
        assert track.name == "tool"
        assert {t.track_id for t in stream.tracks} == ids


def test_what_was_removed_comes_back_under_another_id(film):
    """Whoever points may not know yet that it is gone."""
    stream = Stream(film)
    stream.show(0, found=seen(film, 0))
    stream.show(1, 2)
    tracks = stream.tracker.cameras[CAMERA]
    gone = stream.history.point_back(pointed_at(film, 1, "red mug"), PERIOD).track_id
    tracks.remove(gone)
    next_id = tracks.next_id
    track = stream.history.point_back(pointed_at(film, 1, "red mug"), PERIOD)
    assert track.track_id == next_id
    assert gone not in {t.track_id for t in stream.tracks}


def test_what_is_too_old_to_point_at_is_told(film):
    stream = Stream(film, kept_seconds=0.25)
    with pytest.raises(PromptError, match="no image of camera 'front' is kept"):
        stream.history.point_back(pointed_at(film, 0, "red mug"), 0)
    stream.show(*range(6))
    with pytest.raises(PromptError, match=r"0\.50 s older .* reach back 0\.20 s: .*kept_seconds"):
        stream.history.point_back(pointed_at(film, 0, "red mug"), 0)
    assert not stream.tracks


def test_another_text_ends_the_tracks_of_the_past_and_keeps_the_images(film):
    stream = Stream(film)
    stream.show(0, found=seen(film, 0))
    stream.show(1, 2)
    stream.tracker.set_phrases(("dog",))
    stream.history.forget_tracks(CAMERA)
    track = stream.history.point_back(pointed_at(film, 1, "red mug"), PERIOD)
    assert [t.track_id for t in stream.tracks] == [track.track_id] == [len(seen(film, 0)) + 1]
