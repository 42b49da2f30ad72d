"""The model on one device: a batch of images in, boxes with phrases out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torchvision.ops import nms
from transformers import BaseImageProcessor, GroundingDinoForObjectDetection

from gsam_ros.batches import Batches
from gsam_ros.detection.capacity import images_that_fit
from gsam_ros.detection.forward import find
from gsam_ros.detection.pixels import prepare, seen_size
from gsam_ros.detection.text import EncodedText
from gsam_ros.instances import Detections


class Replica:
    """One of the devices that share the work; several may share a model's weights."""

    def __init__(self, model: GroundingDinoForObjectDetection, processor: BaseImageProcessor):
        """Look with a model of `layers.replace_layers`, on its device."""
        self.model, self.processor = model, processor
        self.batches = Batches(
            "images at once in the detector", "give detector.slices.batch accordingly"
        )
        self._text: tuple[EncodedText, EncodedText] | None = None

    def look_in_turn(
        self,
        images: Sequence[torch.Tensor],
        text: EncodedText,
        threshold: float,
        nms_iou: float,
        weak_share: float = 1.0,
    ) -> list[Detections]:
        """Answer images [H, W, 3] uint8, as many at once as fit into memory."""
        height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
        seen = seen_size(height, width, self.processor)
        model = self.model
        batch = images_that_fit(model.config, seen, model.dtype, model.device)
        found = self.batches.in_turn(
            images, lambda some: self.look(some, text, threshold, nms_iou, weak_share), batch
        )
        return list(chain.from_iterable(found))

    @torch.inference_mode()
    def look(
        self,
        images: Sequence[torch.Tensor],
        text: EncodedText,
        threshold: float,
        nms_iou: float,
        weak_share: float = 1.0,
    ) -> list[Detections]:
        """One batch through the model; -1 is the phrase of boxes that went to a negative one."""
        device = self.model.device
        kept = self._text
        if kept is None or kept[0] is not text:
            # Another thread may look for something else meanwhile: what is kept is not read again.
            kept = self._text = text, text.to(device)
        text = kept[1]
        batch = prepare(images, self.processor, device, self.model.dtype)
        scores, phrases, boxes = find(self.model, batch.pixels, batch.mask, text.groups)
        boxes = boxes * batch.scale[:, None]
        least = text.least_scores(threshold, device)[phrases]
        chosen, strong = scores > least * weak_share, scores > least
        return [
            _strongest(
                boxes[i][chosen[i]],
                scores[i][chosen[i]],
                phrases[i][chosen[i]],
                strong[i][chosen[i]],
                (image.shape[0], image.shape[1]),
                nms_iou,
            )
            for i, image in enumerate(images)
        ]


def _strongest(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    phrases: torch.Tensor,
    strong: torch.Tensor,
    size: tuple[int, int],
    nms_iou: float,
) -> Detections:
    """Clip to the image ([H, W] = `size`), drop what has no area, suppress duplicates.

    No box that is not `strong` suppresses one that is.
    """
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    boxes = torch.minimum(boxes.clamp(min=0), limit)
    solid = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
    boxes, scores, phrases = boxes[solid], scores[solid], phrases[solid]
    keep = nms(boxes, scores + strong[solid], nms_iou)  # scores end at 1
    return Detections(
        boxes[keep].cpu().numpy(), scores[keep].cpu().numpy(), phrases[keep].cpu().numpy()
    )
