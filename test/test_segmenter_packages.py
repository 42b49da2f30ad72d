"""Checkpoints of every package, as users name them, and what is said of bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from random_checkpoints import SAM2_CONFIGS, save_edgetam, save_sam2, save_segmenter

from gsam_ros.checkpoints import CheckpointError
from gsam_ros.cli import main
from gsam_ros.tracking.segmenters import sam2_checkpoint
from gsam_ros.tracking.segmenters.packages import load_segmenter, package_of
from gsam_ros.tracking.settings import SegmenterSettings
from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import SEEN, phrase_of

CPU = torch.device("cpu")


@pytest.fixture
def file(tmp_path) -> Path:
    return save_sam2(tmp_path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A picture of the demo world, twice."""
    folder = tmp_path_factory.mktemp("pictures")
    still = draw_still(np.random.default_rng(2), 192, 256, SEEN[:1])
    assert len(still.boxes)
    for number in range(2):
        cv2.imwrite(str(folder / f"{number}.png"), still.image[..., ::-1])
    return folder


def track(pictures: Path, out: Path, *settings: str) -> int:
    options = [option for setting in settings for option in ("--set", setting)]
    prompt = f"{phrase_of(SEEN[0])}."
    return main(["track", str(pictures), "--prompt", prompt, "--out", str(out), *options])


@pytest.mark.parametrize("save", [save_sam2, save_edgetam, save_segmenter])
def test_the_command_line_tracks_with_any_package(save, pictures, tmp_path):
    model = save(tmp_path)
    out = tmp_path / "out"
    settings = ("segmenter.image_size=256", "segmenter.memories=2", "device=cpu")
    assert track(pictures, out, f"segmenter.model={model}", *settings) == 0
    annotations = json.loads((out / "results.json").read_text())["annotations"]
    assert annotations
    assert all(entry["area"] > 0 for entry in annotations)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("segmenter.model=/nowhere/sam2.pt", "there is no file '/nowhere/sam2.pt'"),
        ("segmenter.image_size=250", "segmenter.image_size is 250: give a multiple of 32"),
        (
            "segmenter.memories=8",
            "segmenter.memories is 8, and 'demo-segmenter' was trained with 7",
        ),
        ("segmenter.package=edgetam", "'edgetam_video' is needed (segmenter.package is 'edgetam')"),
        ("segmenter.package=sam2", "there is no file 'demo-segmenter'"),
        ("segmenter.package=keras", "segmenter.package is 'keras': give one of auto"),
    ],
)
def test_the_command_line_says_what_is_wrong(setting, words, pictures, tmp_path, capsys):
    assert track(pictures, tmp_path, setting, "device=cpu") == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("demo-segmenter", "transformers"),
        ("facebook/sam2.1-hiera-tiny", "transformers"),
        ("yonigozlan/EdgeTAM-hf", "edgetam"),
        ("sam2.1_hiera_large.pt", "sam2"),
        ("/anywhere/mine.pth", "sam2"),
    ],
)
def test_auto_takes_what_the_checkpoint_is_made_for(name, package):
    assert package_of(SegmenterSettings(model=name)) == package


def test_a_folder_says_itself_what_it_is(tmp_path):
    assert package_of(SegmenterSettings(model=str(save_edgetam(tmp_path)))) == "edgetam"


def test_a_file_for_another_package_is_refused(file):
    with pytest.raises(CheckpointError, match=r"set segmenter\.package to auto or sam2"):
        package_of(SegmenterSettings(model=str(file), package="transformers"))


def test_edgetam_has_larger_steps(tmp_path):
    settings = SegmenterSettings(model=str(save_edgetam(tmp_path)), image_size=288)
    with pytest.raises(CheckpointError, match="image_size is 288: give a multiple of 256"):
        load_segmenter(settings, CPU)


@pytest.mark.parametrize("size", ["t", "s", "b+", "l"])
@pytest.mark.parametrize("version", ["sam2", "sam2.1"])
def test_the_weights_tell_which_of_metas_models_they_are(size, version):
    """By shapes alone; the modules are built on no device."""
    from hydra.utils import instantiate

    source = SAM2_CONFIGS / version / f"{version}_hiera_{size}.yaml"
    with torch.device("meta"):
        weights = instantiate(OmegaConf.load(source).model).state_dict()
    config = sam2_checkpoint._configuration("mine.pt", Path("mine.pt"), weights)
    expected = OmegaConf.load(source).model
    assert config.image_encoder == expected.image_encoder
    assert config.get("no_obj_embed_spatial") == expected.get("no_obj_embed_spatial")


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("sam2.1_hiera_tiny.pt", "facebook/sam2.1-hiera-tiny"),
        ("sam2_hiera_base_plus.pt", "facebook/sam2-hiera-base-plus"),
        ("facebook/sam2.1-hiera-base-plus", "facebook/sam2.1-hiera-base-plus"),
    ],
)
def test_metas_files_by_name_are_looked_for_on_the_hub(name, repository):
    """Offline there is none, and the message says from where it was to come."""
    settings = SegmenterSettings(model=name, package="sam2")
    with pytest.raises(CheckpointError, match=f"can't be had from {repository} on the"):
        load_segmenter(settings, CPU)


def test_a_file_cut_short(file):
    file.write_bytes(file.read_bytes()[:5000])
    refused(file, "can't be read")


def test_a_file_that_would_run_code_is_not_run(file):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (file.with_name("evil"),))

    torch.save({"model": Evil()}, file)
    refused(file, "can't be read")
    assert not file.with_name("evil").exists()


def test_a_file_of_another_model(file):
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, file)
    refused(file, "holds no SAM 2 video model")


def test_weights_that_lack_a_part(file):
    content = torch.load(file, weights_only=True)
    del content["model"]["no_mem_embed"]
    torch.save(content, file)
    refused(file, "no_mem_embed")


def test_weights_of_another_shape(file):
    content = torch.load(file, weights_only=True)
    content["model"]["no_mem_embed"] = torch.zeros(1, 1, 7)
    torch.save(content, file)
    refused(file, "can't be built")


def test_an_unknown_architecture_without_its_description(file):
    file.with_suffix(".yaml").unlink()
    refused(file, "none of Meta's four sizes.*small.yaml")


def test_a_description_that_asks_for_foreign_code(file):
    description = file.with_suffix(".yaml")
    described = description.read_text()
    foreign = described.replace("sam2.modeling.memory_encoder.Fuser", "subprocess.Popen")
    assert foreign != described
    description.write_text(foreign)
    refused(file, "subprocess.Popen, which is no part of sam2.modeling")


def test_a_description_of_something_that_is_not_supported(file):
    description = file.with_suffix(".yaml")
    config = OmegaConf.load(description)
    config.model.memory_temporal_stride_for_eval = 5
    OmegaConf.save(config, description)
    refused(file, "memory_temporal_stride_for_eval to 5, and only 1 is supported")


def test_without_the_sam2_package(file, monkeypatch):
    monkeypatch.setattr(sam2_checkpoint, "find_spec", lambda _: None)
    refused(file, "sam2 package, which is not installed: pip install")


def refused(file: Path, words: str) -> None:
    settings = SegmenterSettings(model=str(file))
    with pytest.raises(CheckpointError, match=words):
        load_segmenter(settings, CPU)
