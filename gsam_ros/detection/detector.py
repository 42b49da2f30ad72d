"""The detector: images and an encoded prompt in, boxes with phrases out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from transformers import GroundingDinoForObjectDetection

from gsam_ros import checkpoints
from gsam_ros.detection.layers import replace_layers
from gsam_ros.detection.merging import combine
from gsam_ros.detection.pixels import seen_size
from gsam_ros.detection.replica import Replica
from gsam_ros.detection.settings import SliceSettings
from gsam_ros.detection.sharing import Look, share_out
from gsam_ros.detection.slicing import views
from gsam_ros.detection.text import EncodedText, encode_text
from gsam_ros.instances import Detections
from gsam_ros.prompts import Phrase

Choose = Callable[[np.ndarray], np.ndarray]
"""Out of the parts of an image, [V, 4] (x0, y0, x1, y1), those that are looked at."""

_LOG = logging.getLogger(__name__)


class GroundingDetector:
    """Grounding DINO with phrase-true labels.

    A box's score for a phrase is the mean, over the phrase's own tokens, of the sigmoid of its
    logits, as in the authors' COCO evaluation; the box takes its best phrase. So no label is ever
    merged from two phrases or broken into word pieces.
    """

    def __init__(
        self,
        name: str,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        devices: Sequence[torch.device] = (),
        phrases_at_once: int = 0,
    ):
        """Load a checkpoint.

        Args:
            name: as in `checkpoints.locate`.
            device: where it runs.
            dtype: of the weights.
            devices: that share the tiles of images; none: `device` alone. One that stands twice
                gets two batches at a time.
            phrases_at_once: that the model reads together, at most; 0: as many as its text limit
                allows.

        Raises:
            checkpoints.CheckpointError: it can't be loaded.
        """
        self.device, self.dtype = device, dtype
        self._phrases_at_once = phrases_at_once
        self._complaints: set[str] = set()
        models = {
            where: replace_layers(
                checkpoints.load(
                    GroundingDinoForObjectDetection, name, "grounding-dino", where, dtype
                )
            )
            for where in dict.fromkeys([device, *devices])
        }
        self.model = models[device]
        self.tokenizer, self.processor = checkpoints.load_processors(name)
        self._replicas = [Replica(models[where], self.processor) for where in (devices or [device])]

    @property
    def shortages(self) -> list[str]:
        """What does not fit into memory at the moment, for people; any thread may ask."""
        return [told for each in self._replicas if (told := each.batches.limit.shortage)]

    def encode(self, prompt: Sequence[Phrase | str]) -> EncodedText:
        """Run the text side for a prompt; keep the result for as long as the prompt stands.

        Args:
            prompt: phrases of `prompts.parse_prompt`, or plain names.

        Raises:
            PromptError: a phrase is longer than the model's text limit.
        """
        phrases = [Phrase(phrase) if isinstance(phrase, str) else phrase for phrase in prompt]
        return encode_text(self.model.model, self.tokenizer, phrases, self._phrases_at_once)

    @torch.inference_mode()
    def detect(
        self,
        images: Sequence[np.ndarray],
        text: EncodedText,
        threshold: float = 0.35,
        nms_iou: float = 0.6,
        slices: SliceSettings | None = None,
        choose: Sequence[Choose] | None = None,
        weak_share: float = 1.0,
    ) -> list[Detections]:
        """Find the prompt's phrases in a batch of images.

        Args:
            images: each [H, W, 3] uint8 RGB, sizes may differ.
            text: what `encode` returned.
            threshold: least score of a detection whose phrase has none of its own.
            nms_iou: of two boxes that overlap by more, the weaker one is dropped.
            slices: whether large images are looked at in tiles, too; None: never.
            choose: for each image, which of its parts to look at; None: all.
            weak_share: detections above this share of the phrase's threshold come after all others,
                unless an image is cut into tiles (merging would let weak boxes change strong ones).

        Returns:
            One `Detections` per image, best first.
        """
        on_device = [torch.as_tensor(image, device=self.device) for image in images]
        slices = slices or SliceSettings()
        parts = [self._parts(image.shape[:2], slices) for image in images]
        looks = partial(self._looks, text=text, threshold=threshold, nms_iou=nms_iou)
        found = [Detections.none()] * len(images)
        # Images of different cameras: what one is cut into must not change another's answer.
        whole = [i for i, boxes in enumerate(parts) if len(boxes) == 1]
        answers = share_out(
            [on_device[i] for i in whole], slices.batch, looks(weak_share=weak_share)
        )
        cut = [i for i, boxes in enumerate(parts) if len(boxes) > 1]
        answers += self._look_at(
            [parts[i] if choose is None else choose[i](parts[i]) for i in cut],
            [on_device[i] for i in cut],
            looks(weak_share=1.0),
            slices,
            nms_iou,
        )
        for i, answer in zip(whole + cut, answers, strict=True):
            found[i] = answer[answer.phrase_index >= 0]
        return found

    def _looks(
        self, text: EncodedText, threshold: float, nms_iou: float, weak_share: float
    ) -> list[Look]:
        return [
            partial(
                replica.look_in_turn,
                text=text,
                threshold=threshold,
                nms_iou=nms_iou,
                weak_share=weak_share,
            )
            for replica in self._replicas
        ]

    def _look_at(
        self,
        parts: Sequence[np.ndarray],
        images: Sequence[torch.Tensor],
        looks: Sequence[Look],
        slices: SliceSettings,
        nms_iou: float,
    ) -> list[Detections]:
        """Look at parts of images, and make one answer of each image's."""
        cut = [
            image[y0:y1, x0:x1]
            for image, boxes in zip(images, parts, strict=True)
            for x0, y0, x1, y1 in boxes.tolist()
        ]
        found = share_out(cut, slices.batch, looks)
        ends = np.cumsum([len(boxes) for boxes in parts])
        return [
            combine(found[end - len(boxes) : end], boxes, tuple(image.shape[:2]), slices, nms_iou)
            for image, boxes, end in zip(images, parts, ends, strict=True)
        ]

    def _parts(self, size: tuple[int, int], slices: SliceSettings) -> np.ndarray:
        """[V, 4] what there is to look at in an image of this (height, width)."""
        if slices.mode == "never":
            return np.array([[0, 0, size[1], size[0]]])
        for side, asked, most in (
            ("width", slices.width, size[1]),
            ("height", slices.height, size[0]),
        ):
            if asked > most:
                self._complain(
                    f"detector.slices.{side} is {asked}, and an image has {size[1]}x{size[0]} "
                    f"pixels: its tiles get {most}, the most that can be given"
                )
        seen = seen_size(*size, self.processor)
        return views(size, seen, self.processor.size["shortest_edge"], slices)

    def _complain(self, message: str) -> None:
        """Warn once."""
        if message not in self._complaints:
            self._complaints.add(message)
            _LOG.warning(message)
