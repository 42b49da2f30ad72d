"""bfloat16 is asked for only where a processor computes in it."""

from __future__ import annotations

import logging

import pytest
import torch

from gsam_ros.number_formats import autocast_on_cpu, has_bfloat16
from gsam_ros.pipeline.devices import choose_dtype

CPU = torch.device("cpu")
PROCESSORS = [
    pytest.param({"avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, True, id="Zen 4"),
    pytest.param({"avx512_bf16": True, "amx_bf16": True}, True, id="Sapphire Rapids"),
    pytest.param({"architecture": "aarch64", "bf16": True}, True, id="Orin"),
    pytest.param({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False, id="Zen 3"),
    pytest.param({"avx512_f": True, "avx512_bf16": False}, False, id="Skylake"),
    pytest.param({}, False, id="unknown"),
]


@pytest.mark.parametrize(("abilities", "has_it"), PROCESSORS)
def test_training_computes_in_what_the_processor_has(monkeypatch, abilities, has_it):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert has_bfloat16(CPU) is has_it
    with autocast_on_cpu():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype is (torch.bfloat16 if has_it else torch.float32)


@pytest.mark.parametrize(("abilities", "has_it"), PROCESSORS)
def test_an_emulated_precision_is_taken_with_a_warning(monkeypatch, caplog, abilities, has_it):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    with caplog.at_level(logging.WARNING, "gsam_ros"):
        assert choose_dtype("bfloat16", CPU) is torch.bfloat16
    assert ("give auto or float32" in caplog.text) is not has_it
    caplog.clear()
    assert choose_dtype("auto", CPU) is choose_dtype("float32", CPU) is torch.float32
    assert not caplog.text


def test_a_torch_that_does_not_tell_trains_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # before torch 2.10
    assert not has_bfloat16(CPU)


def test_devices_of_other_kinds_are_taken_at_their_word():
    assert has_bfloat16(torch.device("mps"))
