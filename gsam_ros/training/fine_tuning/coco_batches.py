"""Training batches of a COCO data set: what each is depends only on the seed and its number.

So training can stop and go on, and several processes can share the batches out by number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from transformers import BaseImageProcessor, PreTrainedTokenizerBase

from gsam_ros.detection.pixels import prepare
from gsam_ros.training.detector.denoising import DenoisingQueries, NoiseSettings, draw_queries
from gsam_ros.training.detector.loss import phrase_token_masks
from gsam_ros.training.detector.matching import Targets
from gsam_ros.training.fine_tuning.coco_boxes import CocoBoxes, CocoError, LabelledImage, read_image
from gsam_ros.training.fine_tuning.coco_prompts import PromptMaker


@dataclass(frozen=True)
class CocoBatch:
    """B images with their prompts.

    Attributes:
        pixel_values: [B, 3, H, W], resized, normalised and padded as for detection.
        pixel_mask: int64 [B, H, W], 0 at padding.
        input_ids: [B, T].
        targets: what the prompts name.
        queries: noised ones, if any.
    """

    pixel_values: Tensor
    pixel_mask: Tensor
    input_ids: Tensor
    targets: Targets
    queries: DenoisingQueries | None

    def to(self, device: torch.device) -> CocoBatch:
        """The same on another device."""
        targets = Targets(
            [boxes.to(device) for boxes in self.targets.boxes],
            [named.to(device) for named in self.targets.phrases],
            self.targets.phrase_tokens.to(device),
            self.targets.text_mask.to(device),
        )
        return CocoBatch(
            self.pixel_values.to(device),
            self.pixel_mask.to(device),
            self.input_ids.to(device),
            targets,
            None if self.queries is None else self.queries.to(device),
        )


@dataclass(frozen=True)
class BatchMaker:
    """How images become batches.

    Attributes:
        tokenizer: of the checkpoint.
        processor: of the checkpoint.
        prompts: draws what is asked.
        noise: of the denoising queries; None: there are none.
        augmentation: "none"; "flip" mirrors half of the images, "crop" cuts them
            or makes them smaller besides.
    """

    tokenizer: PreTrainedTokenizerBase
    processor: BaseImageProcessor
    prompts: PromptMaker
    noise: NoiseSettings | None
    augmentation: str

    def make(self, rng: np.random.Generator, images: Sequence[LabelledImage]) -> CocoBatch:
        """Read, change and ask about the images.

        Raises:
            CocoError: an image can't be read.
        """
        pictures, boxes, named, asked = [], [], [], []
        for image in images:
            picture, corners, phrases = self._augment(rng, image)
            # Of what a crop leaves without a box, a part may still be to be seen.
            unsure = [*image.crowd_phrases.tolist(), *image.phrases.tolist()]
            numbers = self.prompts.draw(rng, phrases.tolist(), unsure)
            height, width = picture.shape[:2]
            fractions = corners / torch.tensor([width, height, width, height])
            centre, size = (
                (fractions[:, :2] + fractions[:, 2:]) / 2,
                fractions[:, 2:] - fractions[:, :2],
            )
            table = phrases[:, None] == torch.tensor(numbers, dtype=torch.long)[None]
            fit = table.any(1)  # not those whose phrase found no room in the prompt
            pictures.append(picture)
            boxes.append(torch.cat([centre, size], 1)[fit])
            named.append(table[fit])
            asked.append(numbers)
        texts = [self.prompts.text(numbers) for numbers in asked]
        tokens = self.tokenizer(texts, padding=True, return_tensors="pt")
        most = max(len(numbers) for numbers in asked)
        named = [torch.nn.functional.pad(t, (0, most - t.shape[1])) for t in named]
        targets = Targets(
            boxes, named, phrase_token_masks(tokens.input_ids), tokens.attention_mask.bool()
        )
        queries = None
        if self.noise is not None:
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            queries = draw_queries(targets, self.noise, generator)
        pixels = prepare(pictures, self.processor, torch.device("cpu"), torch.float32)
        mask = pixels.mask.expand(len(pictures), -1, -1)
        return CocoBatch(pixels.pixels, mask, tokens.input_ids, targets, queries)

    def _augment(
        self, rng: np.random.Generator, image: LabelledImage
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Picture [H, W, 3] uint8, boxes [N, 4] xyxy pixels and phrases [N]."""
        picture = torch.from_numpy(read_image(image))
        height, width = picture.shape[:2]
        phrases = torch.from_numpy(image.phrases)
        corners = torch.from_numpy(image.boxes)
        steps: list[torch.nn.Module] = []
        if self.augmentation != "none":
            steps.append(v2.RandomHorizontalFlip(0.5))
        if self.augmentation == "crop":
            fill = [round(255 * mean) for mean in self.processor.image_mean]
            steps.append(v2.RandomZoomOut(fill=fill, side_range=(1.0, 1.5), p=0.3))
            if len(corners):  # it looks for a part with an object
                steps.append(v2.RandomIoUCrop(min_scale=0.5, sampler_options=[0.5, 0.7, 0.9, 1.0]))
            steps.append(v2.SanitizeBoundingBoxes(labels_getter=lambda parts: parts[2]))
        if not steps:
            return picture, corners, phrases
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            whole, kept, left = v2.Compose(steps)(
                tv_tensors.Image(picture.permute(2, 0, 1)),
                tv_tensors.BoundingBoxes(corners, format="XYXY", canvas_size=(height, width)),
                phrases,
            )
        return whole.permute(1, 2, 0).as_subclass(Tensor), kept.as_subclass(Tensor), left


class CocoBatches(Dataset[CocoBatch | CocoError]):
    """Batch number `index` out of an endless supply: all images, shuffled anew each time round."""

    def __init__(self, data: CocoBoxes, maker: BatchMaker, size: int, seed: int) -> None:
        self.data, self.maker, self.size, self.seed = data, maker, size, seed

    def __getitem__(self, index: int) -> CocoBatch | CocoError:
        """An error is handed back: raised in a worker it would come with that one's traceback."""
        count = len(self.data.images)
        places = range(index * self.size, (index + 1) * self.size)
        images = [self.data.images[self._order(p // count)[p % count]] for p in places]
        try:
            return self.maker.make(np.random.default_rng([self.seed, 1, index]), images)
        except CocoError as error:
            return error

    def _order(self, lap: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 0, lap]).permutation(len(self.data.images))


def in_turn(batches: CocoBatches, numbers: Sequence[int], workers: int) -> Iterator[CocoBatch]:
    """Batches of these numbers, made by `workers` processes beside the training's.

    Raises:
        CocoError: an image can't be read.
    """
    # A generator of its own: else each start would draw from the one that dropout draws from.
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, CocoError):
            raise batch
        yield batch


def split(data: CocoBoxes, share: float, seed: int) -> tuple[CocoBoxes, CocoBoxes | None]:
    """Data for training and for validation, drawn at random; None where the share makes none.

    At least one image is left for training.
    """
    count = min(round(share * len(data.images)), len(data.images) - 1)
    if count == 0:
        return data, None
    order = np.random.default_rng([seed, 2]).permutation(len(data.images))
    held = set(order[:count].tolist())
    parts = [
        tuple(image for i, image in enumerate(data.images) if (i in held) == wanted)
        for wanted in (False, True)
    ]
    return replace(data, images=parts[0]), replace(data, images=parts[1])
