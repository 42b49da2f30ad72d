"""Losses of the segmenter's training, on cases worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from gsam_ros.training.segmenter.loss import (
    ABSENT_WEIGHT,
    dice_loss,
    iou,
    mask_loss,
    near_box,
    score_loss,
    side_distances,
)


def _left_half(size: int = 128) -> torch.Tensor:
    mask = torch.zeros(1, size, size)
    mask[:, :, : size // 2] = 1
    return mask


def test_near_box_reaches_a_quarter_and_two_pixels_beyond() -> None:
    # Box 100..140 by 100..180 of 256 pixels: enlarged to 88..152 by 78..202.
    near = near_box(torch.tensor([[100.0, 100.0, 140.0, 180.0]]), size=256)[0]
    rows, columns = near.any(1).nonzero()[:, 0], near.any(0).nonzero()[:, 0]
    assert (int(columns[0]), int(columns[-1]) + 1) == (88, 152)
    assert (int(rows[0]), int(rows[-1]) + 1) == (78, 202)
    assert near.sum() == (152 - 88) * (202 - 78)


def test_mask_loss_of_an_undecided_mask() -> None:
    # All logits 0: cross entropy ln 2 everywhere, inside + 2 x outside = 3 ln 2. Dice: all masks
    # are 1/2, so shared = P/4 and sizes P/2 + P/2 for P = 128 x 128 pixels, half of them covered.
    near = near_box(torch.tensor([[0.0, 0.0, 64.0, 256.0]]))
    pixels = 128 * 128
    dice = 1 - (2 * pixels / 4 + 1) / (pixels + 1)
    loss = mask_loss(torch.zeros(1, 64, 64), _left_half(), near)
    assert float(loss) == pytest.approx(3 * math.log(2) + dice, rel=1e-5)


def test_mask_loss_of_the_truth_is_nearly_nothing_and_of_its_opposite_is_large() -> None:
    target, near = _left_half(), near_box(torch.tensor([[0.0, 0.0, 128.0, 256.0]]))
    logits = (target * 2 - 1) * 20
    assert float(mask_loss(logits, target, near)) < 1e-3
    # 20 nats in the box, 2 x 20 outside, and no overlap.
    assert float(mask_loss(-logits, target, near)) == pytest.approx(61, rel=1e-2)


def test_a_small_object_weighs_as_much_as_a_large_one() -> None:
    losses = []
    for side in (8, 64):
        target = torch.zeros(1, 128, 128)
        target[:, :side, :side] = 1
        near = near_box(torch.tensor([[0.0, 0.0, 2.0 * side, 2.0 * side]]))
        logits = torch.where(near > 0, 0.0, -20.0)
        losses.append(float(mask_loss(logits, target, near) - dice_loss(logits, target)))
    assert losses == pytest.approx([math.log(2)] * 2, rel=1e-3)


@pytest.mark.parametrize(
    ("covered", "truth", "expected"),
    [
        (slice(0, 64), slice(0, 64), 1.0),
        (slice(0, 64), slice(64, 128), 0.0),
        (slice(0, 64), slice(0, 128), 0.5),
        (slice(0, 96), slice(32, 128), 0.5),
        (slice(0, 0), slice(0, 0), 1.0),
    ],
    ids=["same", "apart", "half found", "half shared", "both empty"],
)
def test_iou(covered: slice, truth: slice, expected: float) -> None:
    logits, target = torch.full((1, 128, 128), -1.0), torch.zeros(1, 128, 128)
    logits[:, :, covered] = 1
    target[:, :, truth] = 1
    assert float(iou(logits, target)) == pytest.approx(expected)


def test_a_missed_absence_weighs_more() -> None:
    loss = score_loss(torch.zeros(2), torch.tensor([True, False]))
    assert loss.tolist() == pytest.approx([math.log(2), ABSENT_WEIGHT * math.log(2)])


def test_side_distances() -> None:
    # Cell (row 1, column 2) of 4 x 4 has its centre at x = 160, y = 96 of 256 pixels.
    told = side_distances(torch.tensor([[128.0, 64.0, 192.0, 256.0]]), 4)[0, :, 1, 2]
    assert (told * 256).tolist() == pytest.approx([32, 32, 32, 160])
