"""How many images fit into the memory of a device at once."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import GroundingDinoConfig

_SHARE = 0.5
"""Of the free memory that one batch may take: the rest is for the segmenter and for others."""

_BACKBONE_MAPS = 16
"""Maps of the finest stage that live at once: an MLP of four times the width, before and after its
activation, and what attention and the shortcut keep."""

_MEMORY_INFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def images_that_fit(
    config: GroundingDinoConfig, size: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> int:
    """How many images of a size (height, width), as the model sees it, go through it at once.

    An estimate from what its largest layers hold; a single image is always tried.
    """
    free = free_bytes(device)
    if free is None:
        return 1 << 30  # nobody knows: a batch that is too large is halved when it fails
    return max(1, int(_SHARE * free / bytes_per_image(config, size, dtype)))


def bytes_per_image(
    config: GroundingDinoConfig, size: tuple[int, int], dtype: torch.dtype
) -> float:
    """Bytes that live at once while one image goes through the model: its two largest moments.

    Measured by the growth of a process in float32: 135 MB for grounding-dino-tiny at 400x533, where
    this says 223, and 4.4 MB for the bundled model at 192x256, where this says 9.
    """
    pixels = size[0] * size[1]
    backbone = config.backbone_config
    width = int(getattr(backbone, "embed_dim", getattr(backbone, "embedding_size", 128)))
    maps = pixels / 16 * width * _BACKBONE_MAPS
    # The finest of the levels has a stride of 8 (of 16 in the bundled model), each further one a
    # quarter of its tokens.
    stride = 32 // 2 ** (len(getattr(backbone, "out_features", None) or "abc") - 1)
    tokens = 4 / 3 * pixels / stride**2
    samples = config.encoder_attention_heads * config.num_feature_levels * config.encoder_n_points
    held = tokens * (2 * config.encoder_ffn_dim + 12 * config.d_model)
    # Places and weights of samples are float32 whatever the model is in.
    return (maps + held) * dtype.itemsize + tokens * samples * 6 * 4


def free_bytes(device: torch.device) -> int | None:
    """Bytes of memory that a device has left for us; None: it does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch keeps for later use is free for us.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + kept)
    if device.type != "cpu" or not _MEMORY_INFO.is_file():
        return None
    for line in _MEMORY_INFO.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
            break
    else:
        return None
    return min(free, _left_in_container(free))


def _left_in_container(default: int) -> int:
    """Bytes up to a container's limit (cgroup v2), the default where there is none."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except OSError:
        return default
    return default if limit == "max" else max(0, int(limit) - used)
