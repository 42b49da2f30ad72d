"""One suite over all model packages: the operations, and the streaming memory that uses them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from random_checkpoints import save_edgetam, save_sam2, save_segmenter

from gsam_ros.instances import Detections
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.propagation import propagate, segment_boxes
from gsam_ros.tracking.segmenters.interface import Segmentation
from gsam_ros.tracking.segmenters.packages import load_segmenter
from gsam_ros.tracking.segmenters.sam2_operations import Sam2Operations
from gsam_ros.tracking.settings import SegmenterSettings, TrackerSettings
from gsam_ros.tracking.tracker import InstanceTracker

CPU = torch.device("cpu")
SAVE = {
    "transformers": save_segmenter,
    "sam2": save_sam2,
    "sam2 of 2024": partial(save_sam2, version="sam2"),
    "edgetam": save_edgetam,
}


@pytest.fixture(scope="module", params=SAVE)
def settings(request, tmp_path_factory) -> SegmenterSettings:
    path = SAVE[request.param](tmp_path_factory.mktemp("segmenter"))
    return SegmenterSettings(model=str(path))


@pytest.fixture(scope="module")
def model(settings) -> Sam2Operations:
    return load_segmenter(settings, CPU)


def images(count: int, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return list(generator.integers(0, 255, (count, 90, 120, 3)).astype(np.uint8))


BOXES = torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.3, 0.2, 0.9, 0.9], [0.0, 0.4, 0.4, 1.0]])


def begin(model, features, index) -> list[TrackMemory]:
    masks = segment_boxes(model, features, index, BOXES[: len(index)])
    memories = [TrackMemory(model.num_memories, model.max_pointers) for _ in index]
    write(model, features, index, memories, masks, prompted=True)
    return memories


def write(model, features, index, memories, masks, prompted) -> None:
    flags = torch.full((len(memories),), prompted)
    encoded = model.encode_memory(features[torch.tensor(index)], masks, flags)
    for memory, tokens, pointer in zip(memories, encoded, masks.pointer, strict=True):
        memory.remember(tokens, pointer, prompted)


def go_on(model, features, index, memories) -> Segmentation:
    masks = propagate(model, features, index, memories)
    write(model, features, index, memories, masks, prompted=False)
    return masks


def same(first: Segmentation, second: Segmentation) -> None:
    torch.testing.assert_close(first.logits, second.logits, atol=1e-3, rtol=0)
    torch.testing.assert_close(first.presence, second.presence, atol=1e-3, rtol=0)
    torch.testing.assert_close(first.pointer, second.pointer, atol=1e-3, rtol=0)


def test_shapes_of_all_operations(model):
    edge = model.image_size // 16
    features = model.encode_image(images(2))
    channels = features.top.shape[1]
    assert features.top.shape == (2, channels, edge, edge)
    assert [x.shape for x in features.high] == [
        (2, channels // 8, 4 * edge, 4 * edge),
        (2, channels // 4, 2 * edge, 2 * edge),
    ]
    index = torch.tensor([1, 0, 1])
    masks = model.prompt(features[index], torch.rand(3, 2, 2) * 200, torch.ones(3, 2, dtype=int))
    assert masks.logits.shape == (3, 4 * edge, 4 * edge) and masks.logits.dtype == torch.float32
    assert masks.presence.shape == (3,)
    assert masks.pointer.shape == (3, channels)
    memory = model.encode_memory(features[index], masks, torch.tensor([True, False, True]))
    places = model.memory_positions(0)
    assert memory.shape == (3, *places.shape)
    tokens, positions = model.pointer_tokens(masks.pointer[:, None], torch.tensor([[1]] * 3))
    assert tokens.shape == positions.shape == (3, channels // places.shape[1], places.shape[1])


def test_an_operation_takes_each_object_from_its_own_image(model):
    features = model.encode_image(images(2))
    both = segment_boxes(model, features, [1, 0], BOXES[:2])
    for row, image in enumerate((1, 0)):
        alone = model.encode_image([images(2)[image]])
        same(both[torch.tensor([row])], segment_boxes(model, alone, [0], BOXES[row : row + 1]))


def test_prompts_by_points_of_different_number(model):
    """One point asks SAM 2 for the best of several masks, two do not; in one batch as alone."""
    features = model.encode_image(images(1))
    points = torch.tensor([[[60.0, 70.0], [0, 0]], [[60.0, 70.0], [90.0, 60.0]]])
    labels = torch.tensor([[1, -1], [1, 0]])
    both = model.prompt(features[torch.tensor([0, 0])], points, labels)
    for row in range(2):
        one = torch.tensor([row])
        alone = model.prompt(features[torch.tensor([0])], points[one], labels[one])
        same(both[one], alone)


def test_a_given_mask_is_taken_at_its_word(model):
    features = model.encode_image(images(1))
    given = torch.zeros(2, model.image_size, model.image_size)
    given[0, 40:120, 60:200] = 1
    adopted = model.adopt(features[torch.tensor([0, 0])], given)
    quarter = adopted.logits.shape[1:]
    expected = torch.nn.functional.interpolate(given[:, None], quarter, mode="area")[:, 0]
    assert ((adopted.logits > 0) == (expected > 0.5)).float().mean() > 0.99
    assert (adopted.presence > 0).tolist() == [True, False]


def test_batched_equals_one_by_one_and_two_cameras_one_each(model):
    """Over more frames than the memory's window, with objects in both images."""
    index = [0, 1, 0]
    model.memory_dtype, kept = torch.float32, model.memory_dtype
    memories = begin(model, model.encode_image(images(2)), index)
    alone = [
        begin_one(model, model.encode_image([images(2)[image]]), row)
        for row, image in enumerate(index)
    ]
    for time in range(1, model.num_memories + 2):
        pair = images(2, seed=time)
        together = go_on(model, model.encode_image(pair), index, memories)
        for row, image in enumerate(index):
            single = go_on(model, model.encode_image([pair[image]]), [0], [alone[row]])
            same(together[torch.tensor([row])], single)
    model.memory_dtype = kept


def begin_one(model, features, row) -> TrackMemory:
    masks = segment_boxes(model, features, [0], BOXES[row : row + 1])
    memory = TrackMemory(model.num_memories, model.max_pointers)
    write(model, features, [0], [memory], masks, prompted=True)
    return memory


def test_memory_changes_what_is_seen(model):
    """Or a mistake in its handling would show nowhere."""
    features = model.encode_image(images(1))
    memories = begin(model, features, [0, 0])
    masks = go_on(model, model.encode_image(images(1, seed=1)), [0, 0], memories)
    assert (masks.logits[0] - masks.logits[1]).abs().mean() > 0.05, (
        "fifty times what `same` lets by"
    )


def test_an_object_prompted_again_and_one_removed_leave_the_others_alone(model):
    videos = [model.encode_image(images(1, seed=time)) for time in range(6)]
    memories = begin(model, videos[0], [0, 0, 0])
    untouched = begin(model, videos[0], [0, 0, 0])
    for time in range(1, 6):
        if time == 2:  # the first one is prompted again
            masks = segment_boxes(model, videos[time], [0], BOXES[2:])
            write(model, videos[time], [0], memories[:1], masks, prompted=True)
            third = go_on(model, videos[time], [0, 0], memories[1:])[torch.tensor([1])]
        elif time < 4:
            third = go_on(model, videos[time], [0] * 3, memories)[torch.tensor([2])]
        else:  # the second one is gone
            kept = [memories[0], memories[2]]
            third = go_on(model, videos[time], [0, 0], kept)[torch.tensor([1])]
        same(third, go_on(model, videos[time], [0] * 3, untouched)[torch.tensor([2])])
    assert memories[0].shape != memories[2].shape, "two prompted frames"


def test_memory_stays_constant(model):
    memories = begin(model, model.encode_image(images(1)), [0])
    held = []
    for time in range(1, model.max_pointers + 4):
        go_on(model, model.encode_image(images(1, seed=time)), [0], memories)
        frames = memories[0].frames()
        pointers = memories[0].pointers()
        held.append(
            sum(frame.features.untyped_storage().nbytes() for _, frame in frames)
            + sum(pointer.untyped_storage().nbytes() for _, pointer in pointers)
        )
    assert held[0] < held[-1] == held[-2] == held[-4]


def test_tracker_with_a_detector_that_agrees(model):
    """The whole of tracking runs on any package: found, followed, lost with the stream's end."""
    tracker = InstanceTracker(model, TrackerSettings())
    tracker.set_phrases(("thing",))
    box = np.array([[12, 9, 60, 45]], np.float32)
    found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))
    for time in range(4):
        features = model.encode_image(images(1, seed=time))
        view = View("", time * 100_000_000, (90, 120), found if time == 0 else None)
        [instances] = tracker.step(features, [view])
        assert instances.track_id.tolist() in ([1], [])
    assert len(tracker.cameras[""].tracks) == 1


@pytest.mark.parametrize("size", [256, 512])
def test_sizes(settings, size):
    """Everything that has a size follows `segmenter.image_size`."""
    model = load_segmenter(replace(settings, image_size=size), CPU)
    assert model.image_size == size
    features = model.encode_image(images(1))
    assert features.top.shape[2:] == (size // 16, size // 16)
    memories = begin(model, features, [0, 0])
    masks = go_on(model, model.encode_image(images(1, seed=1)), [0, 0], memories)
    assert masks.logits.shape == (2, size // 4, size // 4)
    assert masks.logits.isfinite().all()


@pytest.mark.parametrize("memories", [1, 3])
def test_fewer_memories(settings, memories):
    model = load_segmenter(replace(settings, memories=memories), CPU)
    [track] = begin(model, model.encode_image(images(1)), [0])
    for time in range(1, 6):
        go_on(model, model.encode_image(images(1, seed=time)), [0], [track])
    assert [age for age, _ in track.frames()] == [0, *range(memories - 1, 0, -1)]


def test_half_precision(settings):
    model = load_segmenter(settings, CPU, torch.bfloat16)
    exact = load_segmenter(settings, CPU)
    results = []
    for each in (model, exact):
        memories = begin(each, each.encode_image(images(1)), [0, 0])
        results.append(go_on(each, each.encode_image(images(1, seed=1)), [0, 0], memories))
    assert results[0].logits.dtype == torch.float32
    scale = results[1].logits.abs().mean()
    assert (results[0].logits - results[1].logits).abs().mean() < 0.2 * scale
