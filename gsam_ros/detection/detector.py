"""The detector: images and an encoded prompt in, boxes with phrases out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import box_convert, nms
from transformers import AutoImageProcessor, AutoTokenizer, GroundingDinoForObjectDetection

from gsam_ros import checkpoints
from gsam_ros.detection.forward import encode_image, ground
from gsam_ros.detection.pixels import prepare
from gsam_ros.detection.text import EncodedText, encode_text
from gsam_ros.instances import Detections


class GroundingDetector:
    """Grounding DINO with phrase-true labels.

    A box's score for a phrase is the mean, over the phrase's own tokens, of the sigmoid of its
    logits, as in the authors' COCO evaluation; the box takes its best phrase. So no label is ever
    merged from two phrases or broken into word pieces.
    """

    def __init__(self, name: str, device: torch.device, dtype: torch.dtype = torch.float32):
        """Load a checkpoint.

        Args:
            name: as in `checkpoints.locate`.
            device: where it runs.
            dtype: of the weights.

        Raises:
            checkpoints.CheckpointError: it can't be loaded.
        """
        self.device, self.dtype = device, dtype
        self.model = checkpoints.load(
            GroundingDinoForObjectDetection, name, "grounding-dino", device, dtype
        )
        source = checkpoints.locate(name)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(source)
            self.processor = AutoImageProcessor.from_pretrained(source)
        except (OSError, ValueError) as error:
            raise checkpoints.CheckpointError(
                f"the model {name!r} comes without a tokenizer or preprocessor_config.json: {error}"
            ) from error

    def encode(self, phrases: tuple[str, ...]) -> EncodedText:
        """Run the text side for a prompt; keep the result for as long as the prompt stands.

        Raises:
            PromptError: a phrase is longer than the model's text limit.
        """
        return encode_text(self.model.model, self.tokenizer, phrases)

    @torch.inference_mode()
    def detect(
        self,
        images: Sequence[np.ndarray],
        text: EncodedText,
        threshold: float = 0.3,
        nms_iou: float = 0.6,
    ) -> list[Detections]:
        """Find the prompt's phrases in a batch of images.

        Args:
            images: each [H, W, 3] uint8 RGB, sizes may differ.
            text: what `encode` returned.
            threshold: least score of a detection.
            nms_iou: of two boxes that overlap by more, the weaker one is dropped.

        Returns:
            One `Detections` per image, best first.
        """
        batch = prepare(images, self.processor, self.device, self.dtype)
        vision = encode_image(self.model, batch.pixels, batch.mask)
        scores, boxes, phrases = [], [], []
        for group in text.groups:
            logits, group_boxes = ground(self.model, vision, group)
            best = (logits.sigmoid() @ group.phrase_of_token.to(logits.dtype)).max(-1)
            scores.append(best.values)
            phrases.append(group.phrase_index[best.indices])
            boxes.append(group_boxes)
        all_scores, all_phrases = torch.cat(scores, 1).float(), torch.cat(phrases, 1)
        all_boxes = box_convert(torch.cat(boxes, 1).float(), "cxcywh", "xyxy")
        all_boxes = all_boxes * batch.scale[:, None]
        found = []
        for image, image_boxes, image_scores, image_phrases in zip(
            images, all_boxes, all_scores, all_phrases, strict=True
        ):
            chosen = image_scores > threshold
            found.append(
                _strongest(
                    image_boxes[chosen],
                    image_scores[chosen],
                    image_phrases[chosen],
                    image.shape[:2],
                    nms_iou,
                )
            )
        return found


def _strongest(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    phrases: torch.Tensor,
    size: tuple[int, int],
    nms_iou: float,
) -> Detections:
    """Clip to the image ([H, W] = `size`), drop what has no area, suppress duplicates."""
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    boxes = torch.minimum(boxes.clamp(min=0), limit)
    solid = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
    boxes, scores, phrases = boxes[solid], scores[solid], phrases[solid]
    keep = nms(boxes, scores, nms_iou)
    return Detections(
        boxes[keep].cpu().numpy(), scores[keep].cpu().numpy(), phrases[keep].cpu().numpy()
    )
