"""Tiles in batches: shared out over devices, and as many at once as memory holds."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import GroundingDinoConfig

from gsam_ros import checkpoints
from gsam_ros.detection import capacity
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.replica import Replica
from gsam_ros.detection.settings import DetectorSettings, SliceSettings
from gsam_ros.detection.sharing import share_out
from gsam_ros.instances import Detections, Frame
from gsam_ros.pipeline.devices import DeviceError
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.settings import with_texts
from gsam_ros.world.stills import draw_still

CPU = torch.device("cpu")
PHRASES = ("red mug", "blue ring")
SLICES = SliceSettings(mode="always", width=256, height=192, batch=5)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    pairs = [tuple(phrase.split()) for phrase in PHRASES]
    rng = np.random.default_rng(0)
    return draw_still(rng, 400, 600, pairs, max_objects=30, share=(0.04, 0.1)).image


@pytest.fixture
def detector() -> GroundingDetector:
    return GroundingDetector("demo-detector", CPU)


def count_batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Which replica (by `id`) looked at how many images, in a list that grows."""
    looked: list[tuple[int, int]] = []
    look = Replica.look

    def counting(self, images, *options):
        looked.append((id(self), len(images)))
        return look(self, images, *options)

    monkeypatch.setattr(Replica, "look", counting)
    return looked


def assert_same(one: Detections, other: Detections) -> None:
    assert len(one) == len(other) > 0
    np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
    np.testing.assert_array_equal(one.phrase_index, other.phrase_index)


def test_devices_share_the_tiles(detector, image, monkeypatch):
    [expected] = detector.detect([image], detector.encode(PHRASES), slices=SLICES)
    both = GroundingDetector("demo-detector", CPU, devices=[CPU, CPU])
    looked = count_batches(monkeypatch)
    for _ in range(2):
        [found] = both.detect([image], both.encode(PHRASES), slices=SLICES)
        assert_same(found, expected)
    assert {who for who, _ in looked} == {id(replica) for replica in both._replicas}
    assert both._replicas[0].model is both._replicas[1].model, "one device holds the weights once"


def test_a_device_that_is_free_takes_the_next_batch():
    images = [torch.full((2, 2, 3), value, dtype=torch.uint8) for value in range(9)]
    images += [torch.full((3, 2, 3), value, dtype=torch.uint8) for value in range(9, 12)]
    waits = threading.Event()
    done: dict[str, list[int]] = {"slow": [], "fast": []}

    def looking(name: str, some: list[torch.Tensor]) -> list[Detections]:
        assert len({image.shape for image in some}) == 1
        values = [int(image[0, 0, 0]) for image in some]
        done[name] += values
        if sum(map(len, done.values())) == len(images):  # whoever comes last, fast or slow
            waits.set()
        if name == "slow":
            assert waits.wait(60)
        boxes = [np.full((1, 4), value, np.float32) for value in values]
        return [Detections(b, np.ones(1, np.float32), np.zeros(1, np.int64)) for b in boxes]

    found = share_out(
        images, 2, [lambda some: looking("slow", some), lambda some: looking("fast", some)]
    )
    assert [int(answer.boxes[0, 0]) for answer in found] == list(range(12))
    assert len(done["slow"]) <= 2 and len(done["fast"]) >= 10


def test_what_goes_wrong_on_one_device_is_told():
    def broken(_):
        raise RuntimeError("CUDA error: an illegal memory access")

    images = [torch.zeros(2, 2, 3) for _ in range(4)]
    with pytest.raises(RuntimeError, match="illegal memory access"):
        share_out(images, 1, [broken, broken])


def test_a_batch_that_does_not_fit_is_halved_and_said_once(detector, image, caplog, monkeypatch):
    text = detector.encode(PHRASES)
    [expected] = detector.detect([image], text, slices=replace(SLICES, batch=2))
    look, tried = Replica.look, []

    def limited(self, images, *options):
        tried.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return look(self, images, *options)

    monkeypatch.setattr(Replica, "look", limited)
    for _ in range(2):
        with caplog.at_level(logging.WARNING, "gsam_ros"):
            [found] = detector.detect([image], text, slices=SLICES)
    assert_same(found, expected)
    assert tried.count(5) == 1, "what did not fit once is not tried again"
    [record] = caplog.records
    assert "detector.slices.batch" in record.message


def test_a_single_image_that_does_not_fit_is_an_error(detector, image, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Replica, "look", full)
    with pytest.raises(torch.OutOfMemoryError):
        detector.detect([image], detector.encode(PHRASES), slices=SLICES)


def test_batches_are_as_large_as_free_memory_allows(detector, image, monkeypatch):
    text = detector.encode(PHRASES)
    [expected] = detector.detect([image], text, slices=SLICES)
    looked = count_batches(monkeypatch)
    one = capacity.bytes_per_image(detector.model.config, (288, 384), torch.float32)
    for free, most in ((100 * one, 5), (4.1 * one, 2), (0, 1)):
        looked.clear()
        monkeypatch.setattr(capacity, "free_bytes", lambda _, free=free: int(free))
        [found] = detector.detect([image], text, slices=SLICES)
        assert_same(found, expected)
        assert max(size for _, size in looked) == most


def test_an_image_of_the_published_model_takes_what_was_measured():
    """A process grew by 120 to 150 MB per image of 400x533 with grounding-dino-tiny's size."""
    swin = {"embed_dim": 96, "out_features": ["stage2", "stage3", "stage4"], "model_type": "swin"}
    config = GroundingDinoConfig(backbone_config=swin)
    megabytes = capacity.bytes_per_image(config, (400, 533), torch.float32) / 1e6
    assert 150 < megabytes < 300
    bundled = GroundingDinoConfig.from_pretrained(checkpoints.locate("demo-detector"))
    assert 4 < capacity.bytes_per_image(bundled, (192, 256), torch.float32) / 1e6 < 15
    assert capacity.bytes_per_image(config, (400, 533), torch.bfloat16) < megabytes * 1e6


def test_free_memory_is_that_of_the_machine_or_of_its_container(tmp_path, monkeypatch):
    free = capacity.free_bytes(CPU)
    assert free is None or free > 0
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemAvailable:   80 kB\n")
    monkeypatch.setattr(capacity, "_MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(capacity, "_CGROUP", tmp_path)
    assert capacity.free_bytes(CPU) == 80 * 1024
    for limit, expected in (("max", 80 * 1024), ("50000", 20_000), ("10000", 0)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("30000\n")
        assert capacity.free_bytes(CPU) == expected
    monkeypatch.setattr(capacity, "_MEMORY_INFO", tmp_path / "nothing")
    assert capacity.free_bytes(CPU) is None


def test_the_machine_shares_tiles_as_it_is_told(image, monkeypatch):
    settings = with_texts(
        Settings(device="cpu", detector=DetectorSettings(slices=SLICES)),
        ["detector.devices=[cpu, cpu]"],
    )
    assert settings.detector.devices == ("cpu", "cpu")
    machine = GroundedTracker(settings)
    machine.set_prompt(". ".join(PHRASES))
    looked = count_batches(monkeypatch)
    [result] = machine.step([Frame(image, 0)])
    assert len(result.instances) > 0
    assert len(looked) > 1


def test_a_device_that_is_not_there_is_named():
    settings = Settings(device="cpu", detector=DetectorSettings(devices=("cpu", "cuda:7")))
    with pytest.raises(DeviceError, match=r"detector.devices is 'cuda:7'.*give auto, cpu"):
        GroundedTracker(settings)
