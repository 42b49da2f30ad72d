"""Masks and depth become places in metres."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsam_ros.depth import MIN_READINGS, Pinhole, surfaces
from gsam_ros.masks import Masks
from gsam_ros.world.scene import Scene

FLT_MAX = np.finfo(np.float32).max  # as some drivers write what they did not read
CAMERA = Pinhole(fx=100.0, fy=100.0, cx=31.5, cy=23.5, width=64, height=48)


def masks_of(*pixels: np.ndarray) -> Masks:
    logits = np.stack(pixels).astype(np.float32) * 2 - 1
    return Masks(logits, *logits.shape[1:])


def square(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_square_in_front_of_the_camera():
    """20 x 20 pixels at 2 m with a focal length of 100 pixels are 0.4 m wide."""
    depth = np.full((48, 64), 2.0, np.float32)
    [surface] = surfaces(masks_of(square(14, 22, 34, 42)), depth, CAMERA)
    centre, size = surface.box
    np.testing.assert_allclose(centre, [0, 0, 2], atol=1e-5)
    np.testing.assert_allclose(size, [0.38, 0.38, 0], atol=0.011)


def test_right_is_x_and_down_is_y():
    depth = np.full((48, 64), 1.0, np.float32)
    right, below = surfaces(masks_of(square(20, 50, 28, 58), square(36, 28, 44, 36)), depth, CAMERA)
    assert right.box[0][0] > 0.1
    assert abs(right.box[0][1]) < 0.05
    assert below.box[0][1] > 0.1
    assert abs(below.box[0][0]) < 0.05


def test_background_that_the_mask_lets_in_is_left_out():
    depth = np.full((48, 64), 5.0, np.float32)
    depth[14:34, 22:42] = 2.0
    [surface] = surfaces(masks_of(square(12, 20, 36, 44)), depth, CAMERA)
    centre, size = surface.box
    np.testing.assert_allclose(centre, [0, 0, 2], atol=1e-5)
    assert size[2] == 0
    assert len(surface.points) == 400


@pytest.mark.parametrize("nothing", [0.0, np.nan, np.inf, -1.0, FLT_MAX, -FLT_MAX, 1e6])
def test_what_was_not_read_does_not_count(nothing):
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:, ::2] = nothing
    [surface] = surfaces(masks_of(square(14, 22, 34, 42)), depth, CAMERA)
    assert surface.is_located
    assert np.isfinite(surface.points).all()
    assert len(surface.points) == 200


def test_too_few_readings_locate_nothing():
    depth = np.zeros((48, 64), np.float32)
    depth[20, 24 : 24 + MIN_READINGS - 1] = 2.0
    [surface] = surfaces(masks_of(square(14, 22, 34, 42)), depth, CAMERA)
    assert not surface.is_located
    [empty] = surfaces(masks_of(np.zeros((48, 64), bool)), depth, CAMERA)
    assert not empty.is_located
    [unread] = surfaces(masks_of(square(14, 22, 34, 42)), np.full_like(depth, FLT_MAX), CAMERA)
    assert not unread.is_located
    assert not len(unread.points)


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="64x48, depth of 32x24"):
        surfaces(masks_of(square(0, 0, 9, 9)), np.ones((24, 32), np.float32), CAMERA)


@settings(max_examples=40)
@given(
    x=st.floats(-0.4, 0.4), y=st.floats(-0.3, 0.3), z=st.floats(0.5, 8.0), noise=st.floats(0, 0.01)
)
def test_a_place_is_found_again(x, y, z, noise):
    """A disc of 12 pixels' radius around the pixel of (x, y, z) tells that point."""
    column, row = 160 + 100 * x, 120 + 100 * y
    rows, columns = np.mgrid[0:240, 0:320]
    disc = np.hypot(columns - column, rows - row) < 12
    rng = np.random.default_rng(0)
    depth = np.where(disc, z + rng.normal(0, noise, disc.shape), 20.0).astype(np.float32)
    camera = Pinhole(100.0, 100.0, 160.0, 120.0, 320, 240)
    [surface] = surfaces(masks_of(disc), depth, camera)
    centre, _ = surface.box
    np.testing.assert_allclose(centre, [x * z, y * z, z], atol=0.01 * z + 3 * noise)


def test_objects_of_the_scene_stand_where_it_put_them():
    scene, t = Scene(1), 2.0
    view, frame = scene.cameras[0], scene.render(0, t)
    matrix = view.matrix
    camera = Pinhole(
        matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], view.width, view.height
    )
    found = surfaces(masks_of(*frame.masks), frame.depth, camera)
    checked = 0
    for surface, box, visible in zip(found, frame.boxes, frame.visible, strict=True):
        if visible < 0.99:
            continue
        middle = np.array([(box[0] + box[2] - 1) / 2, (box[1] + box[3] - 1) / 2])
        centre, _ = surface.box
        pixel = matrix @ centre
        np.testing.assert_allclose(pixel[:2] / pixel[2], middle, atol=1.5)
        assert centre[2] == pytest.approx(
            float(np.median(frame.depth[surface.rows, surface.columns]))
        )
        checked += 1
    assert checked >= 2
