"""What people would otherwise pick, written from how these are described and not copied.

- `PerFrame`: detect, then outline the boxes, on every frame: the image demo of Grounded-SAM-2
  (its README, and Ren et al., "Grounded SAM", arXiv 2401.14159).
- `Keyframes`: detect on every Nth frame, take the masks there as prompts of a video session, and
  let it propagate to the next: its tracking demo with continuous ids.
- `StockSession`: transformers' streaming session as its documentation shows it: boxes on the first
  frame, propagation from there on. Objects that come later are never found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from transformers import Sam2VideoModel, Sam2VideoProcessor

from gsam_ros import checkpoints

from .answers import Answer
from .contenders import Models
from .stock_models import StockDetector, StockImageSegmenter

SAME = 0.5
"""Least overlap of two masks on neighbouring frames that are the same object, in `PerFrame`."""

SAME_AS_TRACKED = 0.8
"""The same of a detection's mask and a propagated one on a keyframe, in `Keyframes`."""


class OverlapIds:
    """Ids by overlap: a mask takes the id of the mask it overlaps most, else the next new one."""

    def __init__(self, least: float) -> None:
        self._least = least
        self._next = 1
        self._ids = np.zeros(0, np.int64)
        self._masks = np.zeros((0, 1, 1), bool)

    def name(self, masks: np.ndarray) -> np.ndarray:
        """[N] ids of [N, H, W] masks; those become what the next ones are compared with."""
        ids = np.zeros(len(masks), np.int64)
        if len(masks) and len(self._masks):
            overlap = mask_iou(masks, self._masks)
            for row, column in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
                if overlap[row, column] > self._least:
                    ids[row] = self._ids[column]
        for row in np.flatnonzero(ids == 0):
            ids[row] = self._next
            self._next += 1
        self.know(ids, masks)
        return ids

    def know(self, ids: np.ndarray, masks: np.ndarray) -> None:
        """Compare the next masks with these."""
        self._ids, self._masks = ids, masks


def mask_iou(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[N, M] intersection over union of [N, H, W] and [M, H, W] bool masks."""
    a = some.reshape(len(some), -1).astype(np.float32)
    b = others.reshape(len(others), -1).astype(np.float32)
    both = a @ b.T
    return both / np.maximum(a.sum(1)[:, None] + b.sum(1)[None] - both, 1)


class PerFrame:
    """Every frame for itself. The demo gives no ids; here they come from overlap."""

    needs_whole_video = False

    def __init__(self, models: Models) -> None:
        self._detector = StockDetector(models)
        self._segmenter = StockImageSegmenter(models)

    def begin(self, prompt: str) -> None:
        self._prompt = prompt
        self._ids = OverlapIds(SAME)

    def prepare(self, image: np.ndarray) -> None:
        """Nothing is needed ahead of time."""

    @torch.inference_mode()
    def answer(self, images: Sequence[np.ndarray]) -> list[Answer]:
        return [self._one(image) for image in images]

    def _one(self, image: np.ndarray) -> Answer:
        found = self._detector.find(image, self._prompt)
        if not len(found.boxes):
            return Answer.nothing(*image.shape[:2])
        masks = self._segmenter.outline(image, found.boxes)
        return Answer(self._ids.name(masks), found.phrases, found.scores, masks)


class VideoSession:
    """transformers' session of one scene, and what both contenders below do with it."""

    def __init__(self, models: Models) -> None:
        source = checkpoints.locate(models.segmenter)
        self._models = models
        self._dtype = torch.bfloat16 if models.device.startswith("cuda") else torch.float32
        self.processor = Sam2VideoProcessor.from_pretrained(source)
        model = Sam2VideoModel.from_pretrained(source, dtype=self._dtype)
        self.model = model.to(models.device).eval()

    def open(self) -> None:
        """Start on an empty video."""
        self.session = self.processor.init_video_session(
            inference_device=self._models.device, dtype=self._dtype
        )

    def pixels(self, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """A frame as the model takes it, and its size."""
        inputs = self.processor(images=image, device=self._models.device, return_tensors="pt")
        return inputs.pixel_values[0], inputs.original_sizes[0]

    def masks(self, output: object, size: tuple[int, int]) -> np.ndarray:
        """[N, H, W] bool, in the order of the session's objects."""
        [masks] = self.processor.post_process_masks(
            [output.pred_masks], original_sizes=[list(size)], binarize=True
        )
        return masks[:, 0].cpu().numpy()


class Keyframes:
    """Detection on every Nth frame, a video session in between; the whole video lies in memory."""

    needs_whole_video = True

    def __init__(self, models: Models, every: int) -> None:
        """`every`: frames from one detection to the next."""
        self._every = every
        self._detector = StockDetector(models)
        self._segmenter = StockImageSegmenter(models)
        self._video = VideoSession(models)

    def begin(self, prompt: str) -> None:
        self._prompt = prompt
        self._video.open()
        self._ids = OverlapIds(SAME_AS_TRACKED)
        self._next = 0

    @torch.inference_mode()
    def prepare(self, image: np.ndarray) -> None:
        pixels, self._size = self._video.pixels(image)
        self._video.session.add_new_frame(pixels)
        self._video.session.video_height, self._video.session.video_width = self._size.tolist()

    @torch.inference_mode()
    def answer(self, images: Sequence[np.ndarray]) -> list[Answer]:
        answers: list[Answer] = []
        for start in range(0, len(images), self._every):
            part = images[start : start + self._every]
            answers += self._stretch(part)
            self._next += len(part)
        return answers

    def _stretch(self, images: Sequence[np.ndarray]) -> list[Answer]:
        """From one keyframe up to, and without, the next."""
        size = images[0].shape[:2]
        found = self._detector.find(images[0], self._prompt)
        if not len(found.boxes):
            self._ids.know(np.zeros(0, np.int64), np.zeros((0, *size), bool))
            return [Answer.nothing(*size) for _ in images]
        outlined = self._segmenter.outline(images[0], found.boxes)
        ids = self._ids.name(outlined)
        session = self._video.session
        session.reset_inference_session()
        self._video.processor.add_inputs_to_inference_session(
            session, frame_idx=self._next, obj_ids=ids.tolist(), input_masks=list(outlined)
        )
        # The frame of the next detection is tracked, too: its detections are compared with that.
        masks = [
            self._video.masks(output, size)
            for output in self._video.model.propagate_in_video_iterator(
                session, start_frame_idx=self._next, max_frame_num_to_track=len(images)
            )
        ]
        self._ids.know(ids, masks[-1])
        return [Answer(ids, found.phrases, found.scores, each) for each in masks[: len(images)]]


class StockSession:
    """transformers' streaming session: it keeps every frame and what came of it."""

    needs_whole_video = False

    def __init__(self, models: Models) -> None:
        self._detector = StockDetector(models)
        self._video = VideoSession(models)

    def begin(self, prompt: str) -> None:
        self._prompt = prompt
        self._video.open()
        self._phrases: tuple[str, ...] = ()

    def prepare(self, image: np.ndarray) -> None:
        """Nothing is needed ahead of time."""

    @torch.inference_mode()
    def answer(self, images: Sequence[np.ndarray]) -> list[Answer]:
        return [self._one(image) for image in images]

    def _one(self, image: np.ndarray) -> Answer:
        size = image.shape[:2]
        pixels, original = self._video.pixels(image)
        if not self._phrases and not self._prompt_session(image, original):
            return Answer.nothing(*size)
        output = self._video.model(inference_session=self._video.session, frame=pixels)
        return Answer(self._ids, self._phrases, self._scores, self._video.masks(output, size))

    def _prompt_session(self, image: np.ndarray, original: torch.Tensor) -> bool:
        """Give the session the boxes of its first frame; false where nothing was found yet."""
        found = self._detector.find(image, self._prompt)
        if not len(found.boxes):
            return False
        self._phrases, self._scores = found.phrases, found.scores
        self._ids = np.arange(1, len(found.boxes) + 1)
        self._video.processor.add_inputs_to_inference_session(
            inference_session=self._video.session,
            frame_idx=0,
            obj_ids=self._ids.tolist(),
            input_boxes=[found.boxes.tolist()],
            original_size=original,
        )
        return True
