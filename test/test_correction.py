"""Masks that left their objects are drawn anew where these were going, by the bundled segmenter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsam_ros.boxes import box_iou
from gsam_ros.instances import Detections
from gsam_ros.masks import Masks
from gsam_ros.tracking.camera_tracks import CameraTracks, View
from gsam_ros.tracking.correction import correct
from gsam_ros.tracking.effort import segment_where_expected
from gsam_ros.tracking.known_masks import KnownMasks
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.showing import show
from gsam_ros.tracking.track import Track
from gsam_ros.world.scene import Scene

TRUTH = Scene(seed=1).render(0, 0.0)
SIZE = TRUTH.image.shape[:2]
PERIOD = 100_000_000
STAMP = 4 * PERIOD
LARGEST = np.argsort(-(TRUTH.boxes[:, 2:] - TRUTH.boxes[:, :2]).prod(1))
BOX, OTHER = TRUTH.boxes[LARGEST[0]], TRUTH.boxes[LARGEST[1]]


@pytest.fixture(scope="module")
def model() -> TransformersSam2:
    return TransformersSam2("demo-segmenter", torch.device("cpu"))


def track_of(box: np.ndarray, looks: int = 4, first: int = 0) -> Track:
    """A track that stood still while the detector agreed."""
    track = Track(1, TrackMemory(7, 16), born=0)
    for index in range(first, first + looks):
        track.box, track.visible = box, True
        track.appear(index * PERIOD, torch.zeros(4))
        track.agree("mug", 0.8, index * PERIOD, TrackerSettings())
        track.agreed_box = box
        track.move(box, index * PERIOD, detected=True)
    return track


def corrected(model, track, shown: np.ndarray, looked=False, known=None, **rules):
    """What becomes of a mask that memory gave, which fills `shown`; and how it was before."""
    features = model.encode_image([TRUTH.image])
    settings = TrackerSettings(**rules)
    found = Detections.none() if looked else None
    view = View("", STAMP, SIZE, found, image=TRUTH.image, known=known)
    stray = track_of(shown)
    masks = segment_where_expected(model, features, [view], [(0, stray)], settings)
    show([(0, track)], masks, [view], settings.least_part)
    before = track.box
    state = CameraTracks(tracks=[track], looked=3 * PERIOD)
    after = correct(model, features, [view], [state], [(0, track)], masks, settings)
    np.testing.assert_array_equal(Masks(after.logits.numpy(), *SIZE).boxes[0], track.box)
    return before, track


def test_a_mask_that_slid_onto_another_object_comes_back(model):
    before, track = corrected(model, track_of(BOX), OTHER)
    assert box_iou(before[None], BOX[None])[0, 0] < 0.1, "it did not slide"
    assert box_iou(track.box[None], BOX[None])[0, 0] > 0.8
    assert track.visible


def named(track: Track) -> Track:
    track.name_it("tool")
    return track


@pytest.mark.parametrize(
    ("track", "rules"),
    [
        (track_of(BOX), {"correct_iou": 0.0}),  # memory alone tells
        (track_of(BOX), {"looked": True}),  # the detector will say
        (named(track_of(BOX)), {}),  # pointed at: no detector speaks of it
        (track_of(BOX, looks=3), {}),  # the last look missed it: nobody knows whether it is there
        (track_of(BOX, looks=2, first=2), {}),  # its motion is hardly known
    ],
    ids=["switched off", "looked at", "pointed at", "missed", "new"],
)
def test_where_memory_has_the_last_word(model, track, rules):
    before, track = corrected(model, track, OTHER, **rules)
    np.testing.assert_array_equal(track.box, before)


def test_a_mask_that_fits_stays_as_memory_gave_it(model):
    wide = BOX + np.array([-1, -1, 1, 1], np.float32)
    before, track = corrected(model, track_of(BOX), wide)
    np.testing.assert_array_equal(track.box, before)


def test_a_correction_never_fits_less(model):
    """Nothing stands where the object was going, so that a box there holds nothing of its size."""
    nowhere = np.array([BOX[0], 2, BOX[2], 6], np.float32)
    near = nowhere + np.array([0, 0, 0, 4], np.float32)
    track = track_of(nowhere)
    before, track = corrected(model, track, near, correct_iou=1.0)
    fit = track.fit(STAMP)
    track.box = before
    assert fit >= track.fit(STAMP)


@pytest.mark.parametrize("on_it", [True, False])
def test_a_part_is_made_whole_and_not_given_up_for_what_hides_the_rest(model, on_it):
    """A mask within its place may be all that shows.

    Here it is a piece of what a box there holds, or what lies beside that, as of an object which
    this one hides.
    """
    features = model.encode_image([TRUTH.image])
    view, track = View("", STAMP, SIZE, None, image=TRUTH.image), track_of(BOX)
    rules = TrackerSettings()
    whole = segment_where_expected(model, features, [view], [(0, track)], rules)
    inside = whole.logits[0] > 0
    rows, columns = np.nonzero(inside.numpy())
    part = torch.zeros_like(inside)
    window = slice(rows.min() + 1, rows.max()), slice(columns.min() + 1, columns.max())
    part[window] = inside[window] if on_it else ~inside[window]
    part[(rows.min() + rows.max()) // 2 :] = False
    assert part.any()
    masks = replace(whole, logits=torch.where(part, 10.0, -10.0)[None], closeups=())
    show([(0, track)], masks, [view], rules.least_part)
    before = track.fit(STAMP)
    assert before < rules.correct_iou
    state = CameraTracks(tracks=[track], looked=3 * PERIOD)
    correct(model, features, [view], [state], [(0, track)], masks, rules)
    assert (track.fit(STAMP) > before) == on_it


def test_no_memory_is_kept_of_what_was_overruled(model):
    known, track = KnownMasks(), track_of(BOX)
    known.ask(track.memory.edition)
    features = model.encode_image([TRUTH.image])
    view = View("", STAMP, SIZE, None, image=TRUTH.image)
    masks = segment_where_expected(model, features, [view], [(0, track)], TrackerSettings())
    known.add(track.memory.edition, masks, 0)
    known.written(track.memory.edition, track.memory)
    assert known.after(track.memory.edition)
    corrected(model, track, OTHER, known=known)
    assert known.after(track.memory.edition) is None
    known.written(track.memory.edition, track.memory)
    assert known.after(track.memory.edition) is None, "in this look the memory is another one"
