"""Frames of rooms that the models are trained on."""

from __future__ import annotations

import numpy as np
import pytest

from gsam_ros.training.detector.data import SIZES, DetectorBatches
from gsam_ros.training.scenes import FIRST_SEED, draw_scene, film_clip, film_still, resize_still
from gsam_ros.training.segmenter.clips import ClipKind, clip_batch
from gsam_ros.world.compose import boxes_of
from gsam_ros.world.placement import MIN_VISIBLE
from gsam_ros.world.scene import Scene
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import HELD_OUT, SHAPES


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_held_out_in_a_room_for_training(seed: int) -> None:
    pairs = draw_scene(np.random.default_rng(seed)).pairs
    assert len(pairs) == 9
    assert {shape for _, shape in pairs.values()} == set(SHAPES)
    assert not set(pairs.values()) & set(HELD_OUT)
    assert set(Scene(seed).pairs.values()) & set(HELD_OUT)


def test_rooms_of_recordings_and_benchmarks_have_other_seeds() -> None:
    from benchmark.sequences import REPORTED_SEED, TUNING_SEED

    assert 100 * max(REPORTED_SEED, TUNING_SEED) < FIRST_SEED


def test_a_still_tells_of_what_is_visible_enough() -> None:
    rng = np.random.default_rng(2)
    scene = draw_scene(rng)
    stills = [film_still(rng, scene, 192, 256) for _ in range(10)]
    assert len({len(still.boxes) for still in stills}) > 1
    for still in stills:
        assert still.image.shape == (192, 256, 3)
        assert (still.visible >= MIN_VISIBLE).all()
        assert still.masks.sum(0).max() <= 1
        assert (still.boxes == boxes_of(still.masks)).all()
        assert set(zip(still.colour, still.shape, strict=True)) <= set(scene.pairs.values())
    assert min(still.visible.min() for still in stills) < 0.7


@pytest.mark.parametrize("seed", range(3))
def test_an_enlarged_still_has_its_truth_enlarged(seed: int) -> None:
    small = draw_still(np.random.default_rng(seed), 96, 128)
    large = resize_still(small, 192, 256)
    assert large.image.shape == (192, 256, 3)
    assert (large.masks == small.masks.repeat(2, 1).repeat(2, 2)).all()
    assert (large.boxes == 2 * small.boxes).all()
    assert (large.boxes == boxes_of(large.masks)).all()
    assert (large.colour, large.shape) == (small.colour, small.shape)
    assert np.abs(large.image[::2, ::2].astype(int) - small.image).mean() < 8


@pytest.mark.parametrize("filmed", [0.0, 1.0])
def test_larger_pictures_are_of_the_same_shapes(filmed: float) -> None:
    batches, larger = (DetectorBatches(5, 3, filmed=filmed, scale=scale) for scale in (1.0, 1.5))
    for index in range(6):
        base, batch = batches[index], larger[index]
        assert [round(1.5 * side) for side in base.images.shape[1:3]] == [*batch.images.shape[1:3]]
        cells = [tuple(level.shape[1:3]) for level in batch.cells]
        assert cells == batch.level_shapes[:2]
        for boxes in batch.targets.boxes:
            assert ((boxes > 0) & (boxes <= 1)).all()


def test_a_clip_follows_what_is_large_enough_at_first() -> None:
    clip = film_clip(np.random.default_rng(3), frames=8, objects=4, side=256, least=40, every=3)
    assert clip.images.shape == (8, 256, 256, 3)
    assert clip.masks.shape == (8, 4, 256, 256)
    assert (clip.masks[0].sum((1, 2)) >= 40).all()
    assert clip.masks.sum(1).max() <= 1
    assert (clip.present == clip.masks.any((2, 3))).all()


def test_objects_of_a_clip_leave_and_return() -> None:
    rng = np.random.default_rng(4)
    present = np.concatenate(
        [film_clip(rng, 12, 5, side=64, least=4, every=5).present for _ in range(4)], axis=1
    )
    gone = ~present.all(0)
    assert 0.1 < gone.mean() < 0.9
    assert (present[-1] & gone).any()


def test_a_batch_of_clips_may_be_filmed() -> None:
    batch = clip_batch(np.random.default_rng(0), ClipKind(1, 4, 5, strides=(2,), filmed=True))
    assert batch.pixels.shape == (4, 1, 256, 256, 3)
    assert batch.present[0].all()
    assert batch.masks.shape == (4, 5, 128, 128)
    drawn = clip_batch(np.random.default_rng(0), ClipKind(1, 4, 5, strides=(2,)))
    assert not np.array_equal(batch.pixels, drawn.pixels)


def test_some_of_the_detectors_pictures_are_of_one_room() -> None:
    """Those that are not are drawn as ever, and other sizes than a camera's are never filmed."""
    plain, filmed = DetectorBatches(3, 4), DetectorBatches(3, 4, filmed=0.7)
    cameras = 0
    for number in range(5):
        before, after = plain[number], filmed[number]
        assert before.images.shape == after.images.shape
        if tuple(after.images.shape[1:3]) == SIZES[0]:
            cameras += 1
            assert not np.array_equal(before.images, after.images)
    assert cameras > 1
    again = DetectorBatches(3, 4, filmed=0.7)
    assert all(np.array_equal(filmed[i].images, again[i].images) for i in range(5))
