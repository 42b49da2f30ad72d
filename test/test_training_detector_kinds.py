"""Colours and shapes learnt apart: turned hues, and cell heads that never veto a held-out pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gsam_ros.training.detector_cells import CellHeads, pair_loss
from gsam_ros.training.detector_data import label_cells
from gsam_ros.training.detector_hues import choose_turn, hue_of, turn_hues
from gsam_ros.training.detector_prompts import draw_shape_phrases
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import COLOURS, HELD_OUT, SEEN, SHAPES

RED, BLACK = list(COLOURS).index("red"), list(COLOURS).index("black")
CONE, STAR = SHAPES.index("cone"), SHAPES.index("star")


def test_undecided_heads_share_out_the_pairs_of_training():
    loss = pair_loss(torch.zeros(1, 8), torch.zeros(1, 8), torch.tensor([[BLACK, CONE]]))
    assert loss.item() == pytest.approx(math.log(len(SEEN)))


def test_a_red_star_says_nothing_against_red_cones():
    """With every other pair ruled out, what is left of the shape's gradient is the cone's: none."""
    colour = torch.full((1, 8), -50.0)
    colour[0, RED] = 50.0
    shape = torch.zeros(1, 8, requires_grad=True)
    pair_loss(colour, shape, torch.tensor([[RED, STAR]])).backward()
    assert shape.grad[0, CONE].item() == pytest.approx(0.0, abs=1e-12)
    assert shape.grad[0, SHAPES.index("ball")] > 0
    assert shape.grad[0, STAR] < 0


def test_a_nameless_colour_leaves_the_shape_to_learn():
    colour = torch.zeros(2, 8, requires_grad=True)
    loss = pair_loss(colour, torch.zeros(2, 8), torch.tensor([[-1, STAR], [-1, CONE]]))
    assert loss.item() == pytest.approx(math.log(8))
    loss.backward()
    assert not colour.grad.any()


def test_heads_learn_from_pictures_without_objects():
    heads = CellHeads(4, levels=1)
    loss = heads([torch.randn(1, 4, 2, 2)], [torch.full((1, 2, 2, 2), -1)])
    assert loss.isfinite()


def test_turning_makes_green_of_red():
    red = np.full((2, 2, 3), (200, 20, 20), np.uint8)
    turned = turn_hues(red, 120.0)[0, 0].astype(int)
    assert turned[1] > 180
    assert turned[0] < 40
    assert turned[2] < 40


def test_turning_leaves_white_and_black():
    grey = np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8)
    assert np.array_equal(turn_hues(grey, 77.0), grey)
    assert hue_of("white") is None
    assert hue_of("black") is None


def test_no_turn_makes_a_held_out_pair():
    rng = np.random.default_rng(0)
    held_out = {shape: hue_of(colour) for colour, shape in HELD_OUT}
    for _ in range(300):
        present = [SEEN[i] for i in rng.integers(len(SEEN), size=4)]
        angle = choose_turn(rng, present)
        for colour, shape in present:
            hue, forbidden = hue_of(colour), held_out[shape]
            if angle and hue is not None and forbidden is not None:
                apart = abs((hue + angle - forbidden + 180) % 360 - 180)
                assert apart > 25


def test_a_turned_picture_is_asked_about_by_shape_alone():
    rng = np.random.default_rng(0)
    for _ in range(100):
        phrases = draw_shape_phrases(rng, [("red", "mug"), ("blue", "ball")])
        assert phrases
        assert all(phrase.colour is None for phrase in phrases)
        assert {p.shape for p in phrases if p.names(("red", "mug"))} <= {"mug"}


def test_cells_carry_the_object_at_their_centre():
    still = draw_still(np.random.default_rng(2))
    cells = label_cells(still, 16)
    assert cells.shape == (12, 16, 2)
    covered = still.masks[:, 8::16, 8::16].any(0)
    assert np.array_equal(cells[..., 0] >= 0, covered)
    nameless = label_cells(still, 16, nameless=True)
    assert (nameless[..., 0] == -1).all()
    assert np.array_equal(nameless[..., 1], cells[..., 1])


def test_a_turned_picture_may_be_paler_and_darker():
    red = np.full((2, 2, 3), (200, 0, 0), np.uint8)
    pale = turn_hues(red, 0.0, saturation=0.5)[0, 0].astype(int)
    dark = turn_hues(red, 0.0, value=0.5)[0, 0].astype(int)
    assert np.abs(pale - [200, 100, 100]).max() <= 2
    assert np.abs(dark - [100, 0, 0]).max() <= 2
