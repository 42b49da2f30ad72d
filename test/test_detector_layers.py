"""Our own layers of the detector against those of transformers, and what a frame's forward is."""

from __future__ import annotations

import logging
from types import MethodType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_checkpoints import save_detector, small_detector_config
from transformers import AutoModelForZeroShotObjectDetection, GroundingDinoConfig
from transformers.models.grounding_dino.modeling_grounding_dino import (
    GroundingDinoBiMultiHeadAttention,
    GroundingDinoMultiscaleDeformableAttention,
    MultiScaleDeformableAttention,
)

from gsam_ros.detection.deformable import DeformableAttention, sample, take_kernel
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.forward import find
from gsam_ros.detection.fusion import FewWordsAttention
from gsam_ros.detection.pixels import prepare

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    folder = save_detector(tmp_path_factory.mktemp("detector"), small_detector_config())
    return GroundingDetector(str(folder), CPU)


def image(seed: int, height: int = 90, width: int = 160) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 4),
    st.floats(0.1, 5.0),
    st.integers(0, 1000),
)
def test_samples_are_those_of_transformers(shapes, batch, heads, spread, seed):
    torch.manual_seed(seed)
    pixels = sum(h * w for h, w in shapes)
    value = torch.randn(batch, pixels, heads, 8)
    places = 0.5 + spread * (torch.rand(batch, 7, heads, len(shapes), 4, 2) - 0.5)
    places[:, 0] = torch.randint(-1, 3, places[:, 0].shape).float()  # corners of the image too
    weights = torch.rand(batch, 7, heads, len(shapes), 4)
    expected = MultiScaleDeformableAttention()(value, None, shapes, None, places, weights, 64)
    torch.testing.assert_close(sample(value, shapes, places, weights), expected)


def test_many_queries_are_sampled_in_steps():
    shapes = [(30, 40), (15, 20)]
    value, places = torch.randn(2, 1500, 8, 4), torch.rand(2, 1500, 8, 2, 4, 2)
    weights = torch.rand(2, 1500, 8, 2, 4)
    expected = MultiScaleDeformableAttention()(value, None, shapes, None, places, weights, 64)
    torch.testing.assert_close(sample(value, shapes, places, weights), expected)


@pytest.mark.parametrize("coordinates", [2, 4])
def test_deformable_attention_is_that_of_transformers(coordinates):
    torch.manual_seed(0)
    config = GroundingDinoConfig(d_model=32, num_feature_levels=2)
    layer = GroundingDinoMultiscaleDeformableAttention(config, num_heads=4, n_points=4)
    shapes = [(6, 9), (3, 5)]
    options = {
        "hidden_states": torch.randn(2, 11, 32),
        "attention_mask": torch.rand(2, 69) > 0.2,
        "encoder_hidden_states": torch.randn(2, 69, 32),
        "position_embeddings": torch.randn(2, 11, 32),
        "reference_points": torch.rand(2, 11, 2, coordinates),
        "spatial_shapes": torch.tensor(shapes),
        "spatial_shapes_list": shapes,
        "level_start_index": torch.tensor([0, 54]),
    }
    torch.testing.assert_close(DeformableAttention(layer)(**options)[0], layer(**options)[0])


@settings(max_examples=20)
@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_fusion_is_that_of_transformers(batch, pixels, words, padded):
    torch.manual_seed(words)
    config = GroundingDinoConfig(d_model=32, encoder_ffn_dim=128, encoder_attention_heads=8)
    layer = GroundingDinoBiMultiHeadAttention(config).eval()
    vision, text = torch.randn(batch, pixels, 32), torch.randn(batch, words, 32)
    masks = [torch.zeros(batch, count, dtype=torch.bool) for count in (pixels, words)]
    if padded:
        masks[0][:, pixels // 2 + 1 :] = True
        masks[1][:, words // 2 + 1 :] = True
    (image_out, _), (text_out, _) = FewWordsAttention(layer)(vision, text, *masks)
    (image_expected, _), (text_expected, _) = layer(vision, text, *masks)
    torch.testing.assert_close(image_out, image_expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(text_out, text_expected, atol=1e-5, rtol=1e-4)


class Kernel(torch.nn.Module):
    """What the `kernels` package does to a layer: the class stays, its forward is another."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor, self.calls = factor, 0

    def install(self, layers) -> None:
        def forward(_, *given):
            self.calls += 1
            return self.factor * MultiScaleDeformableAttention.forward(_, *given)

        for layer in layers:
            layer.attn.forward = MethodType(forward, layer.attn)


@pytest.mark.parametrize(("factor", "taken"), [(1.0, True), (1.01, False)])
def test_a_compiled_kernel_is_taken_if_it_is_right(factor, taken, caplog):
    config = GroundingDinoConfig(d_model=32)
    layers = [
        DeformableAttention(GroundingDinoMultiscaleDeformableAttention(config, 4, 4))
        for _ in range(2)
    ]
    kernel = Kernel(factor)
    with caplog.at_level(logging.INFO, "gsam_ros"):
        assert take_kernel(layers, lambda: kernel.install(layers), CPU) == taken
    assert kernel.calls == 1
    assert ("wrong here" in caplog.text) != taken
    patched = ["forward" in vars(layer.attn) for layer in layers]
    assert patched == [taken, taken]


def test_without_the_kernels_package_torch_samples(caplog):
    layer = DeformableAttention(
        GroundingDinoMultiscaleDeformableAttention(GroundingDinoConfig(d_model=32), 4, 4)
    )

    def install() -> None:
        raise ValueError("Kernels are not available")

    with caplog.at_level(logging.INFO, "gsam_ros"):
        assert not take_kernel([layer], install, CPU)
    assert "runs in torch: Kernels are not available" in caplog.text


@pytest.mark.parametrize("prompt", [("red mug", "ball"), tuple(f"red mug {c}" for c in "abcdefgh")])
def test_a_frames_forward_is_one_graph_without_a_text_encoder(detector, prompt):
    groups = detector.encode(prompt).groups
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    def forward(pixels, mask):
        return find(detector.model, pixels, mask, groups)

    compiled = torch.compile(forward, fullgraph=True, dynamic=False, backend=backend)
    for seed in range(2):
        batch = prepare([image(seed)], detector.processor, CPU, torch.float32)
        with torch.inference_mode():
            results = compiled(batch.pixels, batch.mask)
            expected = forward(batch.pixels, batch.mask)
        for result, wanted in zip(results, expected, strict=True):
            torch.testing.assert_close(result, wanted)
    assert len(graphs) == 1, "an image of the same size needs no new graph"
    used = {str(node.target) for node in graphs[0].graph.nodes if node.op == "placeholder"}
    assert not any("text_backbone" in name for name in used)
    assert any("encoder" in name for name in used), "weights are inputs of the graph, by name"


def test_half_precision_costs_less_than_transformers_own(detector, tmp_path_factory):
    """bfloat16 boxes are nearer to those of float32 than transformers' are, by far."""
    folder = detector.model.name_or_path
    narrow = GroundingDetector(folder, CPU, torch.bfloat16)
    stock = AutoModelForZeroShotObjectDetection.from_pretrained(folder, dtype=torch.bfloat16).eval()
    groups = detector.encode(("red mug",)).groups
    text = detector.tokenizer("red mug.", return_tensors="pt")
    ours, theirs = [], []
    for seed in range(4):
        batch = prepare([image(seed)], detector.processor, CPU, torch.float32)
        with torch.inference_mode():
            _, _, boxes = find(detector.model, batch.pixels, batch.mask, groups)
            pixels = batch.pixels.bfloat16()
            _, _, mine = find(narrow.model, pixels, batch.mask, narrow.encode(("red mug",)).groups)
            outputs = stock(pixel_values=pixels, pixel_mask=batch.mask, **text)
        centre, size = outputs.pred_boxes.float().split(2, -1)
        other = torch.cat([centre - size / 2, centre + size / 2], -1)
        ours.append(torch.cdist(boxes, mine, p=float("inf")).min(2).values.median())
        theirs.append(torch.cdist(boxes, other, p=float("inf")).min(2).values.median())
    assert np.mean(ours) < 0.5 * np.mean(theirs)
