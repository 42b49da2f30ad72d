"""Small objects: which crops show them, their masks, and their tracks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gsam_ros.instances import Detections
from gsam_ros.masks import Closeup, Masks
from gsam_ros.prompts import PromptError
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.closeups import is_small, seen_from_afar, segment_close
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.visual_prompts import VisualPrompt
from gsam_ros.world.stills import draw_still

SIZE = (360, 640)


@pytest.fixture(scope="module")
def model() -> TransformersSam2:
    return TransformersSam2("demo-segmenter", torch.device("cpu"))


@pytest.fixture(scope="module")
def still():
    """Objects of 10 to 30 pixels."""
    rng = np.random.default_rng([77, 0])
    return draw_still(rng, *SIZE, max_objects=8, share=(10 / SIZE[0], 30 / SIZE[0]))


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))


def test_what_is_small_is_so_on_the_square_that_the_model_sees():
    boxes = np.array([[0, 0, 20, 10], [0, 0, 10, 20]], np.float32)
    assert is_small(boxes, np.array([360, 640]), 256, 12).tolist() == [True, False]
    sizes = np.array([[360, 640], [720, 640]])
    assert is_small(boxes, sizes, 256, 12).tolist() == [True, True]


@given(st.integers(0, 600), st.integers(0, 320), st.integers(8, 40))
def test_from_afar_there_is_a_cell_where_the_object_is(left, top, side):
    logits = np.full((16, 16), -5, np.float32)
    logits[6:10, 6:10] = 5
    closeup = Closeup(logits, left, top, min(left + side, 640), min(top + side, 360))
    cells = seen_from_afar(closeup, SIZE, (64, 64))
    [box] = Masks(logits[None], *SIZE, (closeup,)).boxes
    rows, columns = np.nonzero(cells > 0)
    assert len(rows)
    assert box[1] - 6 <= rows.min() * 360 / 64
    assert (rows.max() + 1) * 360 / 64 <= box[3] + 6
    assert box[0] - 10 <= columns.min() * 10
    assert (columns.max() + 1) * 10 <= box[2] + 10


def test_a_mask_of_a_part_is_the_mask_of_an_image_cut_out():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 8, 8)).astype(np.float32)
    parts = tuple(Closeup(one, 7, 3, 27, 33) for one in logits)
    masks = Masks(np.zeros((2, 4, 4), np.float32), 40, 50, parts)
    alone = Masks(logits, 30, 20).pixels()
    assert (masks.pixels()[:, 3:33, 7:27] == alone).all()
    assert masks.areas.tolist() == alone.sum((1, 2)).tolist()
    [box] = masks[np.array([1])].boxes
    assert box.tolist() == (Masks(logits[1:], 30, 20).boxes[0] + [7, 3, 7, 3]).tolist()


def test_crops_show_more_than_the_whole_image(model, still):
    masks, shown = segment_close(
        model, [still.image], np.zeros(len(still.boxes), int), still.boxes, 99
    )
    assert shown.all()
    close = Masks(masks.logits.numpy(), *SIZE, masks.closeups).pixels()
    assert np.mean([iou(*pair) for pair in zip(close, still.masks, strict=True)]) > 0.8


def test_no_image_takes_the_crops_of_another(model, still):
    boxes = still.boxes[[0, 0]]
    _, shown = segment_close(model, [still.image] * 2, np.array([0, 1]), boxes, most=1)
    assert shown.tolist() == [True, True]


def test_small_objects_are_followed_closely(model, still):
    """They drift by two pixels a frame; the detector looks at the first one only."""
    ious: dict[float, list[float]] = {0.0: [], 16.0: []}
    count = len(still.boxes)
    found = Detections(
        still.boxes.astype(np.float32), np.ones(count, np.float32), np.zeros(count, np.int64)
    )
    for below, values in ious.items():
        settings = TrackerSettings(
            confirm_after=0.0, confirmed_missed=60.0, closeup_below=below, closeup_crops=99
        )
        tracker = InstanceTracker(model, settings)
        tracker.set_phrases(("thing",))
        for step in range(6):
            image = np.roll(still.image, 2 * step, axis=1)
            view = View("", step * 10**8, SIZE, None if step else found, image=image)
            [seen] = tracker.step(model.encode_image([image]), [view])
        truth = np.roll(still.masks, 10, axis=2)
        shown = dict(zip(seen.track_id.tolist(), seen.masks.pixels(), strict=True))
        for number, mask in enumerate(truth, 1):
            values.append(iou(shown.get(number, np.zeros(SIZE, bool)), mask))
    assert np.mean(ious[16.0]) > np.mean(ious[0.0]) + 0.1


@pytest.mark.parametrize(("by", "better"), [("box", 0.1), ("points", 0.03)])
def test_a_small_object_that_is_pointed_at_is_seen_from_close_by(model, still, by, better):
    """By a point that is, where SAM 2 takes it for a small one on the whole image already."""
    ious: dict[float, list[float]] = {0.0: [], 16.0: []}
    view = View("", 0, SIZE, None, image=still.image)
    features = model.encode_image([still.image])
    for below, values in ious.items():
        for mask, box in zip(still.masks, still.boxes, strict=True):
            tracker = InstanceTracker(model, TrackerSettings(closeup_below=below))
            tracker.set_phrases((), ("tool",))
            middle = np.argwhere(mask)[mask.sum() // 2][::-1].astype(np.float32)
            where = {"box": box.astype(np.float32)} if by == "box" else {"points": middle[None]}
            try:
                track = tracker.point_out(features, view, VisualPrompt("", "tool", **where))
            except PromptError:  # SAM 2 sees nothing there
                values.append(0.0)
                continue
            [shown] = Masks(track.logits[None], *SIZE, (track.closeup,)).pixels()
            values.append(iou(shown, mask))
    assert np.mean(ious[16.0]) > np.mean(ious[0.0]) + better
