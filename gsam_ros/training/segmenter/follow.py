"""Objects of a clip followed by a segmenter's memory, as a streaming session does."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Sam2VideoModel

from gsam_ros.training.segmenter.forward import (
    Prompts,
    decode,
    encode_images,
    prompt,
    recall,
    remember,
)
from gsam_ros.training.segmenter.model import IMAGE_SIZE
from gsam_ros.training.segmenter.pixels import boxes_around, normalise


@torch.no_grad()
def follow(
    model: Sam2VideoModel, images: np.ndarray, first_masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Masks bool [T, N, 256, 256] and scores [T, N] of the N objects boxed in frame 0.

    `images` uint8 [T, 256, 256, 3]; `first_masks` bool [N, 256, 256] give the boxes. The memory
    is that of a streaming session of `Sam2VideoModel`.
    """
    boxes = torch.from_numpy(boxes_around(first_masks.astype(np.uint8) * 255))
    same = torch.zeros(len(boxes), dtype=torch.long)
    propagated: list = []
    prompted: list = []
    masks, scores = [], []
    for t, image in enumerate(images):
        features = encode_images(model, normalise(torch.from_numpy(image)[None]))[same]
        if t == 0:
            decoded = prompt(model, features, Prompts.of_boxes(boxes))
        else:
            ages = [(t - born, memory) for born, memory in propagated]
            top = recall(model, features, [(t, prompted[0])], ages)
            decoded = decode(model, features, top, Prompts.none(len(top)))
        memory = remember(model, features, decoded, decoded.score > 0, prompted=t == 0)
        if t == 0:
            prompted.append(memory)
        else:
            window = model.config.max_object_pointers_in_encoder
            propagated = [*propagated[1 - window :], (t, memory)]
        masks.append(enlarge(decoded.logits, IMAGE_SIZE, IMAGE_SIZE).numpy())
        scores.append(decoded.score.numpy())
    return np.stack(masks), np.stack(scores)


@torch.no_grad()
def masks_of_boxes(model: Sam2VideoModel, image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Masks bool [N, 256, 256] out of the boxes around `truth` [N, 256, 256], without memory.

    `image` uint8 [256, 256, 3].
    """
    if len(truth) == 0:
        return truth
    boxes = torch.from_numpy(boxes_around(truth.astype(np.uint8) * 255))
    features = encode_images(model, normalise(torch.from_numpy(image)[None]))
    same = torch.zeros(len(boxes), dtype=torch.long)
    logits = prompt(model, features[same], Prompts.of_boxes(boxes)).logits
    return enlarge(logits, IMAGE_SIZE, IMAGE_SIZE).numpy()


def enlarge(logits: Tensor, height: int, width: int) -> Tensor:
    """Masks bool [N, height, width] out of logits [N, h, w], as the processor makes them."""
    large = F.interpolate(logits[:, None], (height, width), mode="bilinear", align_corners=False)
    return large[:, 0] > 0


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two boolean masks; 1 if both are empty."""
    union = np.count_nonzero(mask | truth)
    return float(np.count_nonzero(mask & truth) / union) if union else 1.0
