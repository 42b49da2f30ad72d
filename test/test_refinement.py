"""Masks that are shown as a crop draws them, and tracks that know nothing of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gsam_ros.instances import Frame
from gsam_ros.masks import Closeup, Masks
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.standalone.run_state import load_state, save_state
from gsam_ros.tracking.propagation import segment_boxes
from gsam_ros.tracking.refinement import refine
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.world.scene import Scene
from gsam_ros.world.stills import draw_still

SIZE = (480, 640)
PERIOD = 100_000_000  # nanoseconds between two frames
SETTINGS = TrackerSettings(refine_crops=99)


@pytest.fixture(scope="module")
def machine() -> GroundedTracker:
    return GroundedTracker(Settings(device="cpu"))


@pytest.fixture(scope="module")
def model(machine):
    return machine._segmenter


def iou(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))


@pytest.fixture(scope="module")
def still():
    """Objects of 40 to 120 pixels: larger than what lives by close-ups."""
    rng = np.random.default_rng([78, 0])
    return draw_still(rng, *SIZE, max_objects=8, share=(40 / SIZE[0], 120 / SIZE[0]))


@pytest.fixture(scope="module")
def coarse(model, still) -> Masks:
    """What boxes give on the whole image."""
    fractions = torch.tensor(still.boxes / np.tile(SIZE[::-1], 2), dtype=torch.float32)
    features = model.encode_image([still.image])
    masks = segment_boxes(model, features, [0] * len(fractions), fractions)
    return Masks(masks.logits.numpy(), *SIZE)


def test_a_crop_shows_better_where_objects_end(model, still, coarse):
    [closeups] = refine(model, [still.image], [coarse], SETTINGS)
    assert all(closeups)
    fine = Masks(coarse.logits, *SIZE, closeups)
    gain = [
        iou(after, truth) - iou(before, truth)
        for after, before, truth in zip(fine.pixels(), coarse.pixels(), still.masks, strict=True)
    ]
    assert np.mean(gain) > 0.02
    off = [np.abs(masks.boxes - still.boxes).mean() for masks in (coarse, fine)]
    assert off[1] < off[0], "boxes of masks are better, too"


def test_of_several_images_each_object_is_drawn_on_its_own(model, still, coarse):
    mirrored = np.ascontiguousarray(still.image[:, ::-1])
    turned = Masks(np.ascontiguousarray(coarse.logits[:, :, ::-1]), *SIZE)[np.array([1, 0])]
    images = [still.image, mirrored, still.image]
    together = refine(model, images, [coarse, turned, coarse[np.array([], int)]], SETTINGS)
    alone = [refine(model, images[:1], [coarse], SETTINGS)[0]]
    alone += refine(model, images[1:2], [turned], SETTINGS)
    assert [len(each) for each in together] == [len(coarse), 2, 0]
    for several, one in zip(together[0] + together[1], alone[0] + alone[1], strict=True):
        assert (several.left, several.top) == (one.left, one.top)
        np.testing.assert_allclose(several.logits, one.logits, atol=1e-3)


def test_large_objects_and_those_without_a_crop_stay_as_they_are(model, still, coarse):
    sides = (coarse.boxes[:, 2:] - coarse.boxes[:, :2]) * (256 / np.array(SIZE[::-1]))
    limit = float(np.median(sides.max(1)))
    [closeups] = refine(model, [still.image], [coarse], replace(SETTINGS, refine_below=limit))
    assert [bool(each) for each in closeups] == (sides.max(1) < limit).tolist()
    for nothing in ({"refine_below": 0.0}, {"refine_crops": 0}):
        assert refine(model, [still.image], [coarse], replace(SETTINGS, **nothing)) == [
            (None,) * len(coarse)
        ]
    assert refine(model, [None], [coarse], SETTINGS) == [(None,) * len(coarse)]
    assert refine(model, [], [], SETTINGS) == []


def test_what_a_closeup_shows_already_and_what_shows_nothing_is_left_alone(model, still, coarse):
    closeup = Closeup(np.ones((8, 8), np.float32), 0, 0, 20, 20)
    logits = coarse.logits[:2].copy()
    logits[1] = -1
    masks = Masks(logits, *SIZE, (closeup, None))
    assert refine(model, [still.image], [masks], SETTINGS) == [(closeup, None)]


def test_a_crop_that_shows_something_else_counts_for_nothing(model, still, coarse):
    """The rim around an object has the object's box, which holds the object before all."""
    rims = coarse.logits.copy()
    for rim, box in zip(rims, coarse.boxes, strict=True):
        left, top, right, bottom = (box * np.tile([64 / 640, 64 / 480], 2)).astype(int)
        rim[:] = -1
        rim[top : bottom + 1, left : right + 1] = 1
        rim[top + 1 : bottom, left + 1 : right] = -1
    [closeups] = refine(model, [still.image], [Masks(rims, *SIZE)], SETTINGS)
    assert closeups.count(None) > len(closeups) / 2


def frames(indices: range) -> list[Frame]:
    scene = Scene(seed=3)
    return [Frame(scene.render(0, i * 0.1).image, i * PERIOD) for i in indices]


def run(machine: GroundedTracker, indices: range, **tracker: float):
    machine.configure(Settings(device="cpu", tracker=TrackerSettings(**tracker)))
    return [machine.step([frame])[0].instances for frame in frames(indices)]


PROMPT = "red mug. blue ball. green star. yellow box. white cone. black ring."


def test_tracking_is_the_same_with_and_without(machine):
    both = []
    for below in (0.0, 64.0):
        machine.reset()
        machine.set_prompt(PROMPT)
        both.append(run(machine, range(12), refine_below=below))
    assert sum(map(len, both[0])) > 20
    changed = 0
    for plain, refined in zip(*both, strict=True):
        for name in ("phrase_index", "scores", "state"):
            np.testing.assert_array_equal(getattr(plain, name), getattr(refined, name))
        first = both[0][0].track_id[:1].sum() - both[1][0].track_id[:1].sum()  # ids go on
        np.testing.assert_array_equal(plain.track_id - first, refined.track_id)
        np.testing.assert_array_equal(refined.boxes, refined.masks.boxes)
        changed += sum(map(bool, refined.masks.closeups))
    assert changed > 20


def test_masks_that_glide_are_the_refined_ones_also_after_a_restart(machine, tmp_path):
    machine.reset()
    machine.set_prompt(PROMPT)
    shown = run(machine, range(4), rate=5.0)
    assert any(shown[2].masks.closeups), "SAM 2 looked at this one"
    assert list(map(bool, shown[3].masks.closeups)) == list(map(bool, shown[2].masks.closeups))
    save_state(tmp_path / "state", machine.state())
    [after] = run(machine, range(4, 5), rate=2.0)
    machine.restore(load_state(tmp_path / "state", "cpu"))
    [again] = run(machine, range(4, 5), rate=2.0)
    np.testing.assert_array_equal(after.masks.pixels(), again.masks.pixels())
