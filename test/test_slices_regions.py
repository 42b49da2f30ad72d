"""Only tiles that matter: which are chosen, and that the machine finds as much with fewer."""

from __future__ import annotations

import numpy as np
import pytest

from gsam_ros.boxes import box_iou
from gsam_ros.detection.regions import TileTurns
from gsam_ros.detection.replica import Replica
from gsam_ros.detection.settings import DetectorSettings, SliceSettings
from gsam_ros.detection.slicing import tiles
from gsam_ros.instances import Frame
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.world.stills import draw_stills

SIZE = (400, 600)
TILES = tiles(SIZE, (100, 150), 0.2)
NOTHING = np.zeros((0, 4), np.float32)


def noise(seed: int) -> np.ndarray:
    """A grey image as a camera sees it twice, with noise of its own."""
    return np.random.default_rng(seed).normal(120, 6, (*SIZE, 3)).clip(0, 255).astype(np.uint8)


def chosen(turns: TileTurns, image: np.ndarray, boxes: np.ndarray, share: float = 0.01) -> set:
    return {tuple(view) for view in turns.choose(image, boxes, share, TILES)}


def holding(x0: float, y0: float, x1: float, y1: float) -> set:
    """The tiles that hold a box."""
    inside = (TILES[:, :2] <= (x0, y0)).all(1) & (TILES[:, 2:] >= (x1, y1)).all(1)
    return {tuple(view) for view in TILES[inside]}


def test_all_tiles_come_first_and_when_the_grid_changes() -> None:
    turns = TileTurns()
    assert len(chosen(turns, noise(0), NOTHING)) == len(TILES)
    assert len(chosen(turns, noise(1), NOTHING)) == 1
    other = tiles(SIZE, (200, 300), 0.2)
    assert len(turns.choose(noise(2), NOTHING, 0.01, other)) == len(other)


def test_every_tile_has_its_turn() -> None:
    turns = TileTurns()
    chosen(turns, noise(0), NOTHING)
    rounds = [chosen(turns, noise(i), NOTHING, 0.25) for i in range(1, 5)]
    assert {len(tiles) for tiles in rounds} == {-(-len(TILES) // 4)}
    assert len(set.union(*rounds)) == len(TILES)


def test_the_whole_image_is_always_looked_at() -> None:
    whole = (0, 0, SIZE[1], SIZE[0])
    views = np.concatenate([[whole], TILES])
    turns = TileTurns()
    for seed in range(3):
        picked = turns.choose(noise(seed), NOTHING, 0.01, views)
        assert tuple(picked[0]) == whole
    assert len(picked) == 2


def test_tiles_with_known_objects_are_looked_at_each_time() -> None:
    turns = TileTurns()
    boxes = np.array([[20, 20, 60, 60], [300, 200, 330, 230]], np.float32)
    chosen(turns, noise(0), boxes)
    for seed in (1, 2):
        picked = chosen(turns, noise(seed), boxes)
        assert picked & holding(20, 20, 60, 60)
        assert picked & holding(300, 200, 330, 230)
        assert len(picked) <= 3


def test_an_object_larger_than_a_tile_has_all_that_it_touches() -> None:
    turns = TileTurns()
    chosen(turns, noise(0), NOTHING)
    large = np.array([[100, 50, 400, 250]], np.float32)
    touched = (TILES[:, :2] < (400, 250)).all(1) & (TILES[:, 2:] > (100, 50)).all(1)
    assert {tuple(view) for view in TILES[touched]} <= chosen(turns, noise(1), large)


def test_motion_is_looked_at_and_light_is_none() -> None:
    turns = TileTurns()
    chosen(turns, noise(0), NOTHING)
    brighter = np.clip(noise(1).astype(int) + 40, 0, 255).astype(np.uint8)
    assert len(chosen(turns, brighter, NOTHING)) == 1
    moved = np.clip(noise(2).astype(int) + 40, 0, 255).astype(np.uint8)
    moved[310:330, 500:520] = (200, 30, 30)
    assert chosen(turns, moved, NOTHING) & holding(496, 306, 524, 334)


def test_the_machine_finds_as_much_with_fewer_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("red", "mug"), ("blue", "ring"), ("orange", "star")]
    prompt = ". ".join(" ".join(pair) for pair in pairs)
    looked: list[int] = []
    look = Replica.look

    def counting(self, images, *options):
        looked.append(len(images))
        return look(self, images, *options)

    monkeypatch.setattr(Replica, "look", counting)
    found, cost = {}, {}
    machine = GroundedTracker(Settings(device="cpu"))
    for regions in (False, True):
        slices = SliceSettings(mode="always", width=256, height=192, regions=regions)
        machine.configure(
            Settings(device="cpu", detector=DetectorSettings(rate=5.0, slices=slices))
        )
        machine.reset()
        machine.set_prompt(prompt)
        looked.clear()
        stills = draw_stills(np.random.default_rng(3), 5, 720, 1280, pairs, 5, (1 / 36, 1 / 18))
        for index, still in enumerate(stills):
            [result] = machine.step([Frame(still.image, index * 200_000_000)])
            assert result.keyframe
        overlap = box_iou(still.boxes, result.instances.boxes)
        found[regions] = int((overlap > 0.5).any(1).sum())
        cost[regions] = sum(looked)
    assert found[False] > 0
    assert found[True] >= found[False] - 1
    # The first frame is looked at as a whole: 5 frames can't cost less than a fifth. Objects this
    # small are hard on the segmenter, and a mask that spills has every tile it touches looked at.
    assert cost[True] < 0.75 * cost[False]
