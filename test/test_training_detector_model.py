"""The demo detector as a network: how it starts, trains, goes on, is saved and is measured."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from gsam_ros.checkpoints import locate
from gsam_ros.training.detector.data import DetectorBatches, normalise
from gsam_ros.training.detector.evaluate import (
    Picture,
    average_precision,
    precision_recall,
)
from gsam_ros.training.detector.model import (
    build_detector,
    build_processor,
    save_detector,
)
from gsam_ros.training.detector.optimisation import rate_factor
from gsam_ros.training.detector.refine import SCALE, Refinement, RefiningSettings, refine
from gsam_ros.training.detector.train import DetectorTraining, Settings
from gsam_ros.training.progress_file import steps_done
from gsam_ros.training.together import Team

ROWS = 1030
TINY = Settings(backbone_steps=1, backbone_batch=1, steps=4, batch=1, warmup=2)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    return build_detector(ROWS, seed=1)


@pytest.fixture(scope="module")
def batch():
    return DetectorBatches(0, 2)[0]


def test_it_starts_unsure_of_every_token(model, batch):
    """No logit is far from the prior, so the first losses are small and the gradients even."""
    model.eval()
    with torch.no_grad():
        outputs = model(
            normalise(batch.images),
            batch.input_ids,
            attention_mask=batch.targets.text_mask.long(),
        )
    logits = outputs.logits[outputs.logits.isfinite()]
    assert -6.0 < logits.mean() < -2.0
    assert logits.std() < 2.5


def test_decoder_refines_the_same_boxes_as_it_predicts(model, batch):
    """References of the next layer equal the boxes that the loss sees at this one."""
    model.eval()
    with torch.no_grad():
        for parameter in model.bbox_embed[0].layers[-1].parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        core = model.model(
            normalise(batch.images),
            batch.input_ids,
            attention_mask=batch.targets.text_mask.long(),
        )
        anchor = torch.special.logit(core.init_reference_points, eps=1e-5)
        boxes = (model.bbox_embed[0](core.intermediate_hidden_states[:, 0]) + anchor).sigmoid()
    torch.testing.assert_close(boxes, core.intermediate_reference_points[:, 0], rtol=0, atol=1e-4)


def test_the_whole_network_learns(model):
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {
        f"model.decoder.{norm}.{part}"
        for norm in ("layer_norm", *(f"layers.{i}.final_layer_norm" for i in range(3)))
        for part in ("weight", "bias")
    }
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())


def test_learning_rate_warms_up_and_ends_at_zero():
    assert rate_factor(0, 0.0, warmup=10) == pytest.approx(0.1)
    assert rate_factor(9, 0.0, warmup=10) == pytest.approx(1.0)
    assert rate_factor(500, 0.5, warmup=10) == pytest.approx(0.5)
    assert rate_factor(999, 1.2, warmup=10) == pytest.approx(0.0)


@pytest.mark.parametrize("settings", [TINY, replace(TINY, denoising=16)])
def test_interrupted_training_comes_to_the_same_end(settings, tmp_path):
    whole = DetectorTraining(settings)
    whole.start()
    save = whole.save

    def save_and_keep(out: Path) -> None:
        save(out)
        if whole.stage.step == 2:
            shutil.copy(out / "checkpoint.pt", tmp_path / "half.pt")

    whole.save = save_and_keep
    whole.run(tmp_path / "whole", save_every=2)
    resumed = DetectorTraining(settings)
    resumed.load(tmp_path / "half.pt")
    resumed.run(tmp_path / "resumed", save_every=10)

    first = load_file(tmp_path / "whole" / "model.safetensors")
    second = load_file(tmp_path / "resumed" / "model.safetensors")
    assert resumed.stage.step == 4
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_interrupted_refining_comes_to_the_same_end_and_keeps_what_it_began_with(tmp_path):
    start = Path(locate("demo-detector"))
    settings = RefiningSettings(steps=4, batch=1, warmup=1)
    refine(Team(), start, tmp_path / "whole", settings, save_every=4)
    half = Refinement(start, settings)
    half.save = lambda out: None  # but when it is told to
    half.settings = replace(settings, steps=2)  # stops there, at the rates of four
    half.run(tmp_path / "cut", save_every=9)
    Refinement.save(half, tmp_path / "cut")
    refine(Team(), start, tmp_path / "cut", settings, save_every=4)

    first = load_file(tmp_path / "whole" / "model.safetensors")
    second = load_file(tmp_path / "cut" / "model.safetensors")
    assert steps_done(tmp_path / "cut") == 4
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    began = load_file(start / "model.safetensors")
    assert set(first) == set(began)
    changed = [n for n in first if "running" not in n and not torch.equal(first[n], began[n])]
    assert len(changed) > 200
    for name in changed:
        torch.testing.assert_close(first[name], began[name], rtol=0, atol=0.01)
    assert not [n for n in changed if "final_layer_norm" in n and "decoder" in n]


def test_saved_model_loads_with_the_plain_classes(model, batch, tmp_path):
    save_detector(model, tmp_path)
    plain = AutoModelForZeroShotObjectDetection.from_pretrained(tmp_path).eval()
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert plain.dtype == torch.float32
    weights = load_file(tmp_path / "model.safetensors")
    assert {t.dtype for t in weights.values() if t.is_floating_point()} == {torch.float16}

    image = np.zeros((480, 640, 3), np.uint8)
    inputs = processor(images=image, text="red mug. blue ball.", return_tensors="pt")
    assert inputs.pixel_values.shape == (1, 3, 192, 256)
    model.eval()
    with torch.no_grad():
        expected, found = model(**inputs), plain(**inputs)
    torch.testing.assert_close(found.pred_boxes, expected.pred_boxes, rtol=0, atol=0.02)


def test_the_last_stage_saves_a_processor_of_its_pictures_size(model, tmp_path):
    save_detector(model, tmp_path, SCALE)
    image = np.zeros((480, 640, 3), np.uint8)
    inputs = AutoProcessor.from_pretrained(tmp_path)(images=image, text="mug.", return_tensors="pt")
    assert inputs.pixel_values.shape == (1, 3, 288, 384)


def test_training_sees_pixels_as_the_processor_makes_them():
    image = np.random.default_rng(0).integers(0, 256, (192, 256, 3), dtype=np.uint8)
    inputs = build_processor()(images=image, text="mug.", return_tensors="pt")
    pixels = normalise(torch.from_numpy(image)[None])
    torch.testing.assert_close(inputs.pixel_values, pixels, rtol=0, atol=1e-4)


MUG, BALL = ("red", "mug"), ("red", "ball")
HERE, THERE = [10.0, 10.0, 50.0, 50.0], [100.0, 10.0, 150.0, 60.0]


def picture(boxes, scores, pairs) -> Picture:
    truth = np.array([HERE, THERE], np.float32)
    found = np.array(boxes, np.float32).reshape(-1, 4)
    return Picture((192, 256), truth, [MUG, BALL], found, np.array(scores), pairs)


@pytest.mark.parametrize(
    ("boxes", "scores", "pairs", "ap50", "precision", "recall"),
    [
        pytest.param([HERE, THERE], [0.9, 0.8], [MUG, BALL], 1.0, 1.0, 1.0, id="perfect"),
        pytest.param([HERE, THERE], [0.9, 0.8], [BALL, MUG], 0.0, 0.0, 0.0, id="words swapped"),
        pytest.param([HERE], [0.9], [MUG], 0.5, 1.0, 0.5, id="one missed"),
        pytest.param(
            [HERE, HERE, THERE],
            [0.9, 0.8, 0.7],
            [MUG, MUG, BALL],
            1.0,
            2 / 3,
            1.0,
            id="twice",
        ),
        pytest.param([HERE, THERE], [0.9, 0.1], [MUG, BALL], 1.0, 1.0, 0.5, id="one unsure"),
    ],
)
def test_figures_of_worked_cases(boxes, scores, pairs, ap50, precision, recall):
    pictures = [picture(boxes, scores, pairs)]
    figures = average_precision(pictures, [MUG, BALL]) | precision_recall(pictures, [MUG, BALL])
    assert figures["ap50"] == pytest.approx(ap50)
    assert figures["precision"] == pytest.approx(precision)
    assert figures["recall"] == pytest.approx(recall)
