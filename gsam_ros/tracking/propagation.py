"""Known objects on new frames, out of memory, batched over the objects of all cameras.

As many go together as the device's memory takes; how many do changes nothing but the last bits of
the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch

from gsam_ros.tracking.memory import TrackMemory, gather
from gsam_ros.tracking.segmenters.interface import ImageFeatures, Segmentation, SegmentationModel


def encode_images(model: SegmentationModel, images: Sequence[np.ndarray]) -> ImageFeatures:
    """Features of N >= 1 images, [H, W, 3] uint8 RGB of any sizes."""
    return ImageFeatures.concatenate(model.batches.images.in_turn(images, model.encode_image))


@torch.inference_mode()
def propagate(
    model: SegmentationModel,
    features: ImageFeatures,
    image_index: Sequence[int],
    memories: Sequence[TrackMemory],
    few: bool = False,
) -> Segmentation:
    """Segment each of N >= 1 remembered objects on the image that it is expected in.

    Memory attention takes no mask over keys, so objects are grouped by the shape of their memory;
    once the windows are full, and nobody was prompted anew, that is one group.

    Args:
        model: supplies the operations.
        features: of the new images.
        image_index: [N] which image of `features` each object lies in.
        memories: [N] what is known of each.
        few: attend to four of the spatial memories at most; cross attention, the larger part of
            the cost, goes with their number.
    """
    shapes = [memory.shape(few) for memory in memories]
    order = sorted(range(len(memories)), key=shapes.__getitem__)

    def segment(members: Sequence[int]) -> Segmentation:
        groups = groupby(members, key=shapes.__getitem__)
        remembered = [gather(model, [memories[m] for m in group], few) for _, group in groups]
        own = features[torch.tensor([image_index[m] for m in members], device=model.device)]
        return model.decode(own, model.attend(own, remembered))

    masks = Segmentation.concatenate(model.batches.attention.in_turn(order, segment))
    return masks[torch.tensor(order, device=model.device).argsort()]


@torch.inference_mode()
def segment_boxes(
    model: SegmentationModel,
    features: ImageFeatures,
    image_index: Sequence[int],
    boxes: torch.Tensor,
) -> Segmentation:
    """Masks of N >= 1 objects from their boxes.

    Args:
        model: supplies the operations.
        features: of the images.
        image_index: [N] which image each box is of.
        boxes: [N, 4] xyxy, as fractions of the image's width and height.
    """
    # In float32 whatever the weights are: bfloat16 has steps of 4 pixels above 512.
    corners = (boxes.float() * model.image_size).view(-1, 2, 2).to(model.device)
    labels = torch.tensor([2, 3], dtype=torch.int32, device=model.device).expand(len(boxes), -1)
    index = torch.tensor(image_index, device=model.device)

    def segment(rows: Sequence[int]) -> Segmentation:
        some = slice(rows[0], rows[-1] + 1)
        return model.prompt(features[index[some]], corners[some], labels[some])

    return Segmentation.concatenate(model.batches.prompts.in_turn(range(len(boxes)), segment))
