"""Small results for the tests of truths: runs that answer what they are told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from evaluation_cases import HEIGHT, PLACES, WIDTH, frame

from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.run_results import CameraResults, RunResults

STEP = 10**8
ANSWER = tuple[int, str, str]


def run(
    *frames: Sequence[ANSWER | tuple[int, str, str, float]],
    camera: str = "front",
    prompt: tuple[str, ...] = ("red mug", "green ball"),
    names: Mapping[int, str] | None = None,
) -> RunResults:
    """A run of one camera: frames with answers (id, phrase, place[, score]), 0.1 s apart."""
    answers = [answered(i, objects, camera) for i, objects in enumerate(frames)]
    stamps = tuple(answer.stamp for answer in answers)
    sizes = [tuple(answer.masks[0]["size"]) for answer in answers if answer.masks]
    size = sizes[0] if sizes else None
    results = CameraResults(camera, stamps, stamps, tuple(answers), (), names or {}, size)
    return RunResults(Path("run"), (results,), {1: prompt}, 1.0, ())


def answered(number: int, objects: Sequence[tuple], camera: str) -> FrameObjects:
    return replace(frame(number * STEP, *objects, camera=camera), prompt_version=1)


def xywh(place: str) -> list[float]:
    left, top, right, bottom = PLACES[place]
    return [float(left), float(top), float(right - left), float(bottom - top)]


def coco(
    objects: Mapping[str, Sequence[tuple[int, str, str]]],
    names: Sequence[str] = ("green ball", "red mug"),
    **image: object,
) -> dict:
    """A COCO data set without masks: file name to objects (id, phrase, place)."""
    images, annotations = [], []
    for number, (file, found) in enumerate(objects.items(), 1):
        images.append({"id": number, "file_name": file, "height": HEIGHT, "width": WIDTH, **image})
        for track, phrase, place in found:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1 + names.index(phrase),
                    "bbox": xywh(place),
                    "area": 256,
                    "iscrowd": 0,
                    "track_id": track,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}
