"""The loss of fine-tuning: Grounding DINO's own, with denoising if asked for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import GroundingDinoForObjectDetection

from gsam_ros.training.detector.denoising_forward import DenoisingContent
from gsam_ros.training.detector.forward import Predicted, predict
from gsam_ros.training.detector.loss import denoising_sums, detection_sum
from gsam_ros.training.detector.matching import Targets, match_queries
from gsam_ros.training.fine_tuning.coco_batches import CocoBatch


class DetectorLoss(nn.Module):
    """A detector that answers a batch with its loss.

    It is the paper's (Liu et al., ECCV 2024, sec. 3.4): sigmoid focal loss on tokens, L1 and GIoU
    after Hungarian matching, for each decoder layer and for the tokens that propose the queries'
    boxes. Sums are returned, not means: whoever steps knows over how many objects, in how many
    batches and on how many devices.
    """

    def __init__(self, model: GroundingDinoForObjectDetection, denoising: bool) -> None:
        super().__init__()
        self.model = model
        self.content = DenoisingContent(model) if denoising else None

    def forward(self, batch: CocoBatch) -> dict[str, Tensor]:
        """Loss by part, summed over the batch's objects: "proposals", "decoder", "denoising"."""
        targets, queries = batch.targets, batch.queries
        denoising = None
        if self.content is not None and queries is not None:
            denoising = self.content, queries
        predictions = predict(
            self.model, batch.pixel_values, batch.input_ids, targets, batch.pixel_mask, denoising
        )
        proposals = strongest(predictions.tokens, self.model.config.num_queries)
        sums = {
            "proposals": _matched_sum(proposals, targets),
            "decoder": torch.stack(
                [_matched_sum(layer, targets) for layer in predictions.layers]
            ).sum(),
        }
        if denoising is not None and queries is not None:
            sums["denoising"] = torch.stack(
                denoising_sums(predictions, queries, targets, phrase_weight=0)
            ).sum()
        return sums


def strongest(predicted: Predicted, count: int) -> Predicted:
    """Those `count` predictions of each image with the best token, as the model chooses queries.

    transformers hands out these proposals as well, but cut off from the gradient.
    """
    logits, boxes = predicted
    best = logits.amax(-1).topk(min(count, logits.shape[1]), dim=1).indices[..., None]
    return (
        logits.gather(1, best.expand(-1, -1, logits.shape[-1])),
        boxes.gather(1, best.expand(-1, -1, 4)),
    )


def _matched_sum(predicted: Predicted, targets: Targets) -> Tensor:
    logits, boxes = predicted
    matches = match_queries(logits, boxes, targets)
    return detection_sum(logits, boxes, targets, matches, phrase_weight=0)
