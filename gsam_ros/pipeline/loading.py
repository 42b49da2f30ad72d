"""The pipeline, loaded on demand: importing torch and transformers takes seconds.

A node that imports this is there at once, and answers while its worker thread loads.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from gsam_ros.errors import first_line
from gsam_ros.pipeline.settings import Settings
from gsam_ros.process_memory import resident_bytes, trim

if TYPE_CHECKING:
    from gsam_ros.pipeline.grounded_tracker import GroundedTracker


_LOG = logging.getLogger(__name__)

_torch_is_imported = False  # wholly: other threads may meet a module that is half-way in


def load_tracker(
    settings: Settings, progress: Callable[[str], None], live: bool = False
) -> GroundedTracker:
    """A `GroundedTracker`, warmed up; `live` as there.

    Raises:
        LoadError: the models can't be loaded as the settings say, or not on that device.
    """
    # Threads that wait for each other by spinning take the cores from everybody else on a robot,
    # and from each other: on two busy cores a frame took seven times as long. It is read when
    # torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    global _torch_is_imported
    progress("importing torch and transformers")
    from transformers.utils import logging

    from gsam_ros.checkpoints import CheckpointError
    from gsam_ros.pipeline.devices import DeviceError, use_threads
    from gsam_ros.pipeline.grounded_tracker import GroundedTracker

    _torch_is_imported = True
    use_threads(settings.threads)
    logging.disable_progress_bar()  # thousands of lines in a node's log
    try:
        return GroundedTracker(settings, progress, live)
    except (CheckpointError, DeviceError) as error:
        raise LoadError(str(error)) from error


class LoadError(RuntimeError):
    """The pipeline can't be had as the settings say; the message names the setting."""


def free_device_memory() -> None:
    """Give memory of objects that are gone back to the device, and to the system."""
    gc.collect()
    trim()
    if (torch := sys.modules.get("torch")) and torch.cuda.is_initialized():
        try:
            torch.cuda.empty_cache()
        except RuntimeError as error:  # a device that is lost must not keep the rest from going
            _LOG.warning("the device's memory can't be given back: %s", first_line(error))


def memory_in_use() -> dict[str, str]:
    """Megabytes by where they lie, for people: this process's and, where one is used, the GPU's."""
    megabytes = {"memory (MB)": resident_bytes()}
    if _torch_is_imported and (cuda := sys.modules["torch"].cuda).is_initialized():
        devices = range(cuda.device_count())
        megabytes["device memory (MB)"] = sum(cuda.memory_reserved(each) for each in devices)
    return {name: f"{size / 1e6:.0f}" for name, size in megabytes.items()}
