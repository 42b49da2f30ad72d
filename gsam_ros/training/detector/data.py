"""Training batches of the demo detector: pictures of the demo world and prompts about them.

A batch depends only on the seed and on its number, so training can stop and go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import BertTokenizer

from gsam_ros.training.detector.loss import phrase_token_masks
from gsam_ros.training.detector.matching import Targets
from gsam_ros.training.detector.prompts import PromptMix, draw_phrases, join
from gsam_ros.training.detector.words import build_tokenizer
from gsam_ros.training.scenes import draw_scene, film_still, resize_still
from gsam_ros.training.together import Team
from gsam_ros.world.stills import Still, draw_still
from gsam_ros.world.vocabulary import COLOURS, SEEN, SHAPES, UNNAMED_PAIRS

SIZES = ((192, 256), (192, 256), (192, 256), (224, 224), (160, 256), (256, 192))
"""(height, width) in pixels that batches are drawn at; the first is a 4:3 camera's."""

_ENLARGED = 0.3
"""Share of the pictures above that size that are drawn at it and enlarged, as a small camera's."""

STRIDES = (16, 32, 64)
_LABEL_STRIDES = STRIDES[:2]
_COLOURS = tuple(COLOURS)
TRAINING_PAIRS = (*SEEN, *5 * UNNAMED_PAIRS)
"""What training draws from: four objects in ten have a colour without a name.

Seen in a handful of colours only, a shape is soon known by them, and a red cone, held out of
training, is anything but a cone. Colours without a name go with all shapes alike.
"""


@dataclass
class Batch:
    """B pictures of one size with their prompts.

    images: uint8 [B, H, W, 3] RGB. input_ids: [B, T]. targets: what the prompts name.
    cells: for strides 16 and 32, int64 [B, h, w, 2]: colour and shape index of the object at the
    cell's centre, -1 where there is none; the colour is also -1 where it has no name.
    """

    images: Tensor
    input_ids: Tensor
    targets: Targets
    cells: list[Tensor]

    @property
    def level_shapes(self) -> list[tuple[int, int]]:
        """(height, width) of the detector's feature levels."""
        height, width = self.images.shape[1:3]
        return [(-(-height // s), -(-width // s)) for s in STRIDES]


class DetectorBatches(Dataset[Batch]):
    """Batch number `index` out of an endless supply; those of a team's processes differ."""

    def __init__(
        self,
        seed: int,
        batch_size: int,
        mix: PromptMix | None = None,
        team: Team | None = None,
        filmed: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        """Give `filmed` and `scale` where the detector is to be taught about rooms in detail.

        Args:
            seed: of everything that is drawn.
            batch_size: pictures of a batch.
            mix: what prompts are about.
            team: the processes that share the work.
            filmed: share of the pictures of a camera's shape that show rooms (`scenes`).
            scale: how much larger than `SIZES` the pictures are, at least 1.
        """
        self.seed, self.batch_size, self.mix = seed, batch_size, mix or PromptMix()
        self.filmed, self.scale = filmed, scale
        self.team = team or Team()
        self.tokenizer = build_tokenizer()

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng([self.seed, index])
        base = SIZES[rng.integers(len(SIZES))]  # of all processes: none waits for another
        height, width = (round(side * self.scale) for side in base)
        if self.team.place:
            rng = np.random.default_rng([self.seed, index, self.team.place])
        rooms = self.filmed if base == SIZES[0] else 0.0
        stills = self._film(rng, height, width, rooms) if rooms else []
        while len(stills) < self.batch_size:
            enlarged = self.scale > 1 and rng.random() < _ENLARGED
            still = draw_still(rng, *(base if enlarged else (height, width)), TRAINING_PAIRS)
            stills.append(resize_still(still, height, width) if enlarged else still)
        return make_batch(rng, stills, self.tokenizer, self.mix)

    def _film(self, rng: np.random.Generator, height: int, width: int, share: float) -> list[Still]:
        """Pictures of one room: to draw another takes as long as ten of its frames."""
        if not (count := rng.binomial(self.batch_size, share)):
            return []
        scene = draw_scene(rng, TRAINING_PAIRS)
        return [film_still(rng, scene, height, width) for _ in range(count)]


def make_batch(
    rng: np.random.Generator,
    stills: list[Still],
    tokenizer: BertTokenizer,
    mix: PromptMix | None = None,
) -> Batch:
    """Draw a prompt for each still and put everything into tensors."""
    height, width = stills[0].image.shape[:2]
    scale = np.array([width, height, width, height], np.float32)
    prompts, boxes, named = [], [], []
    for still in stills:
        pairs = list(zip(still.colour, still.shape, strict=True))
        phrases = draw_phrases(rng, pairs, mix)
        prompts.append(join(phrases))
        table = np.array([[p.names(pair) for p in phrases] for pair in pairs], bool)
        table = table.reshape(len(pairs), len(phrases))
        asked = table.any(1)
        corners = still.boxes[asked] / scale
        centre, size = (
            (corners[:, :2] + corners[:, 2:]) / 2,
            corners[:, 2:] - corners[:, :2],
        )
        boxes.append(torch.from_numpy(np.concatenate([centre, size], 1)))
        named.append(torch.from_numpy(table[asked]))
    tokens = tokenizer(prompts, padding=True, return_tensors="pt")
    phrase_tokens = phrase_token_masks(tokens.input_ids)
    count = phrase_tokens.shape[1]
    named = [torch.nn.functional.pad(table, (0, count - table.shape[1])) for table in named]
    targets = Targets(boxes, named, phrase_tokens, tokens.attention_mask.bool())
    cells = [
        torch.from_numpy(np.stack([label_cells(still, stride) for still in stills]))
        for stride in _LABEL_STRIDES
    ]
    images = np.stack([still.image for still in stills])
    return Batch(torch.from_numpy(images), tokens.input_ids, targets, cells)


def normalise(images: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] to what the processor makes of it: float32 [B, 3, H, W]."""
    mean = torch.tensor([0.485, 0.456, 0.406]) * 255
    deviation = torch.tensor([0.229, 0.224, 0.225]) * 255
    return ((images - mean) / deviation).permute(0, 3, 1, 2).contiguous()


def label_cells(still: Still, stride: int) -> np.ndarray:
    """Label each cell by the object at its centre: int64 [h, w, 2], -1 for background.

    The two are colour and shape index; an unnamed colour is -1. A cell that sticks out of the
    picture, as the network pads it, with its centre is background.
    """
    height, width = still.image.shape[:2]
    labels = np.full((-(-height // stride), -(-width // stride), 2), -1, np.int64)
    centre = slice(stride // 2, None, stride)
    masks = still.masks[:, centre, centre]
    cells = labels[: masks.shape[1], : masks.shape[2]]
    for mask, colour, shape in zip(masks, still.colour, still.shape, strict=True):
        named = colour in COLOURS
        cells[mask] = _COLOURS.index(colour) if named else -1, SHAPES.index(shape)
    return labels


def load_batches(batches: DetectorBatches, first: int, last: int) -> DataLoader[Batch]:
    """Batches number `first` to `last` (exclusive), drawn by one process beside the training's."""
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(first, last),
        num_workers=1,
        prefetch_factor=16,
        worker_init_fn=_one_thread,
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
