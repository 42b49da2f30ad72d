"""Results as one COCO-style JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from gsam_ros.instances import FrameResult


def image_entry(result: FrameResult, image_id: int, name: str) -> dict[str, Any]:
    """A frame as COCO's `images` has it, with its stamp and its camera."""
    height, width = result.frame.image.shape[:2]
    return {
        "id": image_id,
        "file_name": name,
        "height": height,
        "width": width,
        "stamp_ns": result.frame.stamp,
        "camera": result.frame.camera,
    }


def annotation_entries(
    result: FrameResult, image_id: int, first_id: int, categories: list[str]
) -> list[dict[str, Any]]:
    """A frame's instances as COCO's `annotations` has them, with `score` and `track_id`.

    Args:
        result: the frame.
        image_id: of its entry.
        first_id: of the first of these annotations.
        categories: phrases, whose places from 1 are the category ids; the prompt's are added.
    """
    phrases = result.prompt.classes if result.prompt else ()
    categories += [phrase for phrase in phrases if phrase not in categories]
    instances = result.instances
    size = [instances.masks.height, instances.masks.width]
    entries = []
    for i, counts in enumerate(instances.masks.rle()):
        left, top, right, bottom = (float(edge) for edge in instances.boxes[i])
        entries.append(
            {
                "id": first_id + i,
                "image_id": image_id,
                "category_id": 1 + categories.index(phrases[instances.phrase_index[i]]),
                "track_id": int(instances.track_id[i]),
                "score": round(float(instances.scores[i]), 4),
                "bbox": [left, top, right - left, bottom - top],
                "area": int(instances.masks.areas[i]),
                "segmentation": {"size": size, "counts": counts},
                "iscrowd": 0,
            }
        )
    return entries


def write_line(stream: TextIO, entry: dict[str, Any]) -> None:
    """Append an entry as a line of its own."""
    stream.write(json.dumps(entry) + "\n")


def join_coco(
    path: Path, images: Iterable[Path], annotations: Iterable[Path], categories: Sequence[str]
) -> None:
    """Write one COCO file out of files of lines, a line at a time however long they are."""
    named = [{"id": i, "name": name} for i, name in enumerate(categories, 1)]
    with path.open("w") as out:
        out.write(f'{{"categories": {json.dumps(named)}')
        for key, files in (("images", images), ("annotations", annotations)):
            out.write(f', "{key}": [')
            separator = "\n"
            for file in files:
                with file.open() as lines:
                    for line in lines:
                        out.write(separator + line.rstrip("\n"))
                        separator = ",\n"
            out.write("\n]")
        out.write("}\n")
