"""Which device and number format the models run in."""

from __future__ import annotations

import torch

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class DeviceError(RuntimeError):
    """A device that isn't there; the message says what to ask for instead."""


def choose_device(name: str) -> torch.device:
    """Turn the setting `device` into a device that exists.

    Raises:
        DeviceError: it does not exist, or torch can't use it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise DeviceError(
            f"device is {name!r}, and torch can't use it here ({first_line}): "
            "give auto, cpu, or the name of a GPU that torch finds"
        ) from error
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Turn the setting `precision` into a number format for a device."""
    if name != "auto":
        return _DTYPES[name]
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32
