"""Masks: from low-resolution logits to pixels, boxes, images and run-length encodings."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from gsam_ros.masks import Masks

sizes = st.integers(1, 90)


@st.composite
def random_masks(draw) -> Masks:
    count, cells_h, cells_w = draw(st.integers(0, 3)), draw(sizes), draw(sizes)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = generator.normal(draw(st.sampled_from([-2.0, 0.0])), 1, (count, cells_h, cells_w))
    return Masks(logits.astype(np.float32), draw(sizes), draw(sizes))


def enlarged(masks: Masks) -> np.ndarray:
    """The reference: torch's bilinear interpolation of the whole image."""
    if not len(masks):
        return np.zeros((0, masks.height, masks.width), np.float32)
    full = torch.nn.functional.interpolate(
        torch.from_numpy(masks.logits)[:, None],
        size=(masks.height, masks.width),
        mode="bilinear",
        align_corners=False,
    )
    return full[:, 0].numpy()


@settings(max_examples=150)
@given(random_masks())
def test_regions_equal_the_interpolated_whole_image(masks):
    expected, found = enlarged(masks), masks.pixels()
    # Pixels within rounding of zero may fall on either side.
    clear = np.abs(expected) > 1e-4
    assert ((expected > 0) == found)[clear].all()


@settings(max_examples=100)
@given(random_masks())
def test_boxes_areas_and_encodings_agree_with_the_pixels(masks):
    for pixels, box, area, counts in zip(
        masks.pixels(), masks.boxes, masks.areas, masks.rle(), strict=True
    ):
        assert area == pixels.sum()
        assert counts == coco_mask.encode(np.asfortranarray(pixels, np.uint8))["counts"].decode()
        if area:
            rows, columns = pixels.nonzero()
            tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == tight
        else:
            assert box.tolist() == [0, 0, 0, 0]


def test_a_pixel_goes_to_the_mask_that_is_surest_of_it():
    logits = np.full((2, 4, 8), -5, np.float32)
    logits[0, :, :5], logits[1, :, 3:] = 1, 3  # columns 3 and 4 are claimed twice
    painted = Masks(logits, 4, 8).paint(np.array([7, 9]), np.uint16)
    assert painted.dtype == np.uint16
    assert painted.tolist() == [[7, 7, 7, 9, 9, 9, 9, 9]] * 4


@settings(max_examples=60)
@given(random_masks())
def test_painting_covers_the_union_and_order_does_not_matter(masks):
    values = np.arange(1, len(masks) + 1)
    painted = masks.paint(values, np.uint8)
    assert ((painted > 0) == masks.pixels().any(0)).all()
    order = np.arange(len(masks))[::-1]
    assert (masks[order].paint(values[order], np.uint8) == painted).all()


def test_chosen_masks_are_the_same_whether_or_not_all_were_enlarged_before():
    logits = np.random.default_rng(3).normal(-1, 2, (4, 9, 11)).astype(np.float32)
    for index in (np.array([2, 0]), np.array([True, False, False, True]), np.array([], int)):
        late, early = Masks(logits, 30, 40)[index], Masks(logits, 30, 40)
        assert early.regions  # enlarged before they are chosen from
        np.testing.assert_array_equal(early[index].pixels(), late.pixels())
        np.testing.assert_array_equal(early[index].boxes, late.boxes)
