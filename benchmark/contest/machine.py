"""What this machine can do, and what of it a process uses."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

_SIDE = 2048  # of the square matrices


def precision(device: str) -> str:
    """The number format in which the models compute: bfloat16 on a GPU."""
    return "bfloat16" if device.startswith("cuda") else "float32"


def matrix_peak(device: str, threads: int, seconds: float = 1.0) -> float:
    """GFLOP/s of torch's matrix product of two 2048x2048 matrices: the best of many."""
    import torch

    torch.set_num_threads(threads)
    dtype = getattr(torch, precision(device))
    a = torch.randn(_SIDE, _SIDE, device=device).to(dtype)
    b = torch.randn(_SIDE, _SIDE, device=device).to(dtype)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        wait_for(device)
        start = time.perf_counter()
        a @ b
        wait_for(device)
        best = min(best, time.perf_counter() - start)
    return 2 * _SIDE**3 / best / 1e9


def wait_for(device: str) -> None:
    """Return when a GPU has done what it was told; on a CPU, at once."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)


def flop_counter() -> Any:
    """A context that counts multiplications and additions (2 per pair) of matrix products.

    torch's own counter passes over the CPU's fused attention. Products, convolutions and attention
    are counted; what runs over elements, and deformable attention's sampling, is not.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    def of_shapes(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    fused = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return FlopCounterMode(display=False, custom_mapping={fused: of_shapes})


def memory_now(device: str) -> float:
    """MB that this process holds: of the GPU where it computes there, else of main memory."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.memory_allocated(device) / 1e6
    return _status("VmRSS")


def memory_peak(device: str) -> float:
    """The most MB since `reset_peak`."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e6
    return _status("VmHWM")


def reset_peak(device: str) -> None:
    """Begin anew: what loading took for a moment doesn't count."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM


def describe(device: str, threads: int) -> dict[str, Any]:
    """The machine and the versions, for the record."""
    import torch
    import transformers

    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    return {
        "device": device,
        "name": name,
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "precision": precision(device),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _status(field: str) -> float:
    """A line of /proc/self/status, which gives kB, in MB.

    `getrusage` won't do: its maximum begins with that of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/self/status has no {field}")
