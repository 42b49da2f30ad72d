"""A folder of images, or one image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gsam_ros.image_files import ImageFileError, read_image_file
from gsam_ros.instances import Frame
from gsam_ros.recordings.sources.source import (
    FOLDER_RATE,
    Item,
    Origin,
    Source,
    SourceError,
    Unreadable,
)

IMAGE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ImageSource(Source):
    """Images in the order of their names, numbers by their value: 9.png before 10.png."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._files = (
            [path]
            if path.is_file()
            else sorted(
                (file for file in path.iterdir() if file.suffix.lower() in IMAGE_ENDINGS),
                key=_natural,
            )
        )
        if not self._files:
            raise SourceError(
                f"{path} holds no images ({', '.join(IMAGE_ENDINGS)}) and no bag "
                "(metadata.yaml, .mcap or .db3)"
            )
        self.length = len(self._files)

    def items(self, skip: int = 0) -> Iterator[Item]:
        for index, file in enumerate(self._files[skip:], skip):
            stamp = round(index * 1e9 / FOLDER_RATE)
            origin = Origin(file.name, stamp)
            try:
                image = read_image_file(file)
            except ImageFileError as error:
                yield Unreadable("", stamp, origin, str(error))
                continue
            yield Frame(image, stamp, token=origin)

    def identity(self) -> dict[str, Any]:
        return {
            "kind": "images",
            "path": str(self._path.resolve()),
            "files": [file.name for file in self._files],
        }


def _natural(file: Path) -> list[tuple[int, str]]:
    """Sort key: text by its letters, digits by their value.

    >>> sorted(["b10.png", "b9.png", "a.png"], key=lambda name: _natural(Path(name)))
    ['a.png', 'b9.png', 'b10.png']
    """
    parts = re.split(r"(\d+)", file.name)
    return [(int(part), part) if part.isdigit() else (-1, part) for part in parts]
