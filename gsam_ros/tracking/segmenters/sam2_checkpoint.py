"""Meta's own SAM 2 checkpoints: a .pt file becomes a model of the `sam2` package, or a clear error.

A .pt file holds weights and no word about the architecture. Meta published four sizes of two
versions, which the weights' shapes tell apart whatever the file is called; any other architecture
is described by a file of the same name that ends in .yaml, as those in `sam2/configs`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from gsam_ros.checkpoints import CheckpointError
from gsam_ros.errors import first_line

ENDINGS = (".pt", ".pth")

_SIZES = {  # (channels of the first stage, blocks of the encoder)
    (96, 12): "t",
    (96, 16): "s",
    (112, 24): "b+",
    (144, 48): "l",
}
_PUBLISHED = {
    "tiny": "t",
    "small": "s",
    "base_plus": "b+",
    "large": "l",
}
_NEEDED = {  # what the operations in `sam2_operations` take for granted
    "use_high_res_features_in_sam": True,
    "use_mask_input_as_output_without_sam": True,
    "directly_add_no_mem_embed": True,
    "use_obj_ptrs_in_encoder": True,
    "pred_obj_scores": True,
    "fixed_no_obj_ptr": True,
    "soft_no_obj_ptr": False,
    "memory_temporal_stride_for_eval": 1,
    "backbone_stride": 16,
}


def published() -> tuple[str, ...]:
    """The names of Meta's files, such as "sam2.1_hiera_tiny.pt"."""
    return tuple(f"{v}_hiera_{size}.pt" for v in ("sam2.1", "sam2") for size in _PUBLISHED)


def load(name: str, image_size: int, device: torch.device) -> Any:
    """Build the model and load its weights, whole or not at all.

    Args:
        name: path of a .pt file, the name of one of Meta's files, or a hub id such as
            "facebook/sam2.1-hiera-tiny"; the latter two are downloaded.
        image_size: edge of the square that the model sees; 0: as it was trained.
        device: where the weights go.

    Returns:
        A `sam2.modeling.sam2_base.SAM2Base` for inference.

    Raises:
        CheckpointError: no such file, no sam2 package, damaged, or of an unknown architecture.
    """
    if find_spec("sam2") is None:
        raise CheckpointError(
            f"{name!r} needs the sam2 package, which is not installed: "
            "pip install --no-build-isolation sam2, or give a checkpoint in Hugging Face format"
        )
    file = _file(name)
    weights = _read(name, file)
    config = _configuration(name, file, weights)
    from hydra.utils import instantiate
    from omegaconf.errors import OmegaConfBaseException

    try:
        if image_size:
            _resize(config, image_size)
        model = instantiate(config)
        report = model.load_state_dict(weights, strict=False)
    except (OmegaConfBaseException, RuntimeError, ValueError, TypeError) as error:
        # hydra wraps what a constructor raises in an exception of its own, a RuntimeError
        raise CheckpointError(f"the model {name!r} can't be built: {first_line(error)}") from error
    wrong = [*report.missing_keys, *report.unexpected_keys]
    if wrong:
        raise CheckpointError(
            f"the model {name!r} does not fit its architecture: {len(wrong)} of its weights are "
            f"missing or unknown, the first is {wrong[0]}"
        )
    for setting, value in _NEEDED.items():
        if getattr(model, setting) != value:
            raise CheckpointError(
                f"the configuration of {name!r} sets {setting} to {getattr(model, setting)}, and "
                f"only {value} is supported"
            )
    return model.to(device).eval().requires_grad_(False)


def _file(name: str) -> Path:
    """The file on disk; Meta's are fetched from the hub or its cache."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.name == name and name in published():
        version, size = name.removesuffix(".pt").split("_hiera_")
        return _download(f"facebook/{version}-hiera-{size.replace('_', '-')}", name)
    owner, _, model = name.partition("/")
    file = model.replace("-hiera-", "_hiera_").replace("base-plus", "base_plus") + ".pt"
    if owner == "facebook" and file in published():
        return _download(name, file)
    raise CheckpointError(
        f"there is no file {name!r}: give the path of a .pt file of SAM 2, or one of "
        + ", ".join(published())
    )


def _download(repository: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, file))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file!r} can't be had from {repository} on the Hugging Face hub or its cache: "
            f"{first_line(error)}"
        ) from error


def _read(name: str, file: Path) -> dict[str, torch.Tensor]:
    """The weights; `weights_only` runs no code that a file may hold."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError, KeyError, ValueError) as error:
        raise CheckpointError(f"the file {name!r} can't be read: {first_line(error)}") from error
    weights = content.get("model") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or "maskmem_tpos_enc" not in weights:
        raise CheckpointError(
            f"the file {name!r} holds no SAM 2 video model: its weights have to lie under 'model', "
            "as in Meta's files"
        )
    return weights


def _configuration(name: str, file: Path, weights: dict[str, torch.Tensor]) -> Any:
    """The architecture: from the .yaml beside the file, or by the weights' shapes."""
    import sam2
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    own = file.with_suffix(".yaml")
    if own.is_file():
        source = own
    else:
        version = "sam2.1" if "no_obj_embed_spatial" in weights else "sam2"
        source = (
            Path(sam2.__path__[0])
            / "configs"
            / version
            / f"{version}_hiera_{_size(name, weights)}.yaml"
        )
    try:
        config: Any = OmegaConf.load(source)
        model = config["model"]
        _refuse_foreign(source, OmegaConf.to_container(model))
    except (OSError, OmegaConfBaseException, YAMLError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{source} does not describe a model as those in sam2/configs do: {error}"
        ) from error
    # As Meta's `build_sam2` has it for inference.
    stability = {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    }
    extra = "sam_mask_decoder_extra_args"
    OmegaConf.update(model, extra, {**stability, **(model.get(extra) or {})})
    return model


def _size(name: str, weights: dict[str, torch.Tensor]) -> str:
    first = weights.get("image_encoder.trunk.pos_embed")
    prefix = "image_encoder.trunk.blocks."
    blocks = {key.removeprefix(prefix).split(".")[0] for key in weights if key.startswith(prefix)}
    size = _SIZES.get((0 if first is None else first.shape[1], len(blocks)))
    if size is None:
        raise CheckpointError(
            f"the file {name!r} is none of Meta's four sizes: describe its architecture in a file "
            f"{Path(name).stem}.yaml beside it, as those in sam2/configs"
        )
    return size


def _refuse_foreign(source: Path, node: Any) -> None:
    """A configuration names the classes that it is built of: only those of sam2 are let in."""
    if isinstance(node, dict):
        target = node.get("_target_")
        if target is not None and not str(target).startswith("sam2.modeling."):
            raise CheckpointError(f"{source} asks for {target}, which is no part of sam2.modeling")
        for child in node.values():
            _refuse_foreign(source, child)
    elif isinstance(node, list):
        for child in node:
            _refuse_foreign(source, child)


def _resize(model: Any, image_size: int) -> None:
    model["image_size"] = image_size
    for part in ("self_attention", "cross_attention"):
        model["memory_attention"]["layer"][part]["feat_sizes"] = [image_size // 16] * 2
