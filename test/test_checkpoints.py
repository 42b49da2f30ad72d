"""A model's name becomes a model, or a message that says what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
from random_checkpoints import save_detector, save_segmenter, small_detector_config
from transformers import GroundingDinoConfig

from gsam_ros.checkpoints import BUNDLED, CheckpointError, locate
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.pipeline.devices import DeviceError, choose_device, choose_dtype
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return save_detector(tmp_path_factory.mktemp("detector"), small_detector_config())


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    return save_segmenter(tmp_path_factory.mktemp("segmenter"))


@pytest.fixture
def copy(segmenter, tmp_path):
    return shutil.copytree(segmenter, tmp_path / "copy")


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_models_are_folders_of_this_package(name):
    assert locate(name).endswith(f"gsam_ros/models/{name}")


def test_hub_ids_are_left_to_the_hub():
    assert locate("IDEA-Research/grounding-dino-tiny") == "IDEA-Research/grounding-dino-tiny"


@pytest.mark.parametrize("name", ["", "demo-detectr", "/no/such/folder", "./nothing", "a/b/c"])
def test_names_that_mean_nothing(name):
    with pytest.raises(CheckpointError, match="demo-detector"):
        locate(name)


def test_a_hub_id_that_cannot_be_had(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=r"nobody/nothing.*hub or its cache"):
        TransformersSam2("nobody/nothing", CPU)


def test_a_folder_without_a_configuration(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        locate(str(tmp_path))


def test_a_folder_without_weights(copy):
    (copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        TransformersSam2(str(copy), CPU)


@pytest.mark.parametrize("keep", [0, 10, 100_000])
def test_a_file_cut_short(copy, keep):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="can't be loaded from the folder"):
        TransformersSam2(str(copy), CPU)


def test_weights_that_lack_a_part(copy):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    del tensors["memory_encoder.projection.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"memory_encoder\.projection\.weight"):
        TransformersSam2(str(copy), CPU)


def test_a_configuration_that_is_no_json(copy):
    (copy / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="can't be loaded"):
        TransformersSam2(str(copy), CPU)


def test_the_wrong_kind_of_model(detector, segmenter):
    with pytest.raises(CheckpointError, match="'sam2_video', and a 'grounding-dino' is needed"):
        GroundingDetector(str(segmenter), CPU)
    with pytest.raises(CheckpointError, match="'grounding-dino', and a 'sam2_video' is needed"):
        TransformersSam2(str(detector), CPU)


def test_the_wrong_kind_of_model_from_the_hub(monkeypatch):
    """MM Grounding DINO's weights fit into Grounding DINO, and its scores mean something else."""
    told = {"model_type": "mm-grounding-dino"}
    monkeypatch.setattr(GroundingDinoConfig, "get_config_dict", lambda name: (told, {}))
    with pytest.raises(CheckpointError, match="'mm-grounding-dino', and a 'grounding-dino' is"):
        GroundingDetector("openmmlab-community/mm_grounding_dino_tiny", CPU)


def test_a_detector_without_its_tokenizer(detector, tmp_path):
    copy = shutil.copytree(detector, tmp_path / "copy")
    for file in copy.glob("tokenizer*"):
        file.unlink()
    (copy / "processor_config.json").unlink()
    with pytest.raises(CheckpointError, match="tokenizer"):
        GroundingDetector(str(copy), CPU)


def test_weights_are_whole_and_frozen(segmenter):
    model = TransformersSam2(str(segmenter), CPU).model
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert json.loads((segmenter / "config.json").read_text())["model_type"] == "sam2_video"


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU that must not be there")
def test_a_gpu_that_is_not_there():
    with pytest.raises(DeviceError, match=r"'cuda'.*give auto, cpu"):
        choose_device("cuda")
    assert choose_device("auto") == CPU


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "tpu:0", "meta", "hpu"])
def test_devices_that_do_not_exist_or_do_not_compute(name):
    with pytest.raises(DeviceError, match="give auto, cpu"):
        choose_device(name)


@pytest.mark.parametrize(("has_it", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_precision_of_a_gpu_is_not_an_emulated_one(monkeypatch, has_it, expected):
    asked = []

    def is_supported(including_emulation=True):
        asked.append(torch.cuda.device)
        return has_it or including_emulation

    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert choose_dtype("auto", torch.device("cuda:1")) is expected
    assert asked


def test_precision():
    assert choose_dtype("auto", CPU) is torch.float32
    assert choose_dtype("bfloat16", CPU) is torch.bfloat16


@pytest.mark.parametrize(
    ("environment", "setting", "expected"),
    [
        ({"OMP_NUM_THREADS": ""}, 0, max(1, len(os.sched_getaffinity(0)) // 2)),
        ({"OMP_NUM_THREADS": "2"}, 0, 2),
        ({"OMP_NUM_THREADS": "2"}, 1, 1),
    ],
)
def test_threads(environment, setting, expected):
    """In a process of its own: the number counts for a whole process."""
    command = (
        "import torch; from gsam_ros.pipeline.devices import use_threads;"
        f"use_threads({setting}); print(torch.get_num_threads())"
    )
    environment = dict(os.environ) | environment
    done = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == expected


def test_numpy_takes_one_thread_whatever_the_environment_says():
    command = (
        "import numpy; from threadpoolctl import threadpool_info, threadpool_limits;"
        "from gsam_ros.pipeline.devices import use_threads;"
        "threadpool_limits(2, 'blas'); use_threads(2);"
        "print({p['num_threads'] for p in threadpool_info() if p['user_api'] == 'blas'})"
    )
    environment = dict(os.environ) | {"OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{1}"
