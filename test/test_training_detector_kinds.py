"""Colours and shapes learnt apart: nothing in training speaks against a held-out pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gsam_ros.training.detector.cells import CellHeads, pair_loss
from gsam_ros.training.detector.data import TRAINING_PAIRS, label_cells
from gsam_ros.training.detector.prompts import draw_phrases, is_fair
from gsam_ros.world.sprites import draw_sprite
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import COLOURS, SEEN, SHAPES, UNNAMED

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


def test_shapes_are_not_asked_for_where_a_colour_held_out_for_them_is_seen():
    """Every red thing would have to be passed over for "cone", as red cones are held out."""
    assert not is_fair(None, "cone", [("red", "mug")])
    assert not is_fair("red", None, [("blue", "cone")])
    assert not is_fair("red", "cone", [])
    assert is_fair(None, "cone", [("blue", "mug"), (UNNAMED, "ball")])
    assert is_fair("red", None, [("blue", "mug")])
    assert is_fair("blue", "cone", [("red", "mug")])


def test_every_training_prompt_is_fair():
    rng = np.random.default_rng(0)
    for _ in range(300):
        present = [TRAINING_PAIRS[i] for i in rng.integers(len(TRAINING_PAIRS), size=4)]
        phrases = draw_phrases(rng, present)
        assert all(p.nonsense or is_fair(p.colour, p.shape, present) for p in phrases)


def test_an_unnamed_object_is_asked_for_by_its_shape():
    rng = np.random.default_rng(0)
    prompts = [draw_phrases(rng, [(UNNAMED, "mug")]) for _ in range(100)]
    naming = [p for prompt in prompts for p in prompt if p.names((UNNAMED, "mug"))]
    assert len(naming) > 80
    assert {(p.colour, p.shape) for p in naming} == {(None, "mug")}


def test_unnamed_colours_are_of_all_kinds_and_like_no_named_one():
    rng = np.random.default_rng(0)
    sprites = [draw_sprite(rng, "box", UNNAMED, 32) for _ in range(60)]
    colours = np.array([s[s[..., 3] > 250][:, :3].mean(0) for s in sprites])
    grey = np.ptp(colours, axis=1) < 60
    assert 5 < grey.sum() < 50
    purest = colours[~grey].argmax(1)
    assert {0, 1, 2} == set(purest.tolist())


def test_cells_carry_the_object_at_their_centre():
    still = draw_still(np.random.default_rng(2))
    cells = label_cells(still, 16)
    assert cells.shape == (12, 16, 2)
    covered = still.masks[:, 8::16, 8::16].any(0)
    assert np.array_equal(cells[..., 0] >= 0, covered)


def test_cells_of_an_unnamed_colour_say_the_shape_alone():
    still = draw_still(np.random.default_rng(2), pairs=[(UNNAMED, "mug")])
    covered = still.masks[:, 8::16, 8::16].any(0)
    cells = label_cells(still, 16)
    assert covered.any()
    assert (cells[..., 0] == -1).all()
    assert (cells[covered][:, 1] == SHAPES.index("mug")).all()
