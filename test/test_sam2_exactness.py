"""Our streaming memory against Meta's own `SAM2VideoPredictor` with the same weights.

Mask logits within 1e-3 and masks equal in 99.9 % of the pixels, for objects that come on different
frames: all of them in one batch here, one by one there. Where we differ on purpose, the case
keeps away: the clock of a track that is out of sight stands still (so every frame is remembered
here, by `TrackMemory` alone), and prompts on later frames make new memories and correct no old one.

An object that hides leaves the model in doubt, and a mask in doubt feeds on itself by its memory: a
rounding error grows a hundredfold in ten frames, in Meta's predictor as in ours. Over a long clip
1e-3 holds as far as Meta's predictor keeps it itself when the last bit of its pixels changes. In
float64, where rounding stays small, all is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from random_checkpoints import SAM2_CONFIGS, save_sam2, save_segmenter
from sam2_oracle import (
    Given,
    follow,
    in_float64,
    predictor_of_file,
    predictor_of_transformers,
)
from transformers import Sam2VideoConfig

from gsam_ros.tracking.memory import TrackMemory
from gsam_ros.tracking.propagation import propagate
from gsam_ros.tracking.segmenters.packages import load_segmenter
from gsam_ros.tracking.segmenters.sam2_operations import Sam2Operations
from gsam_ros.tracking.settings import SegmenterSettings
from gsam_ros.training.segmenter.clips import draw_clip_to_follow

CPU = torch.device("cpu")
FRAMES = 60


def stream(
    model: Sam2Operations, video: np.ndarray, prompts: Sequence[Given], frames: int
) -> dict[int, dict[int, torch.Tensor]]:
    """What `follow` of the oracle returns, by our memory and in one batch."""
    memories: dict[int, TrackMemory] = {}
    found: dict[int, dict[int, torch.Tensor]] = {}
    for time in range(frames):
        features = model.encode_image([video[time]])
        new = {given.object_id: given for given in prompts if given.frame == time}
        known = [number for number in memories if number not in new]
        parts = []
        if known:
            held = [memories[number] for number in known]
            parts.append((known, propagate(model, features, [0] * len(known), held), False))
        for number, given in new.items():
            own = features[torch.tensor([0])]
            parts.append(([number], segment(model, own, given), True))
            memories.setdefault(number, TrackMemory(model.num_memories, model.max_pointers))
        for numbers, masks, prompted in parts:
            flags = torch.full((len(numbers),), prompted)
            own = features[torch.zeros(len(numbers), dtype=torch.long)]
            memory = model.encode_memory(own, masks, flags)
            for row, number in enumerate(numbers):
                memories[number].remember(memory[row], masks.pointer[row], prompted)
                found.setdefault(number, {})[time] = masks.logits[row]
    return found


def segment(model, features, given: Given):
    if given.mask is not None:
        return model.adopt(features, given.mask[None].float())
    points, labels = given.points, given.labels
    if given.box is not None:
        points, labels = np.reshape(given.box, (2, 2)), [2, 3]
    return model.prompt(
        features, torch.tensor(points, dtype=torch.float32)[None], torch.tensor(labels)[None]
    )


def furthest(ours, theirs, first: dict[int, int]) -> dict[tuple[int, int], float]:
    """Greatest difference of logits by object and frame; masks equal in 99.9 % of the pixels."""
    assert ours.keys() == theirs.keys() == first.keys()
    differences = {}
    for number, start in first.items():
        assert theirs[number].keys() == ours[number].keys()
        assert min(ours[number]) == start
        shown = 0
        for time, expected in theirs[number].items():
            found = ours[number][time]
            equal = ((found > 0) == (expected > 0)).float().mean()
            assert equal >= 0.999, f"object {number}, frame {time}: {equal}"
            differences[number, time] = float((found - expected).abs().max())
            shown += bool((expected > 0).any() and (expected < 0).any())
        assert shown > len(theirs[number]) / 2, "an object that is never seen shows nothing"
    return differences


def in_the_last_bit(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels changed by one part in ten million."""
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    return pixels * (1 + 1e-7 * noise)


def clip(frames: int, objects: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Images [T, 256, 256, 3] and masks [T, N, 256, 256] of the demo world."""
    drawn = draw_clip_to_follow(np.random.default_rng(11), frames, objects)
    return drawn.images, drawn.masks


def box_around(mask: np.ndarray) -> list[float]:
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1.0, rows.max() + 1.0]


def prompts_of(masks: np.ndarray) -> list[Given]:
    """A box, a mask and a point, on three frames."""
    inside = np.argwhere(masks[20, 2])
    return [
        Given(0, 1, box=box_around(masks[0, 0])),
        Given(9, 2, mask=torch.from_numpy(masks[9, 1])),
        Given(20, 3, points=[inside[len(inside) // 2][::-1].tolist()], labels=[1]),
    ]


def of_meta(folder, version: str):
    """Meta's package with a .pt file in both: (ours, theirs)."""
    file = save_sam2(folder, version)
    ours = load_segmenter(SegmenterSettings(model=str(file)), CPU)
    return ours, predictor_of_file(file, file.with_suffix(".yaml"))


def of_transformers(model: str = "demo-segmenter"):
    """A model through transformers here, through sam2 there."""
    ours = load_segmenter(SegmenterSettings(model=model), CPU)
    return ours, predictor_of_transformers(ours.model)


@pytest.fixture
def pair(request, tmp_path):
    """(ours, theirs): the bundled segmenter, or one of Meta's two versions with random weights."""
    if request.param == "transformers":
        return of_transformers()
    return of_meta(tmp_path, request.param)


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["transformers", "sam2.1"], indirect=True)
def test_objects_of_different_frames_over_sixty(pair):
    """With memories in float32 on both sides.

    bfloat16 turns a difference in the last bit into one of a 256th now and then: Meta's predictor
    differs from itself by 2e-2 after 60 frames when it runs with two threads instead of one.
    """
    ours, theirs = pair
    ours.memory_dtype = torch.float32
    video, masks = clip(FRAMES)
    prompts = prompts_of(masks)
    pixels, first = ours.pixels(list(video)), {1: 0, 2: 9, 3: 20}
    expected = follow(theirs, pixels, prompts, memory_dtype=torch.float32)
    shaken = follow(theirs, in_the_last_bit(pixels), prompts, memory_dtype=torch.float32)
    own = furthest(shaken, expected, first)
    found = furthest(stream(ours, video, prompts, FRAMES), expected, first)
    assert np.mean([difference < 1e-3 for difference in found.values()]) > 0.9
    for (number, time), difference in found.items():
        doubt = max(own[number, past] for past in range(first[number], time + 1))
        assert difference < max(1e-3, 3 * doubt), f"object {number}, frame {time}"


@pytest.mark.slow
def test_in_float64_it_is_the_same():
    with in_float64():
        ours = load_segmenter(SegmenterSettings(model="demo-segmenter"), CPU, torch.float64)
        ours.memory_dtype = torch.float64
        theirs = predictor_of_transformers(ours.model).double()
        video, masks = clip(FRAMES)
        prompts = prompts_of(masks)
        pixels = ours.pixels(list(video))
        expected = follow(theirs, pixels, prompts, memory_dtype=torch.float64)
        found = stream(ours, video, prompts, FRAMES)
    assert max(furthest(found, expected, {1: 0, 2: 9, 3: 20}).values()) < 1e-9


@pytest.mark.slow
def test_memories_as_meta_keeps_them():
    """In bfloat16: the same masks, and logits as near as rounding lets them be."""
    ours, theirs = of_transformers()
    video, masks = clip(FRAMES)
    prompts = prompts_of(masks)
    expected = follow(theirs, ours.pixels(list(video)), prompts)
    found = stream(ours, video, prompts, FRAMES)
    differences = list(furthest(found, expected, {1: 0, 2: 9, 3: 20}).values())
    assert np.median(differences) < 1e-3
    assert max(differences) < 0.2


@pytest.mark.parametrize("pair", ["transformers", "sam2", "sam2.1"], indirect=True)
def test_a_single_object(pair):
    ours, theirs = pair
    ours.memory_dtype = torch.float32
    video, masks = clip(24, objects=1)
    prompts = [Given(0, 7, box=box_around(masks[0, 0]))]
    expected = follow(theirs, ours.pixels(list(video)), prompts, memory_dtype=torch.float32)
    assert max(furthest(stream(ours, video, prompts, 24), expected, {7: 0}).values()) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("package", ["transformers", "sam2"])
def test_published_sizes(package, tmp_path):
    """SAM 2.1 tiny with random weights, at 512 pixels, as 1024 cost what they cost."""
    size = 512
    if package == "transformers":
        folder = str(save_segmenter(tmp_path, Sam2VideoConfig()))
        ours = load_segmenter(SegmenterSettings(model=folder, image_size=size), CPU)
        theirs = predictor_of_transformers(ours.model)
    else:
        published = SAM2_CONFIGS / "sam2.1" / "sam2.1_hiera_t.yaml"
        file = save_sam2(tmp_path, configuration=published)
        ours = load_segmenter(SegmenterSettings(model=str(file), image_size=size), CPU)
        theirs = predictor_of_file(file, published, size)
    assert sum(p.numel() for p in ours.model.parameters()) / 1e6 == pytest.approx(38.9, abs=0.2)
    ours.memory_dtype = torch.float32
    # What a random encoder makes of a picture hardly depends on it: noise is at least different.
    noise = np.random.default_rng(0).integers(0, 255, (16, 256, 256, 3)).astype(np.uint8)
    prompts = [Given(0, 1, box=(np.array([0.2, 0.2, 0.6, 0.8]) * size).tolist())]
    expected = follow(theirs, ours.pixels(list(noise)), prompts, 3, torch.float32)
    assert max(furthest(stream(ours, noise, prompts, 3), expected, {1: 0}).values()) < 1e-3
