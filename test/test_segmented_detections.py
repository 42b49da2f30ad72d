"""What detections become on their way to the tracks: masks, each object once, within bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsam_ros.instances import Detections, TrackState
from gsam_ros.tracking.association import Outlines
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.segmented_detections import distinct
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.world.scene import Scene

TRUTH = Scene(seed=1).render(0, 0.0)
SIZE = TRUTH.image.shape[:2]
WHOLE, HALF, REST, ELSEWHERE = (0, 8), (0, 4), (4, 8), (20, 28)


@pytest.fixture(scope="module")
def model() -> TransformersSam2:
    return TransformersSam2("demo-segmenter", torch.device("cpu"))


@pytest.fixture
def tracker(model) -> InstanceTracker:
    made = InstanceTracker(model, TrackerSettings(max_objects=8))
    made.set_phrases(("red mug", "thing"))
    return made


@pytest.mark.parametrize(
    ("columns", "phrases", "kept"),
    [
        ([], [], []),
        ([WHOLE, ELSEWHERE], [0, 0], [0, 1]),
        ([WHOLE, WHOLE], [0, 0], [0]),
        ([WHOLE, WHOLE], [0, 1], [0]),  # one object, called by two phrases
        ([WHOLE, HALF], [0, 0], [0]),  # a part of it
        ([WHOLE, HALF], [0, 1], [0, 1]),  # what lies on it
        ([HALF, REST], [0, 0], [0, 1]),  # neighbours
        ([(3, 3), WHOLE], [0, 0], [1]),  # a box that holds nothing
    ],
)
def test_each_object_is_found_once(columns, phrases, kept):
    masks = np.zeros((len(columns), 4, 32), bool)
    for mask, (left, right) in zip(masks, columns, strict=True):
        mask[:, left:right] = True
    count = len(columns)
    found = Detections(
        np.zeros((count, 4), np.float32),
        np.linspace(0.9, 0.5, count).astype(np.float32),
        np.array(phrases, np.int64),
    )
    outlines = Outlines(masks, found.boxes, np.zeros(count, bool))
    assert distinct(found, outlines).tolist() == kept


def look(tracker, stamp: float, strong=(), weak=(), phrase: int = 0):
    """Show the scene's picture, with boxes of which the detector is sure and others."""

    def detections(boxes, score):
        rows = np.array(boxes, np.float32).reshape(-1, 4)
        scores = np.full(len(rows), score, np.float32)
        return Detections(rows, scores, np.full(len(rows), phrase, np.int64))

    features = tracker.model.encode_image([TRUTH.image])
    view = View("", round(stamp * 1e9), SIZE, detections(strong, 0.8), detections(weak, 0.2))
    [instances] = tracker.step(features, [view])
    return instances


def test_weak_detections_keep_a_track_and_start_none(tracker):
    box = TRUTH.boxes[TRUTH.pairs.index(("red", "mug"))]
    for index in range(3):
        assert not len(look(tracker, index / 5, weak=[box])), "a weak one started a track"
    look(tracker, 0.6, strong=[box])
    for index in range(4, 12):
        found = look(tracker, index / 5, weak=[box])
    assert found.track_id.tolist() == [1]
    assert found.state.tolist() == [TrackState.CONFIRMED]
    for index in range(12, 18):
        found = look(tracker, index / 5)
    assert not len(found), "nobody sees it any more"


def test_newcomers_who_score_more_take_no_detection_from_who_is_followed(tracker):
    """At the limit a followed object keeps its id, however many others come into view."""
    limit = len(TRUTH.boxes[:4])
    tracker.settings = TrackerSettings(max_objects=limit)
    followed, newcomers = TRUTH.boxes[:limit], TRUTH.boxes[limit:]
    assert len(newcomers) >= 2
    for index in range(3):
        look(tracker, index / 5, strong=followed)
    before = {track.track_id: track.box for track in tracker.cameras[""].tracks}
    assert len(before) >= 3
    boxes = np.concatenate([newcomers, followed])  # best first
    for index in range(3, 9):
        found = look(tracker, index / 5, strong=boxes)
    assert set(found.track_id) == set(before)
    for track in tracker.cameras[""].tracks:
        np.testing.assert_allclose(track.box, before[track.track_id], atol=6)


def test_five_hundred_boxes_at_once_are_bounded_and_push_nobody_out(tracker, monkeypatch):
    box = TRUTH.boxes[TRUTH.pairs.index(("red", "mug"))]
    look(tracker, 0.0, strong=[box])
    look(tracker, 0.2, strong=[box])
    asked = []
    prompt = tracker.model.prompt
    monkeypatch.setattr(
        tracker.model, "prompt", lambda *args: asked.append(len(args[1])) or prompt(*args)
    )
    corners = np.random.default_rng(0).uniform(0, 0.8, (500, 2)) * SIZE[::-1]
    many = np.concatenate([corners, corners + 60], 1).astype(np.float32)
    found = look(tracker, 0.4, strong=np.concatenate([box[None], many]), weak=many)
    assert max(asked) <= 16
    assert len(tracker.cameras[""].tracks) <= 8
    assert 1 in found.track_id
