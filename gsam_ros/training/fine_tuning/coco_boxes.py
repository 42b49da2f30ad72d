"""COCO data for training: images, boxes, and the phrase that names each box."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gsam_ros.image_files import ImageFileError, read_image_file


class CocoError(ValueError):
    """Data that can't be trained on; the message names what and where."""


@dataclass(frozen=True)
class LabelledImage:
    """One image of the data.

    Attributes:
        name: as the data calls it.
        file: where it is.
        size: (height, width).
        boxes: float32 [N, 4] xyxy pixels, inside the image.
        phrases: int64 [N], which of the data's phrases names each box.
        crowds: float32 [C, 4] likewise, regions with many objects that are not told apart.
        crowd_phrases: int64 [C].
    """

    name: str
    file: Path
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    phrases: NDArray[np.int64]
    crowds: NDArray[np.float32]
    crowd_phrases: NDArray[np.int64]


@dataclass(frozen=True)
class CocoBoxes:
    """A data set in the detector's words.

    Attributes:
        path: of the file.
        phrases: every phrase that names something, as the detector reads it.
        images: in the file's order, also those without an object.
        notes: what was left out, for people.
    """

    path: Path
    phrases: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    notes: tuple[str, ...] = ()


def read_image(image: LabelledImage) -> NDArray[np.uint8]:
    """Decode an image: uint8 [H, W, 3] RGB, without EXIF rotation, which COCO's boxes don't know.

    The pixels are those that the pipeline will see of the same file.

    Raises:
        CocoError: the file can't be read.
    """
    try:
        with Image.open(image.file) as opened:
            opened.load()  # complains of a JPEG that breaks off, which OpenCV fills up with grey
        return read_image_file(image.file)
    except (
        ImageFileError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
        ValueError,
    ) as error:
        raise CocoError(f"the image {image.file} can't be read: {error}") from error
