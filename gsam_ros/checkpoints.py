"""Where weights come from: a name becomes files, and files become a model or a clear error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    BaseImageProcessor,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from gsam_ros.errors import first_line

BUNDLED = ("demo-detector", "demo-segmenter")
"""Small models that ship with this package; they know the demo world and nothing else."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

Model = TypeVar("Model", bound=PreTrainedModel)


class CheckpointError(RuntimeError):
    """A model that can't be loaded; the message names it and says what to give instead."""


def locate(name: str) -> str:
    """Turn a checkpoint's name into what `from_pretrained` takes.

    Args:
        name: one of `BUNDLED`, a folder, or a Hugging Face hub id such as
            "IDEA-Research/grounding-dino-tiny".

    Returns:
        A folder's path, or the hub id.

    Raises:
        CheckpointError: nothing of that name can be meant.
    """
    if name in BUNDLED:
        return str(Path(__file__).parent / "models" / name)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        if not (folder / "config.json").is_file():
            raise CheckpointError(
                f"the folder {name!r} holds no config.json: give a folder in Hugging Face format "
                "(config.json and model.safetensors)"
            )
        if not any(folder.glob("*.safetensors")):
            raise CheckpointError(
                f"the folder {name!r} holds no weights: model.safetensors is missing"
            )
        return str(folder)
    if folder.is_absolute() or name.startswith((".", "~")) or not _HUB_ID.fullmatch(name):
        raise CheckpointError(
            f"there is no model {name!r}: give {' or '.join(BUNDLED)}, a folder that exists, or a "
            'hub id such as "IDEA-Research/grounding-dino-tiny"'
        )
    return name


def load(
    model_class: type[Model],
    name: str,
    model_type: str,
    device: torch.device,
    dtype: torch.dtype,
    change: Callable[[Any], None] | None = None,
) -> Model:
    """Load a model for inference, whole or not at all.

    Args:
        model_class: the transformers class that knows the architecture.
        name: as in `locate`.
        model_type: what the checkpoint's configuration has to call itself.
        device: where the weights go.
        dtype: what floating point weights are converted to.
        change: changes the checkpoint's configuration in place, before the model is built.

    Raises:
        CheckpointError: no such model, another architecture, a damaged or incomplete file.
    """
    source = locate(name)
    try:
        _check_type(name, model_class.config_class.get_config_dict(source)[0], model_type)
        config = model_class.config_class.from_pretrained(source)
        if change:
            change(config)
        model, report = model_class.from_pretrained(
            source, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
        model = model.to(device)  # which may not have the room
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"the model {name!r} can't be loaded from {_where(source)}: {first_line(error)}"
        ) from error
    missing = sorted(report["missing_keys"]) + sorted(str(k) for k in report["mismatched_keys"])
    if missing:
        raise CheckpointError(
            f"the model {name!r} is incomplete: {len(missing)} of its weights are missing or have "
            f"another shape, the first is {missing[0]}"
        )
    return model.eval().requires_grad_(False)


def load_processors(name: str) -> tuple[PreTrainedTokenizerBase, BaseImageProcessor]:
    """What turns text and images into a detector's inputs; `name` as in `locate`.

    Raises:
        CheckpointError: the checkpoint comes without them.
    """
    source = locate(name)
    try:
        return AutoTokenizer.from_pretrained(source), AutoImageProcessor.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"the model {name!r} comes without a tokenizer or preprocessor_config.json: {error}"
        ) from error


def _check_type(name: str, config: dict[str, Any], model_type: str) -> None:
    """Refuse another architecture, which transformers takes with a warning and wrong weights."""
    found = config.get("model_type")
    if found != model_type:
        raise CheckpointError(f"the model {name!r} is a {found!r}, and a {model_type!r} is needed")


def _where(source: str) -> str:
    return f"the folder {source}" if Path(source).is_dir() else "the Hugging Face hub or its cache"
