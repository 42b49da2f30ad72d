"""The state of a tracker as a file."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_ALLOWED = {
    "_codecs.encode",
    "builtins.float",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "gsam_ros.instances.TrackState",
    "gsam_ros.masks.Closeup",
    "gsam_ros.pipeline.tracker_state.TrackerState",
    "gsam_ros.prompts.Prompt",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "torch._utils._rebuild_tensor_v2",
    "torch.BFloat16Storage",
    "torch.HalfStorage",
    "torch.BoolStorage",
    "torch.DoubleStorage",
    "torch.FloatStorage",
    "torch.IntStorage",
    "torch.LongStorage",
}
"""What a state is made of besides what tracking and detection keep."""

_OURS = ("gsam_ros.tracking.", "gsam_ros.detection.")


class StateError(RuntimeError):
    """A file that holds no state; the message says why."""


def save_state(path: Path, state: Any) -> None:
    """Write a `TrackerState`, its tensors as they are.

    Raises:
        OSError: the file can't be written.
    """
    try:
        with path.open("wb") as stream:
            torch.save(state, stream, pickle_protocol=4)  # an older one has other names for classes
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # a full disk, of which torch's own says nothing
            raise error.__context__ from error
        raise


def load_state(path: Path, device: Any) -> Any:
    """Read a `TrackerState`, its tensors onto a device.

    Raises:
        StateError: the file is damaged, of another version, or holds something else.
    """
    try:
        return torch.load(path, device, pickle_module=_PICKLE, weights_only=False)
    except Exception as error:  # what reading a damaged pickle raises has no list
        raise StateError(str(error) or type(error).__name__) from error


class _Unpickler(pickle.Unpickler):
    """Reads the classes that a state is made of and no other: a file must not run code."""

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        found = None
        if full in _ALLOWED or module.startswith(_OURS):
            found = super().find_class(module, name)
        if full in _ALLOWED or _is_class_of(module, found):
            return found
        raise pickle.UnpicklingError(f"a state holds no {full}")


def _is_class_of(module: str, found: Any) -> bool:
    """Not a function, nor what the module has imported, which a dotted name would reach."""
    return isinstance(found, type) and found.__module__ == module


_PICKLE = ModuleType("states_only", "What `torch.load` takes for the pickle module.")
vars(_PICKLE).update(Unpickler=_Unpickler, load=pickle.load)
