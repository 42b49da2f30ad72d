"""`gsam train detector` as it is typed, and the loss that it goes down."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from random_checkpoints import small_detector_config
from safetensors.torch import load_file
from test_training_detector_loss import CLS, DOT, LEFT, RIGHT, SEP, make_targets
from transformers import GroundingDinoForObjectDetection

from gsam_ros.checkpoints import locate
from gsam_ros.cli import main
from gsam_ros.training.detector.denoising import NoiseSettings, draw_queries
from gsam_ros.training.fine_tuning.coco_batches import CocoBatch
from gsam_ros.training.fine_tuning.fine_tune import set_trainable
from gsam_ros.training.fine_tuning.loss import DetectorLoss, strongest
from gsam_ros.world.coco import write_coco
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import NOVEL_SHAPES

PAIRS = [(colour, shape) for colour in ("red", "blue") for shape in NOVEL_SHAPES]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen pictures of shapes that the bundled detector has never seen."""
    folder = tmp_path_factory.mktemp("scenes")
    stills = (
        draw_still(np.random.default_rng([5, i]), 144, 192, PAIRS, max_objects=4, share=(0.3, 0.5))
        for i in range(12)
    )
    write_coco(folder, stills, name_of=lambda pair: pair[1])
    return folder


def command(scenes: Path, out: Path, *further: str) -> list[str]:
    data = ["--data", str(scenes / "coco.json"), "--images", str(scenes / "images")]
    fixed = ["--from", "demo-detector", "--out", str(out), "--device", "cpu", "--workers", "0"]
    return ["train", "detector", *data, *fixed, *further]


@pytest.mark.slow
def test_a_detector_learns_new_words_and_the_machine_loads_it(scenes, tmp_path, capsys):
    out = tmp_path / "mine"
    short = ["--steps", "36", "--every", "18", "--batch", "3", "--rate", "1e-3", "--ema", "0.9"]
    same = ["--validation", str(scenes / "coco.json"), "--augment", "none", "--denoising", "24"]
    assert main(command(scenes, out, *short, *same)) == 0
    told = capsys.readouterr()
    assert f"is in {out}" in told.out
    assert "step 36: validation AP50" in told.err and "36/36" in told.err
    history = json.loads((out / "training" / "history.json").read_text())
    assert [entry["step"] for entry in history] == [0, 18, 36]
    before, best = history[0]["ap50"], max(entry["ap50"] for entry in history)
    assert before < 0.1 and best > before + 0.15
    assert set(history[-1]["ap50_by_phrase"]) == set(NOVEL_SHAPES)
    # The folder is a checkpoint like any other, for `gsam detect`, `gsam track` and the node.
    picture = scenes / "images" / "000000.png"
    ask = ["--prompt", "house. tree. crown.", "--set", f"detector.model={out}"]
    low = ["--set", "detector.box_threshold=0.05", "--device", "cpu"]
    assert main(["detect", str(picture), *ask, *low, "--out", str(tmp_path / "found")]) == 0
    assert json.loads((tmp_path / "found" / "results.json").read_text())["annotations"]
    tracked = tmp_path / "tracked"
    assert main(["track", str(picture), *ask, *low, "--no-video", "--out", str(tracked)]) == 0


@pytest.mark.slow
def test_killed_training_goes_on_to_the_same_weights(scenes, tmp_path, capsys):
    tiny = ["--steps", "6", "--every", "2", "--batch", "1", "--accumulate", "2"]
    tiny += ["--validation-share", "0", "--denoising", "8", "--seed", "3"]
    assert main(command(scenes, tmp_path / "whole", *tiny)) == 0

    killed = tmp_path / "killed"
    words = [sys.executable, "-m", "gsam_ros.cli", *command(scenes, killed, *tiny)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    history = killed / "training" / "history.json"
    end = time.monotonic() + 200
    try:
        while not (killed / "training" / "state").is_dir():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(json.loads(history.read_text())) < 3  # it was not done
    capsys.readouterr()
    assert main(command(scenes, killed, *tiny)) == 0
    assert "going on from step" in capsys.readouterr().err
    assert [entry["step"] for entry in json.loads(history.read_text())] == [2, 4, 6]
    whole = load_file(tmp_path / "whole" / "model.safetensors")
    again = load_file(killed / "model.safetensors")
    start = load_file(Path(locate("demo-detector")) / "model.safetensors")
    changed = 0
    for name, weights in whole.items():
        torch.testing.assert_close(again[name], weights, rtol=0, atol=1e-6)
        changed += name in start and not torch.equal(weights, start[name].to(weights.dtype))
    assert changed > 100

    # The same folder with other settings is another training.
    assert main(command(scenes, killed, *tiny, "--rate", "0.1")) == 1
    assert "rate (0.0001, now 0.1)" in capsys.readouterr().err


def test_training_that_harms_leaves_what_it_started_from(tmp_path):
    """The best checkpoint is kept, and the first one counts."""
    stills = (draw_still(np.random.default_rng([6, i]), 144, 192, max_objects=3) for i in range(6))
    known = write_coco(tmp_path, stills)
    harm = ["--rate", "10", "--steps", "2", "--every", "1", "--batch", "1", "--ema", "0"]
    out = tmp_path / "out"
    assert main(command(tmp_path, out, *harm, "--validation", str(known))) == 0
    before, _, after = json.loads((out / "training" / "history.json").read_text())
    assert before["ap50"] > 0.6 > 0.3 > after["ap50"]
    kept = load_file(out / "model.safetensors")
    start = load_file(Path(locate("demo-detector")) / "model.safetensors")
    common = kept.keys() & start.keys()
    assert len(common) > 100
    assert all(torch.equal(kept[name], start[name].float()) for name in common)


def test_mistakes_are_told_before_training(scenes, tmp_path, capsys):
    data = json.loads((scenes / "coco.json").read_text())
    data["images"][3]["file_name"] = "lost.png"
    (tmp_path / "coco.json").write_text(json.dumps(data))
    words = command(scenes, tmp_path / "out")
    words[words.index("--data") + 1] = str(tmp_path / "coco.json")
    assert main(words) == 1
    assert "lost.png" in capsys.readouterr().err
    data["images"][3]["file_name"] = "000003.png"
    data["categories"][0]["name"] = "thing " * 300
    (tmp_path / "coco.json").write_text(json.dumps(data))
    assert main(words) == 1
    assert "text limit of 254 tokens" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_a_model_is_not_overwritten(scenes, capsys):
    assert main(command(scenes, Path(locate("demo-detector")))) == 1
    assert "holds a model already" in capsys.readouterr().err


@pytest.fixture(scope="module")
def model() -> GroundingDinoForObjectDetection:
    return GroundingDinoForObjectDetection.from_pretrained(locate("demo-detector")).eval()


def make_batch(images: list[int], denoising: bool = False) -> CocoBatch:
    """Some of three images: two objects, one object in a longer prompt, and none."""
    told = [
        ([LEFT, RIGHT], ["10", "01"], [CLS, 7, DOT, 8, 9, DOT, SEP]),
        ([RIGHT], ["001"], [CLS, 6, DOT, 7, DOT, 8, 9, 10, DOT, SEP]),
        ([], [], [CLS, 5, DOT, SEP]),
    ]
    targets = make_targets(*(told[i] for i in images))
    ids = torch.zeros(targets.text_mask.shape, dtype=torch.long)
    for row, image in enumerate(images):
        ids[row, : len(told[image][2])] = torch.tensor(told[image][2])
    pixels = torch.randn(3, 3, 96, 128, generator=torch.Generator().manual_seed(0))[images]
    queries = None
    if denoising:
        queries = draw_queries(targets, NoiseSettings(queries=8), torch.Generator().manual_seed(1))
    return CocoBatch(pixels, torch.ones(len(images), 96, 128).long(), ids, targets, queries)


@torch.no_grad()
def test_a_batch_is_the_sum_of_its_images(model):
    """Whatever shares a batch, of whatever prompt's length: accumulation changes nothing."""
    loss = DetectorLoss(model, denoising=False)
    alone = [loss(make_batch([image])) for image in range(3)]
    together = loss(make_batch([0, 1, 2]))
    assert set(together) == {"proposals", "decoder"}
    for name, value in together.items():
        expected = sum(float(part[name]) for part in alone)
        assert float(value) == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_denoising_is_a_part_of_its_own(model):
    loss = DetectorLoss(model, denoising=True)
    plain, both = loss(make_batch([0, 1])), loss(make_batch([0, 1], denoising=True))
    assert set(both) - set(plain) == {"denoising"}
    for name, value in plain.items():
        assert float(both[name]) == pytest.approx(float(value), rel=1e-4)
    assert set(loss(make_batch([2], denoising=True))) == set(plain)  # nothing to denoise


def test_proposals_are_those_that_the_model_takes_and_they_learn(model):
    batch = make_batch([0, 1])
    outputs = model.model(
        batch.pixel_values, batch.input_ids, attention_mask=batch.targets.text_mask.long()
    )
    predicted = outputs.enc_outputs_class, outputs.enc_outputs_coord_logits.sigmoid()
    _, boxes = strongest(predicted, model.config.num_queries)
    torch.testing.assert_close(boxes, outputs.init_reference_points)
    loss = DetectorLoss(model, denoising=False)
    loss(batch)["proposals"].backward()
    assert model.model.encoder_output_bbox_embed.layers[0].weight.grad.any()
    model.zero_grad()


@pytest.mark.parametrize("half", [False, True])
def test_every_part_of_a_published_architecture_learns(half):
    """Swin, four levels, dropout, padded images: what the bundled detector has not."""
    torch.manual_seed(0)
    model = GroundingDinoForObjectDetection(small_detector_config())
    for parameter in model.parameters():  # zero heads would hide the gradient behind them
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    set_trainable(model, ())
    loss = DetectorLoss(model, denoising=True)
    batch = make_batch([0, 1, 2], denoising=True)
    batch.pixel_mask[1, 64:] = 0
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        parts = loss(batch)
    torch.stack(list(parts.values())).sum().backward()
    silent = {
        name
        for name, parameter in loss.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert all(p.grad.isfinite().all() for p in loss.parameters() if p.grad is not None)
    # transformers builds this norm of the backbone and never calls it.
    assert not {name for name in silent if "swin.layernorm" not in name}


@pytest.mark.parametrize("wrong", [["--rate", "0"], ["--epochs", "-1"], ["--denoising", "-1"]])
def test_wrong_usage(wrong, scenes, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(command(scenes, tmp_path, *wrong))
    assert caught.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_bfloat16_is_refused_where_it_would_be_emulated(scenes, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert main(command(scenes, tmp_path / "out", "--steps", "1", "--bf16")) == 1
    assert "--bf16: cpu only emulates bfloat16" in capsys.readouterr().err


@pytest.mark.parametrize("freeze", [(), ("backbone",), ("text",), ("backbone", "text")])
def test_frozen_parts_get_no_gradient(model, freeze):
    set_trainable(model, freeze)
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert model.training and model.model.text_backbone.training == ("text" not in freeze)
    assert any("conv_encoder" in name for name in learning) == ("backbone" not in freeze)
    assert any("text_backbone" in name for name in learning) == ("text" not in freeze)
    assert any("decoder" in name for name in learning)
    model.eval()


def test_noise_settings_follow_the_command(tmp_path):
    from gsam_ros.training.fine_tuning.settings import (
        FineTuneError,
        FineTuneSettings,
        claim_folder,
    )

    settings = FineTuneSettings("demo-detector", "a.json", "images", denoising=12)
    assert settings.noise == NoiseSettings(12)
    assert replace(settings, denoising=0).noise is None
    assert not claim_folder(tmp_path, settings)
    assert claim_folder(tmp_path, settings)
    with pytest.raises(FineTuneError, match="seed \\(0, now 1\\)"):
        claim_folder(tmp_path, replace(settings, seed=1))
