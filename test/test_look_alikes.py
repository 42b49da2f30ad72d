"""Two objects that look the same, on real masks: who is who when they meet, leave and come back.

The detections are the truth's, without ids; so what is tested is the tracker and not the detector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from gsam_ros.instances import Detections, Instances
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2
from gsam_ros.tracking.settings import TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker
from gsam_ros.world.backgrounds import draw_background
from gsam_ros.world.compose import paste
from gsam_ros.world.sprites import draw_light, draw_sprite

HEIGHT, WIDTH, SIZE = 240, 320, 64
RATE = 10
Ways = tuple[Callable[[float], tuple[float, float]], ...]
"""From seconds to the middle of each object; the last one is in front."""


@pytest.fixture(scope="module")
def model() -> TransformersSam2:
    return TransformersSam2("demo-segmenter", torch.device("cpu"))


def film(ways: Ways, seconds: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, masks [N, H, W] and which objects show enough to be detected."""
    rng = np.random.default_rng(7)
    sprite = draw_sprite(rng, "mug", "red", SIZE, draw_light(rng))
    room = draw_background(rng, HEIGHT, WIDTH)
    whole = np.count_nonzero(sprite[..., 3] > 127)
    for index in range(round(seconds * RATE)):
        image, owner = room.copy(), np.full((HEIGHT, WIDTH), -1, np.int16)
        for number, way in enumerate(ways):
            x, y = way(index / RATE)
            paste(image, owner, sprite, round(x - SIZE / 2), round(y - SIZE / 2), number)
        masks = owner[None] == np.arange(len(ways))[:, None, None]
        yield image, masks, masks.sum((1, 2)) > 0.3 * whole


def box_of(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def ids_of(found: Instances, masks: np.ndarray, shown: np.ndarray) -> dict[int, int]:
    """Which track has each object that shows enough."""
    pixels = found.masks.pixels()
    ids = {}
    for number in np.flatnonzero(shown):
        shares = [(p & masks[number]).sum() / (p | masks[number]).sum() for p in pixels]
        if shares and max(shares) > 0.5:
            ids[int(number)] = int(found.track_id[int(np.argmax(shares))])
    return ids


def follow(
    model: TransformersSam2, ways: Ways, seconds: float, memory: str
) -> list[dict[int, int]]:
    """The tracker on a film; the detector looks at every second frame."""
    tracker = InstanceTracker(model, TrackerSettings(memory=memory))
    tracker.set_phrases(("red mug",))
    told = []
    for index, (image, masks, shown) in enumerate(film(ways, seconds)):
        found = None
        if index % 2 == 0:
            boxes = np.array([box_of(mask) for mask in masks[shown]], np.float32).reshape(-1, 4)
            scores = np.full(len(boxes), 0.8, np.float32)
            found = Detections(boxes, scores, np.zeros(len(boxes), np.int64))
        view = View("", index * 10**9 // RATE, (HEIGHT, WIDTH), found)
        [instances] = tracker.step(model.encode_image([image]), [view])
        told.append(ids_of(instances, masks, shown))
    return told


@pytest.mark.parametrize("memory", ["exact", "fast"])
@pytest.mark.parametrize(("speed", "below"), [(70, 12), (90, 16)])
def test_two_that_cross_keep_their_ids(model, memory, speed, below):
    """The one behind is hidden for some frames on end, and SAM 2 has one mask over both."""

    def to_the_right(t: float) -> tuple[float, float]:
        return 160 + speed * (t - 1.57), 112

    def to_the_left(t: float) -> tuple[float, float]:
        return 160 - speed * (t - 1.57), 112 + below

    ways = (to_the_right, to_the_left)
    told = follow(model, ways, 3.2, memory)
    before, after = told[6], told[-1]
    assert set(before) == {0, 1} and before[0] != before[1]
    assert any(len(ids) < 2 for ids in told[8:]), "nobody was hidden: the test proves nothing"
    assert after == before
    assert {i for ids in told for i in ids.values()} == set(before.values())


def test_a_twin_that_turns_up_far_away_is_not_taken_for_the_one_that_just_hid(model):
    """One leaves the image on the left, and half a second later its twin is on the right."""

    def leaving(t: float) -> tuple[float, float]:
        return 60 - 300 * max(0.0, t - 1.0), 120

    def entering(t: float) -> tuple[float, float]:
        return (250 if t >= 1.8 else 600), 110

    told = follow(model, (leaving, entering), 2.6, "exact")
    assert set(told[8]) == {0}
    assert set(told[-1]) == {1}
    assert told[-1][1] == told[8][0] + 1, "one new track, from its first detection on"


@pytest.mark.parametrize("memory", ["exact", "fast"])
def test_the_one_that_left_comes_back_under_its_id(model, memory):
    """Its twin stands there all the time, and is not taken for it."""

    def way_out(t: float) -> tuple[float, float]:
        away = np.clip(min(t - 1.0, 4.0 - t) / 0.6, 0, 1)
        return 250 + 120 * float(away), 110

    told = follow(model, (lambda t: (80, 120), way_out), 5.0, memory)
    assert set(told[8]) == {0, 1}
    assert 1 not in told[25], "it never left: the test proves nothing"
    assert told[-1] == told[8]
