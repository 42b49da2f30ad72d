"""Masks that optical flow carries to frames that SAM 2 does not look at."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsam_ros.instances import Frame, Instances, TrackState
from gsam_ros.masks import Closeup, Masks
from gsam_ros.tracking.gliding import Glide
from gsam_ros.world.scene import Scene

HEIGHT, WIDTH = 240, 320
RNG = np.random.default_rng(0)
GROUND = cv2.resize(RNG.integers(0, 90, (30, 40, 3)).astype(np.uint8), (WIDTH, HEIGHT))
CLOTH = cv2.resize(RNG.integers(120, 255, (20, 20, 3)).astype(np.uint8), (WIDTH, HEIGHT))


def frame_of(*things: np.ndarray, stamp: int = 0) -> Frame:
    """Textured things, each the `pixels` bool [H, W], on a textured ground that is at rest.

    The texture of a thing goes along with its left upper corner.
    """
    image = GROUND.copy()
    for pixels in things:
        rows, columns = np.nonzero(pixels)
        if len(rows):
            image[pixels] = np.roll(CLOTH, (rows.min(), columns.min()), (0, 1))[pixels]
    return Frame(image, stamp)


def square(left: int, top: int, side: int = 60) -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = True
    return pixels


def instances(*pixels: np.ndarray, closeups: tuple[Closeup | None, ...] = ()) -> Instances:
    """What SAM 2 would show: logits of 64 x 64 cells."""
    logits = [
        cv2.resize(p.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) * 20 - 10
        for p in pixels
    ]
    masks = Masks(np.stack(logits), *pixels[0].shape, closeups)
    count = len(pixels)
    state = np.full(count, TrackState.CONFIRMED, np.uint8)
    ids = np.arange(7, 7 + count)
    return Instances(masks.boxes, np.full(count, 0.5, np.float32), ids * 0, ids, state, masks)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def carried(shown: Instances, *frames: Frame) -> Instances:
    glide = Glide.begin(frames[0])
    for frame in frames[1:]:
        glide.follow(frame)
    return glide.move(shown)


def test_where_nothing_moves_masks_stay_as_they_are() -> None:
    here = square(100, 80)
    shown = instances(here)
    moved = carried(shown, *[frame_of(here) for _ in range(4)])
    assert iou(moved.masks.pixels()[0], shown.masks.pixels()[0]) > 0.98
    np.testing.assert_allclose(moved.boxes, shown.boxes, atol=1)
    assert moved.track_id.tolist() == [7]
    assert moved.scores.tolist() == [0.5]


@settings(max_examples=15)
@given(st.integers(-8, 8), st.integers(-8, 8))
def test_a_mask_goes_where_its_object_goes(x: int, y: int) -> None:
    way = [square(120 + i * x, 90 + i * y) for i in range(4)]
    moved = carried(instances(way[0]), *[frame_of(p) for p in way])
    assert iou(moved.masks.pixels()[0], way[-1]) > 0.8
    middle = np.argwhere(moved.masks.pixels()[0]).mean(0)[::-1]
    np.testing.assert_allclose(middle, (150 + 3 * x, 120 + 3 * y), atol=4)


def test_what_leaves_the_image_is_left_out_and_what_stays_keeps_its_row() -> None:
    way = [square(4 - 12 * i, 90) for i in range(7)]  # gone after the fifth
    rest = square(200, 90)
    moved = carried(instances(way[0], rest), *[frame_of(p, rest) for p in way])
    assert moved.track_id.tolist() == [8]
    assert len(moved.boxes) == len(moved.masks) == 1
    assert iou(moved.masks.pixels()[0], rest) > 0.9


def test_what_is_covered_is_taken_from_the_mask() -> None:
    here = square(140, 90)
    bars = [np.zeros((HEIGHT, WIDTH), bool) for _ in range(6)]
    for index, bar in enumerate(bars):
        bar[:, 100 + 8 * index : 120 + 8 * index] = True
    texture = np.roll(CLOTH[::-1], 7, 1)

    def film(index: int) -> Frame:
        image = frame_of(here).image.copy()
        moved = np.roll(texture, 8 * index, 1)
        image[bars[index]] = moved[bars[index]]
        return Frame(image, index)

    moved = carried(instances(here), *[film(index) for index in range(6)])
    pixels = moved.masks.pixels()[0]
    assert iou(pixels, here & ~bars[-1]) > 0.8
    assert pixels[here & bars[-1]].mean() < 0.35


@pytest.mark.parametrize("step", [(3, 0), (-6, 4), (0, 0)])
def test_a_small_object_and_its_close_up_go_along(step: tuple[int, int]) -> None:
    way = [square(160 + i * step[0], 120 + i * step[1], 12) for i in range(4)]
    logits = cv2.resize(way[0][96:160, 136:200].astype(np.float32), (64, 64)) * 20 - 10
    shown = instances(way[0], closeups=(Closeup(logits, 136, 96, 200, 160),))
    moved = carried(shown, *[frame_of(p) for p in way])
    assert iou(moved.masks.pixels()[0], way[-1]) > 0.5
    [part] = moved.masks.closeups
    assert part is not None
    assert (part.right - part.left, part.bottom - part.top) == (64, 64)


def test_a_close_up_at_the_border_stays_inside_the_image() -> None:
    way = [square(300 + 3 * i, 120, 12) for i in range(6)]
    logits = cv2.resize(way[0][96:160, 256:320].astype(np.float32), (64, 64)) * 20 - 10
    shown = instances(way[0], closeups=(Closeup(logits, 256, 96, 320, 160),))
    moved = carried(shown, *[frame_of(p) for p in way])
    [part] = moved.masks.closeups
    assert part is not None
    assert part.left >= 0
    assert part.right <= WIDTH
    assert moved.masks.pixels().shape == (1, HEIGHT, WIDTH)


@pytest.mark.parametrize("step", [-40, 40])
def test_a_light_that_is_switched_hides_nothing(step: int) -> None:
    here = square(140, 90)
    dark = frame_of(here)
    image = np.clip(dark.image.astype(int) // 2 + 60, 0, 255)
    other = Frame(np.clip(image + step, 0, 255).astype(np.uint8), 1)
    moved = carried(instances(here), Frame(image.astype(np.uint8), 0), other)
    assert iou(moved.masks.pixels()[0], here) > 0.9


def test_of_another_image_nothing_is_taken() -> None:
    here = square(140, 90)
    glide = Glide.begin(frame_of(here))
    noise = np.random.default_rng(5).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    assert not glide.follow(Frame(noise, 1))
    assert glide.follow(frame_of(here))  # as if it had not been
    assert iou(glide.move(instances(here)).masks.pixels()[0], here) > 0.9


@pytest.mark.parametrize("shape", [(1, 1), (7, 900), (1080, 1920), (20, 20)])
def test_images_of_any_shape_are_taken(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    glide = Glide.begin(Frame(image, 0))
    glide.follow(Frame(image, 1))
    assert not len(glide.move(Instances.none(*shape)))
    whole = np.ones(shape, bool)
    assert len(glide.move(instances(whole))) == 1


def test_it_beats_masks_that_stay_where_they_were_in_the_demo_world() -> None:
    scene = Scene(seed=3)
    films = [[scene.render(0, start + i / 20) for i in range(5)] for start in (0.0, 2.0)]
    by_flow, left = [], []
    for film in films:
        first, last = film[0], film[-1]
        shown = instances(*first.masks)
        moved = carried(shown, *[Frame(f.image, i) for i, f in enumerate(film)])
        pixels = dict(zip(first.ids[moved.track_id - 7], moved.masks.pixels(), strict=True))
        for track, before, truth in (
            (i, first.masks[first.ids == i][0], m)
            for i, m in zip(last.ids, last.masks, strict=True)
            if i in first.ids
        ):
            by_flow.append(iou(pixels.get(track, np.zeros_like(truth)), truth))
            left.append(iou(before, truth))
    assert np.mean(by_flow) > np.mean(left) + 0.1
