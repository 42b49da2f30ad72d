"""Many images through the model, on every device there is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import count

import torch

from gsam_ros.instances import Detections

Look = Callable[[Sequence[torch.Tensor]], list[Detections]]
"""Runs the model on images [H, W, 3], and answers each."""


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

    if len(devices) == 1 or len(jobs) <= 1:
        work(devices[0])
        return found
    # A new thread would queue behind what its device does for others, the masks of the next frame.
    stream = torch.cuda.current_stream(images[0].device) if images[0].is_cuda else None

    def work_in_stream(look: Look) -> None:
        with torch.cuda.stream(stream) if stream else nullcontext():
            work(look)

    with ThreadPoolExecutor(len(devices), "detector") as pool:
        for task in [pool.submit(work_in_stream, look) for look in devices]:
            task.result()
    return found
