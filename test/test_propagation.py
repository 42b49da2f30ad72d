"""Streaming memory against transformers' own video session, object by object and frame by frame."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from random_checkpoints import save_edgetam, save_segmenter
from transformers import Sam2VideoProcessor

from gsam_ros.tracking.memory import MAX_PROMPTED, TrackMemory
from gsam_ros.tracking.propagation import propagate, segment_boxes
from gsam_ros.tracking.segmenters.packages import load_segmenter
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2
from gsam_ros.tracking.settings import SegmenterSettings

FRAMES = 24  # more than the 16 frames of the pointers' window


@pytest.fixture(scope="module", params=["transformers", "edgetam"])
def folder(request, tmp_path_factory) -> Path:
    """A segmenter with random weights whose objects count as visible."""
    save = save_edgetam if request.param == "edgetam" else save_segmenter
    return save(tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def model(folder) -> TransformersSam2:
    model = load_segmenter(SegmenterSettings(model=str(folder)), torch.device("cpu"))
    assert isinstance(model, TransformersSam2)  # or the EdgeTAM that is one
    return model


def video(seed: int, height: int, width: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    start = generator.integers(0, 255, (height, width, 3))
    change = generator.integers(-40, 40, (FRAMES, height, width, 3)).cumsum(0) // 3
    return list(np.clip(start + change, 0, 255).astype(np.uint8))


def session_logits(model, folder, frames, start, box) -> list[torch.Tensor]:
    """[64, 64] logits of one object from `start` on, by the stock streaming session."""
    processor = Sam2VideoProcessor.from_pretrained(folder)
    session = processor.init_video_session(inference_device="cpu", dtype=torch.float32)
    height, width = frames[0].shape[:2]
    logits = []
    for frame in frames[start:]:
        pixels = model.pixels([frame])[0]
        if not logits:
            processor.add_inputs_to_inference_session(
                inference_session=session,
                frame_idx=0,
                obj_ids=1,
                input_boxes=[[box]],
                original_size=(height, width),
            )
        output = model.model(inference_session=session, frame=pixels)
        logits.append(output.pred_masks[0, 0].float())
    return logits


def stream(model, cameras, objects) -> dict[int, list[torch.Tensor]]:
    """The same by our memory: all objects of all cameras in one batch.

    Args:
        model: the segmenter.
        cameras: a list of frames for each.
        objects: (camera, first frame, box in pixels) of each.
    """
    memories: dict[int, TrackMemory] = {}
    logits: dict[int, list[torch.Tensor]] = {index: [] for index in range(len(objects))}
    for time in range(FRAMES):
        features = model.encode_image([frames[time] for frames in cameras])
        known = list(memories)
        parts, owners = [], []
        if known:
            index = [objects[i][0] for i in known]
            parts.append((propagate(model, features, index, [memories[i] for i in known]), False))
            owners.extend(known)
        new = [i for i, (_, start, _) in enumerate(objects) if start == time]
        if new:
            index = [objects[i][0] for i in new]
            boxes = []
            for i in new:
                height, width = cameras[objects[i][0]][0].shape[:2]
                boxes.append(torch.tensor(objects[i][2]) / torch.tensor([width, height] * 2))
            parts.append((segment_boxes(model, features, index, torch.stack(boxes)), True))
            memories.update({i: TrackMemory(model.num_memories, model.max_pointers) for i in new})
            owners.extend(new)
        position = 0
        for masks, prompted in parts:
            own = owners[position : position + len(masks.logits)]
            position += len(own)
            where = torch.tensor([objects[i][0] for i in own])
            flags = torch.full((len(own),), prompted)
            memory = model.encode_memory(features[where], masks, flags)
            for row, i in enumerate(own):
                memories[i].remember(memory[row], masks.pointer[row], prompted)
                logits[i].append(masks.logits[row])
    return logits


def test_batched_objects_of_two_cameras_equal_one_stock_session_each(model, folder):
    cameras = [video(1, 120, 160), video(2, 90, 200)]
    objects = [
        (0, 0, [20.0, 30.0, 80.0, 90.0]),
        (0, 5, [60.0, 10.0, 150.0, 70.0]),
        (1, 0, [10.0, 10.0, 90.0, 80.0]),
        (1, 9, [120.0, 20.0, 190.0, 60.0]),
    ]
    ours = stream(model, cameras, objects)
    for index, (camera, start, box) in enumerate(objects):
        reference = session_logits(model, folder, cameras[camera], start, box)
        assert len(reference) == len(ours[index]) == FRAMES - start
        assert max(float(x.max()) for x in reference) > -1000, "an absent object shows nothing"
        for time, (expected, found) in enumerate(zip(reference, ours[index], strict=True)):
            assert (expected - found).abs().max() < 1e-3, f"object {index}, frame {start + time}"


def test_a_given_mask_becomes_what_sam_2_makes_of_it(model, monkeypatch):
    """Against transformers' `_use_mask_as_output`, with one mask per object as in Meta's code."""
    [image, *_] = video(1, 120, 160)
    features = model.encode_image([image, image])
    masks = torch.zeros(2, 256, 256)
    masks[0, 40:200, 30:90] = 1
    single = partial(model.model._single_frame_forward, multimask_output=False)
    monkeypatch.setattr(model.model, "_single_frame_forward", single)
    adopted = model.adopt(features, masks)
    for row in range(2):  # theirs mixes up objects in a batch
        own = features[torch.tensor([row])]
        with torch.inference_mode():
            expected = model.model._use_mask_as_output(
                own.top, list(own.high), masks[row, None, None]
            )
        pairs = (
            (adopted.logits, expected.pred_masks),
            (adopted.pointer, expected.object_pointer),
            (adopted.presence, expected.object_score_logits),
        )
        for ours, theirs in pairs:
            torch.testing.assert_close(ours[row].flatten(), theirs.flatten(), atol=1e-4, rtol=1e-4)
    assert (adopted.presence > 0).tolist() == [True, False]


def test_memory_is_bounded_and_keeps_the_first_prompt():
    memory = TrackMemory(num_memories=7, max_pointers=16)
    for time in range(500):
        value = torch.full((4,), float(time))
        memory.remember(value[None], value, prompted=time % 50 == 0)
    ages = [age for age, _ in memory.frames()]
    assert ages == [0] * MAX_PROMPTED + [6, 5, 4, 3, 2, 1]
    prompted = [int(frame.pointer[0]) for age, frame in memory.frames() if age == 0]
    assert prompted == [0, 350, 400, 450]
    assert len(memory.pointers()) == MAX_PROMPTED + 15


def test_remembered_views_do_not_keep_their_batch_alive():
    memory = TrackMemory(num_memories=7, max_pointers=16)
    batch = torch.zeros(100, 16, 8)
    memory.remember(batch[3], batch[3, 0], prompted=True)
    _, frame = memory.frames()[0]
    assert frame.features.untyped_storage().nbytes() == 16 * 8 * 4
