"""Many images through the model: as many at once as memory holds, on every device there is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import torch

from gsam_ros.instances import Detections

Look = Callable[[Sequence[torch.Tensor]], list[Detections]]
"""Runs the model on images [H, W, 3], and answers each."""

_LOG = logging.getLogger(__name__)


class Batches:
    """Cuts lists of images into batches, smaller ones from the moment memory runs out."""

    def __init__(self) -> None:
        self._fits: int | None = None  # images at once, where more were too many

    def in_turn(self, images: Sequence[torch.Tensor], batch: int, look: Look) -> list[Detections]:
        """Answer images in their order, at most `batch` at once.

        Raises:
            RuntimeError: a single image is too much, or something else is wrong.
        """
        found: list[Detections] = []
        while len(found) < len(images):
            size = min(batch, self._fits or batch)
            chunk = images[len(found) : len(found) + size]
            try:
                found += look(chunk)
            except RuntimeError as error:
                if len(chunk) == 1 or not _out_of_memory(error):
                    raise
                self._fits = len(chunk) // 2
                _LOG.warning(
                    "%d images at once don't fit into memory: %d from now on; give "
                    "detector.slices.batch accordingly",
                    len(chunk),
                    self._fits,
                )
        return found


def share_out(
    images: Sequence[torch.Tensor], batch: int, devices: Sequence[Look]
) -> list[Detections]:
    """Answer images of any sizes on several devices; whichever is free takes the next batch.

    Those of one size go together, so that none is padded; with several devices, few enough for each
    device to have some.

    Args:
        images: [H, W, 3] each.
        batch: images at once.
        devices: what looks on each.
    """
    members: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        members.setdefault(tuple(image.shape), []).append(index)
    jobs = []
    for indices in members.values():
        step = max(1, min(batch, -(-len(indices) // len(devices))))
        jobs += [indices[start : start + step] for start in range(0, len(indices), step)]
    found = [Detections.none()] * len(images)
    places, lock = count(), threading.Lock()

    def work(look: Look) -> None:
        while True:
            with lock:
                place = next(places)
            if place >= len(jobs):
                return
            answers = look([images[index] for index in jobs[place]])
            for index, answer in zip(jobs[place], answers, strict=True):
                found[index] = answer

    if len(devices) == 1 or len(jobs) == 1:
        work(devices[0])
        return found
    with ThreadPoolExecutor(len(devices), "detector") as pool:
        for task in [pool.submit(work, look) for look in devices]:
            task.result()
    return found


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether a device's memory ran out, or the CPU's, which has no exception of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
