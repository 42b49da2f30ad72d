"""Which model package runs a checkpoint, and at which size."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from gsam_ros.checkpoints import CheckpointError, locate
from gsam_ros.tracking.segmenters.sam2_checkpoint import ENDINGS
from gsam_ros.tracking.segmenters.sam2_operations import Sam2Operations
from gsam_ros.tracking.segmenters.sam2_package import Sam2Package
from gsam_ros.tracking.segmenters.transformers_edgetam import TransformersEdgeTam
from gsam_ros.tracking.segmenters.transformers_sam2 import TransformersSam2
from gsam_ros.tracking.settings import SegmenterSettings

_ADAPTERS: dict[str, type[Sam2Package] | type[TransformersSam2]] = {
    "transformers": TransformersSam2,
    "sam2": Sam2Package,
    "edgetam": TransformersEdgeTam,
}


def load_segmenter(
    settings: SegmenterSettings, device: torch.device, dtype: torch.dtype = torch.float32
) -> Sam2Operations:
    """The segmentation model that the settings ask for.

    Raises:
        CheckpointError: it can't be loaded, or not as the settings say.
    """
    package = package_of(settings)
    adapter = _ADAPTERS[package]
    size = settings.image_size
    if size % adapter.size_step:
        raise CheckpointError(
            f"segmenter.image_size is {size}: give a multiple of {adapter.size_step}, or 0 for "
            "the checkpoint's own"
        )
    try:
        model = adapter(settings.model, device, dtype, size)
    except CheckpointError as error:
        if settings.package == "auto":
            raise
        raise CheckpointError(f"{error} (segmenter.package is {package!r})") from error
    trained = model.num_memories
    if settings.memories > trained:
        raise CheckpointError(
            f"segmenter.memories is {settings.memories}, and {settings.model!r} was trained with "
            f"{trained}: give 1 to {trained}, or 0 for all"
        )
    model.num_memories = settings.memories or trained
    return model


def package_of(settings: SegmenterSettings) -> str:
    """What `segmenter.package` says; where that is auto, what the checkpoint looks like.

    A .pt file is Meta's, a folder says what it is in its config.json, and a hub id is taken by its
    name.

    Raises:
        CheckpointError: the package can't be the one for this checkpoint.
    """
    name, package = settings.model, settings.package
    is_file = name.endswith(ENDINGS)
    if package == "auto":
        if is_file:
            return "sam2"
        return "edgetam" if "edgetam" in _model_type(name).lower() else "transformers"
    if is_file and package != "sam2":
        raise CheckpointError(
            f"segmenter.package is {package!r}, and {name!r} is a file for the package sam2: "
            "set segmenter.package to auto or sam2"
        )
    return package


def _model_type(name: str) -> str:
    source = locate(name)
    file = Path(source) / "config.json"
    if not file.is_file():
        return source
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"the model {name!r} can't be loaded: {file}: {error}") from error
    return str(found.get("model_type"))
