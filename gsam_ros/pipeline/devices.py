"""Which device and number format the models run in."""

from __future__ import annotations

import logging
import os

import cv2
import torch
from threadpoolctl import threadpool_limits

from gsam_ros.batches import is_out_of_memory
from gsam_ros.errors import first_line
from gsam_ros.number_formats import has_bfloat16

_LOG = logging.getLogger(__name__)

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class DeviceError(RuntimeError):
    """A device that isn't there; the message says what to ask for instead."""


def choose_device(name: str, setting: str = "device") -> torch.device:
    """Turn a setting, by default `device`, into a device that exists.

    Raises:
        DeviceError: it does not exist, or torch can't use it.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        # By its number: "cuda" and "cuda:0" are one device and not equal.
        return torch.device("cuda", torch.cuda.current_device())
    try:
        one = torch.ones(1, device=torch.device(name))
        one.add(1).item()  # "meta" takes tensors and computes nothing
    except (RuntimeError, AssertionError, ImportError) as error:
        raise DeviceError(
            f"{setting} is {name!r}, and torch can't use it here ({first_line(error)}): "
            "give auto, cpu, or the name of a GPU that torch finds"
        ) from error
    return one.device


def is_lost(device: torch.device) -> bool:
    """Whether a device fails on everything, for want of anything but memory.

    After an illegal access, a failed assertion or a driver that was reset, CUDA fails on every call
    of the process, and only another process can go on.
    """
    try:
        return float(torch.ones(1, device=device).add(1).item()) != 2
    except Exception as error:  # noqa: BLE001  whatever it fails with
        return not is_out_of_memory(error)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Turn the setting `precision` into a number format for a device."""
    if name == "auto":
        on_gpu = device.type == "cuda" and has_bfloat16(device)
        return torch.bfloat16 if on_gpu else torch.float32
    if name == "bfloat16" and not has_bfloat16(device):
        _LOG.warning(
            "precision is bfloat16, which %s only emulates, slower than float32 and less exact: "
            "give auto or float32",
            "this processor" if device.type == "cpu" else f"{device}",
        )
    return _DTYPES[name]


def limit_blas() -> None:
    """Give numpy's products one thread, in the whole process.

    They are small: those that compare 32 masks take 0.3 ms, at SAM 2's own size 10. But OpenBLAS
    shares them out, and its threads wait for each other by spinning: on two busy cores these took
    110 and 1,500 ms.
    """
    threadpool_limits(1, "blas")


def use_threads(count: int) -> None:
    """Put the setting `threads` into force, for the whole process.

    A robot's cores belong to many. Where threads that compute together share their cores with other
    processes, each step waits for whichever thread was put off: on two busy cores the demo took
    62 s with two threads and 38 s with one.

    OpenCV, which has threads of its own, gets as many as torch.
    """
    limit_blas()
    if count:
        torch.set_num_threads(count)
    elif not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // 2))
    cv2.setNumThreads(torch.get_num_threads())
