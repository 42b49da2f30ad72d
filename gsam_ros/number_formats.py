"""Whether a device has bfloat16 in hardware, or only emulates it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is worth asking for on `device`: whether its circuits multiply it.

    torch runs it everywhere. Emulated it is less exact than float32 and slower: on a GPU before
    Ampere somewhat, on a processor without AVX-512 75 times (products of 1024 x 1024 on an AMD
    Zen 3). Of a processor that torch knows nothing about, as before 2.10, no is taken for granted;
    of devices of other kinds, yes.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return True
    abilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def autocast_on_cpu() -> torch.autocast:
    """Compute products in bfloat16 where the processor does, else leave all in float32."""
    enabled = has_bfloat16(torch.device("cpu"))
    return torch.autocast("cpu", torch.bfloat16, enabled=enabled)
