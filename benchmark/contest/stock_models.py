"""The same weights for every contender, in the classes of transformers that its users take.

The bundled demo-segmenter has the format of transformers and an image encoder that Meta's `sam2`
package does not have. So where Grounded-SAM-2 uses `SAM2ImagePredictor` and `SAM2VideoPredictor`,
the contenders use `Sam2Model` and `Sam2VideoModel`: transformers' ports of the same two, which
take real checkpoints, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from transformers import (
    AutoModelForZeroShotObjectDetection,
    AutoProcessor,
    Sam2Model,
    Sam2Processor,
)

from gsam_ros import checkpoints

from .contenders import Models

# Those of Grounded-SAM-2's image demo. A score is that of the best token here, not of the phrase:
# at our 0.3 there are several boxes per object, and nothing suppresses them.
BOX_THRESHOLD = 0.4
TEXT_THRESHOLD = 0.3


@dataclass(frozen=True)
class Boxes:
    """Detections of one image: [N, 4] float32 xyxy pixels, N names, [N] scores."""

    boxes: np.ndarray
    phrases: tuple[str, ...]
    scores: np.ndarray


class StockDetector:
    """Grounding DINO as transformers' documentation runs it: image and text together."""

    def __init__(self, models: Models) -> None:
        source = checkpoints.locate(models.detector)
        self._processor = AutoProcessor.from_pretrained(source)
        model = AutoModelForZeroShotObjectDetection.from_pretrained(source)
        self._model = model.to(models.device).eval()
        self._models = models

    def find(self, image: np.ndarray, prompt: str) -> Boxes:
        """Boxes with the labels that transformers' post-processing reads from the text."""
        inputs = self._processor(images=image, text=prompt, return_tensors="pt")
        inputs = inputs.to(self._models.device)
        with self._models.autocast():
            outputs = self._model(**inputs)
        [found] = self._processor.post_process_grounded_object_detection(
            outputs,
            inputs.input_ids,
            threshold=BOX_THRESHOLD,
            text_threshold=TEXT_THRESHOLD,
            target_sizes=[image.shape[:2]],
        )
        return Boxes(
            found["boxes"].float().cpu().numpy(),
            tuple(found["text_labels"]),
            found["scores"].float().cpu().numpy(),
        )


class StockImageSegmenter:
    """SAM 2 on single images: boxes in, masks out."""

    def __init__(self, models: Models) -> None:
        source = checkpoints.locate(models.segmenter)
        self._processor = Sam2Processor.from_pretrained(source)
        self._model = Sam2Model.from_pretrained(source).to(models.device).eval()
        self._models = models

    def outline(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """[N, H, W] bool masks of [N, 4] boxes, N >= 1."""
        inputs = self._processor(images=image, input_boxes=[boxes.tolist()], return_tensors="pt")
        sizes = inputs.pop("original_sizes")  # encoders of timm don't know it
        inputs = inputs.to(self._models.device)
        with self._models.autocast():
            outputs = self._model(**inputs, multimask_output=False)
        [masks] = self._processor.post_process_masks(outputs.pred_masks.float(), sizes)
        return masks[:, 0].cpu().numpy()
