"""From camera images to the tensor that Grounding DINO takes.

Resizing and normalising follow the checkpoint's own `preprocessor_config.json`, on the model's
device, with torchvision's antialiased bilinear filter, as transformers' processor does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.transforms.v2 import functional
from transformers import BaseImageProcessor

_THINNEST = 8
"""Shorter sides in a longer one. Thinner images are padded: they would have fewer tokens than the
decoder has queries."""


@dataclass(frozen=True)
class DetectorPixels:
    """A batch of images, resized, normalised and padded to one size.

    Attributes:
        pixels: [B, 3, H, W].
        mask: [B, H, W] int64, 1 on image and 0 on padding; [1, H, W] where none is padded, so that
            what depends on it alone is computed once.
        scale: [B, 4] (width, height, width, height) of the original images in pixels: factors for
            the model's boxes, which are in [0, 1] of the image without its padding.
    """

    pixels: torch.Tensor
    mask: torch.Tensor
    scale: torch.Tensor


def target_size(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    """The size that keeps the aspect: shortest edge as asked, unless the longest gets too long.

    The rounding is that of transformers' `get_size_with_aspect_ratio` (and of DETR).

    >>> target_size(480, 640, 800, 1333)
    (800, 1066)
    """
    low, high = min(height, width), max(height, width)
    raw = None
    if high / low * shortest > longest:
        raw = longest * low / high
        shortest = round(raw)
    if low == shortest:
        return height, width
    other = int((shortest if raw is None else raw) * high / low)
    return (shortest, other) if height <= width else (other, shortest)


def seen_size(height: int, width: int, processor: BaseImageProcessor) -> tuple[int, int]:
    """(height, width) at which the model sees an image of that size."""
    edges = processor.size
    seen = target_size(height, width, edges["shortest_edge"], edges["longest_edge"])
    return max(1, seen[0]), max(1, seen[1])  # of a line of pixels, rounding leaves nothing


def prepare(
    images: Sequence[np.ndarray | torch.Tensor],
    processor: BaseImageProcessor,
    device: torch.device,
    dtype: torch.dtype,
) -> DetectorPixels:
    """Resize, normalise and pad images ([H, W, 3] uint8 RGB, any sizes) into one batch.

    Images that lie on the device already, or are cut out of one that does, are not moved.
    """
    mean = torch.tensor(processor.image_mean, device=device).view(3, 1, 1)
    deviation = torch.tensor(processor.image_std, device=device).view(3, 1, 1)
    resized, original = [], []
    for image in images:
        height, width = image.shape[:2]
        size = seen_size(height, width, processor)
        # A channels-last view: the CPU's 8-bit filter works on it as it lies, without a copy.
        tensor = torch.as_tensor(image, device=device).permute(2, 0, 1)
        tensor = functional.resize(tensor, list(size), antialias=True)
        resized.append((tensor.float() / 255 - mean) / deviation)
        original.append((height, width))

    height, width = (max(tensor.shape[axis] for tensor in resized) for axis in (1, 2))
    least = max(height, width) // _THINNEST
    height, width = max(height, least), max(width, least)
    pixels = torch.zeros(len(resized), 3, height, width, device=device)
    padded = any(tensor.shape[1:] != (height, width) for tensor in resized)
    mask = torch.zeros(
        len(resized) if padded else 1, height, width, dtype=torch.int64, device=device
    )
    scale = torch.empty(len(resized), 4)
    for index, (tensor, (image_height, image_width)) in enumerate(
        zip(resized, original, strict=True)
    ):
        used_height, used_width = tensor.shape[1:]
        pixels[index, :, :used_height, :used_width] = tensor
        mask[index if padded else 0, :used_height, :used_width] = 1
        scale[index] = torch.tensor([image_width, image_height, image_width, image_height])
    pixels = pixels.to(dtype, memory_format=torch.channels_last)
    return DetectorPixels(pixels, mask, scale.to(device))
