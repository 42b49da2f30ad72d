"""Pictures of the world as a COCO data set, to train or measure any detector on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from gsam_ros.world.stills import Still
from gsam_ros.world.vocabulary import Pair, phrase_of


def write_coco(
    folder: Path, stills: Iterable[Still], name_of: Callable[[Pair], str] = phrase_of
) -> Path:
    """Write `images/000000.png`, ... and `coco.json` into `folder`; returns the latter's path.

    Args:
        folder: is made if it does not exist.
        stills: what to write.
        name_of: what the category of an object (colour, shape) is called.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for number, still in enumerate(stills):
        name = f"{number:06}.png"
        Image.fromarray(still.image).save(folder / "images" / name)
        height, width = still.image.shape[:2]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for box, pair in zip(
            still.boxes.tolist(), zip(still.colour, still.shape, strict=True), strict=True
        ):
            x0, y0, x1, y1 = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories.setdefault(name_of(pair), len(categories) + 1),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    named = [{"id": number, "name": name} for name, number in categories.items()]
    path = folder / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": named}))
    return path
