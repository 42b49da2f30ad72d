"""Results as one COCO-style JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gsam_ros.instances import FrameResult


class CocoFile:
    """Collects results; masks are run-length encoded, so hours of video fit into memory.

    The file is a COCO data set with `score` and `track_id` at every annotation, and `stamp_ns` at
    every image. Category ids are those of `label_info`: the phrase's place in the prompt, from 1.
    """

    def __init__(self) -> None:
        self._images: list[dict[str, Any]] = []
        self._categories: dict[str, int] = {}
        self._annotations: list[dict[str, Any]] = []

    def add(self, result: FrameResult) -> None:
        """Append a frame with its instances."""
        image_id = len(self._images) + 1
        height, width = result.frame.image.shape[:2]
        self._images.append(
            {
                "id": image_id,
                "file_name": str(result.frame.token),
                "height": height,
                "width": width,
                "stamp_ns": result.frame.stamp,
            }
        )
        phrases = result.prompt.classes if result.prompt else ()
        for phrase in phrases:
            self._categories.setdefault(phrase, len(self._categories) + 1)
        instances = result.instances
        for i, counts in enumerate(instances.masks.rle()):
            left, top, right, bottom = (float(edge) for edge in instances.boxes[i])
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": image_id,
                    "category_id": self._categories[phrases[instances.phrase_index[i]]],
                    "track_id": int(instances.track_id[i]),
                    "score": round(float(instances.scores[i]), 4),
                    "bbox": [left, top, right - left, bottom - top],
                    "area": int(instances.masks.areas[i]),
                    "segmentation": {"size": [height, width], "counts": counts},
                    "iscrowd": 0,
                }
            )

    def write(self, path: Path) -> None:
        """Write the file."""
        categories = [{"id": i, "name": name} for name, i in self._categories.items()]
        path.write_text(
            json.dumps(
                {
                    "images": self._images,
                    "categories": categories,
                    "annotations": self._annotations,
                }
            )
        )
