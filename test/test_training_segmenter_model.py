"""The demo segmenter's architecture, start and folder, and the batches it is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Sam2ImageProcessor, Sam2VideoModel, Sam2VideoProcessor

from gsam_ros.training.segmenter.data import StillBatches
from gsam_ros.training.segmenter.model import IMAGE_SIZE, new_model, processor, save
from gsam_ros.training.segmenter.pixels import boxes_around, normalise, squeeze
from gsam_ros.training.segmenter.prompts import jitter


@pytest.fixture(scope="module")
def model() -> Sam2VideoModel:
    return new_model(seed=0)


def test_is_small(model: Sam2VideoModel) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) < 3_000_000


def test_the_start_depends_on_the_seed_alone(model: Sam2VideoModel) -> None:
    torch.manual_seed(123)
    again, other = new_model(seed=0).state_dict(), new_model(seed=1).state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again[name]), name
    assert not torch.equal(other["no_object_pointer"], again["no_object_pointer"])


def test_prompts_and_image_share_one_position_code(model: Sam2VideoModel) -> None:
    image = model.shared_image_embedding.positional_embedding
    prompts = model.prompt_encoder.shared_embedding.positional_embedding
    assert torch.equal(image, prompts)
    waves = image.norm(dim=0)
    assert 0.08 <= float(waves.min()) < 0.2
    assert 1.0 < float(waves.max()) <= 2.0001


def test_a_saved_folder_loads_with_plain_from_pretrained(
    model: Sam2VideoModel, tmp_path: Path
) -> None:
    save(model, tmp_path)
    loaded, report = Sam2VideoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert loaded.dtype == torch.float32
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight.half().to(weight.dtype)), name
    assert (tmp_path / "model.safetensors").stat().st_size < 10_000_000
    assert Sam2ImageProcessor.from_pretrained(tmp_path).size["height"] == IMAGE_SIZE


def test_the_processor_prepares_images_as_training_does(tmp_path: Path) -> None:
    processor().save_pretrained(tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    pixels = Sam2VideoProcessor.from_pretrained(tmp_path)(images=image, return_tensors="pt")
    mine = normalise(torch.from_numpy(image)[None])
    np.testing.assert_allclose(pixels["pixel_values"], mine, atol=1e-5)


def test_a_batch_depends_on_seed_and_number_alone() -> None:
    whole = StillBatches(seed=5, first=0, last=4, images=2, objects=3)
    rest = StillBatches(seed=5, first=3, last=4, images=2, objects=3)
    assert torch.equal(whole[3].pixels, rest[0].pixels)
    assert torch.equal(whole[3].masks, rest[0].masks)
    assert not torch.equal(whole[2].pixels, whole[3].pixels)


def test_a_batch_tells_boxes_and_masks_of_the_same_objects() -> None:
    batch = StillBatches(seed=5, first=0, last=1, images=4, objects=4)[0]
    assert batch.pixels.shape == (4, IMAGE_SIZE, IMAGE_SIZE, 3)
    assert sorted(set(batch.image.tolist())) == [0, 1, 2, 3]
    for box, mask in zip(batch.boxes / 2, batch.masks, strict=True):
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        covered = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert (covered - box).abs().max() <= 1
    # All objects asked for are foreground of the finest level's target, where that is told.
    told = {image: row for row, image in enumerate(batch.told.tolist())}
    assert told
    for image, mask in zip(batch.image.tolist(), batch.masks, strict=True):
        cells = mask.view(64, 2, 64, 2).float().mean((1, 3)) > 200
        if image in told:
            assert (batch.anything[told[image], 0][cells] == 1).all()


def test_jitter_stays_near_the_box_and_in_the_image() -> None:
    boxes = np.tile(np.array([[0, 20, 100, 60]], np.float32), (500, 1))
    moved = jitter(np.random.default_rng(0), boxes)
    assert moved.min() >= 0
    assert np.abs(moved - boxes)[:, [0, 2]].max() <= 15.001
    assert np.abs(moved - boxes)[:, [1, 3]].max() <= 6.001
    assert np.abs(moved - boxes).max() > 1


def test_boxes_around_masks() -> None:
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, 2:5, 3:7] = 255
    assert boxes_around(masks).tolist() == [[3, 2, 7, 5], [0, 0, 0, 0]]


def test_squeeze_keeps_the_whole_image() -> None:
    image = np.zeros((192, 256, 3), np.uint8)
    image[96:] = 200
    squeezed = squeeze(image)
    assert squeezed.shape == (IMAGE_SIZE, IMAGE_SIZE, 3)
    assert (squeezed[:124] == 0).all()
    assert (squeezed[132:] == 200).all()
