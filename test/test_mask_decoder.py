"""The mask decoder against transformers' own modules, with random weights."""

from __future__ import annotations

import pytest
import torch
from random_checkpoints import save_segmenter

from gsam_ros.tracking.segmenters.interface import ImageFeatures
from gsam_ros.tracking.segmenters.transformers_decoder import decoder_of
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2

INDEX = torch.tensor([1, 0, 1, 1])  # which of two images each of four objects is in


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> TransformersSam2:
    folder = save_segmenter(tmp_path_factory.mktemp("segmenter"))
    return TransformersSam2(str(folder), torch.device("cpu"))


@pytest.mark.parametrize("fallback", [True, False], ids=["by stability", "the first"])
@pytest.mark.parametrize("multimask", [True, False], ids=["three masks", "one mask"])
@pytest.mark.parametrize("shared", [True, False], ids=["of images", "of objects"])
@torch.inference_mode()
def test_equals_the_modules(model, monkeypatch, shared: bool, multimask: bool, fallback: bool):
    generator = torch.Generator().manual_seed(0)
    modules = model.model.mask_decoder
    channels, edge = modules.hidden_size, model.image_size // 16

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    high = (
        drawn(2, channels // 8, 4 * edge, 4 * edge),
        drawn(2, channels // 4, 2 * edge, 2 * edge),
    )
    features = ImageFeatures(drawn(2, channels, edge, edge), high, INDEX)
    top = features.image_top if shared else drawn(len(INDEX), channels, edge, edge)
    prompts = drawn(len(INDEX), 3, channels)
    monkeypatch.setattr(modules, "dynamic_multimask_via_stability", fallback)
    positions = model.model.get_image_wide_positional_embeddings()
    masks, quality, tokens, presence = modules(
        image_embeddings=top[INDEX] if shared else top,
        image_positional_embeddings=positions.expand(len(INDEX), -1, -1, -1),
        sparse_prompt_embeddings=prompts[:, None],
        dense_prompt_embeddings=torch.zeros(()),
        multimask_output=multimask,
        high_resolution_features=list(features.high),
    )

    found = decoder_of(model.model)(features, top, shared, prompts, multimask)

    torch.testing.assert_close(found.masks, masks[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.quality, quality[:, 0])
    torch.testing.assert_close(found.tokens, tokens[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.presence, presence[:, 0])
