"""Pixels of the demo segmenter: pictures and masks squeezed to 256 x 256."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gsam_ros.training.segmenter.model import IMAGE_SIZE, PIXEL_MEAN, PIXEL_STD


def normalise(pixels: Tensor) -> Tensor:
    """float32 [N, 3, 256, 256] out of uint8 [N, 256, 256, 3], as the processor does."""
    mean, std = torch.tensor(PIXEL_MEAN) * 255, torch.tensor(PIXEL_STD) * 255
    return ((pixels.float() - mean) / std).permute(0, 3, 1, 2)


def squeeze(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize an image or a mask to 256 x 256."""
    if image.shape[:2] == (IMAGE_SIZE, IMAGE_SIZE):
        return image
    squeezed = cv2.resize(image, (IMAGE_SIZE, IMAGE_SIZE), interpolation=cv2.INTER_LINEAR)
    return squeezed.astype(np.uint8, copy=False)


def squeeze_masks(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """uint8 [N, 256, 256] out of bool [N, H, W]; 255 = covered."""
    squeezed = [squeeze(mask.astype(np.uint8) * 255) for mask in masks]
    return np.stack(squeezed) if squeezed else np.zeros((0, IMAGE_SIZE, IMAGE_SIZE), np.uint8)


def boxes_around(masks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[N, 4] boxes, far sides exclusive, around masks [N, H, W] > 127; zeros for empty ones."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks > 127, strict=True):
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes


def shrink(masks: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Averages of [N, 256, 256] over blocks: [N, size, size]."""
    small = [cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA) for mask in masks]
    return np.stack(small) if small else np.zeros((0, size, size), np.uint8)
