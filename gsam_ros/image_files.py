"""Image files as arrays, decoded in one way wherever one is read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

# The file's own pixels count, as in a video: a rotation in EXIF is not applied.
_HOW = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


class ImageFileError(ValueError):
    """A file that can't be read as an image; the message says why, and leaves its name out."""


def read_image_file(path: Path) -> NDArray[np.uint8]:
    """Decode an image file: uint8 [H, W, 3] RGB, 16 bits a channel scaled down to 8.

    Raises:
        ImageFileError: it is no image, or none that can be decoded.
    """
    try:
        # OpenCV's own reading of files ends the process over a name that is not UTF-8.
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, _HOW) if len(data) else None
    except OSError as error:
        raise ImageFileError(error.strerror or str(error)) from error
    except cv2.error as error:  # e.g. a header that tells of too many pixels
        raise ImageFileError(f"OpenCV can't read it: {error}") from error
    if image is None:
        raise ImageFileError("it is no image that can be read")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
