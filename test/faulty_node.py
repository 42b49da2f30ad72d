"""The real node with faults of a device put into it, for test_node_failures.py.

Images whose first pixel is BROKEN or NO_MEMORY make the tracker fail as hardware would, at the end
of its step, from one with LOST on the device fails on everything, and with SLOW a step takes PAUSE
seconds more. From one with NARROW on the device has memory for one object at a time, from one with
FULL on not even for that, and from any other on for all. The models can't be loaded while the file
named by GSAM_TEST_FAULT is there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BROKEN = (1, 2, 3)
NO_MEMORY = (3, 2, 1)
LOST = (3, 1, 2)
SLOW, PAUSE = (2, 3, 1), 4.0
NARROW = (1, 1, 2)
FULL = (2, 1, 1)


def main() -> None:
    """Put the faults in, then run the node."""
    from gsam_ros.instances import Frame, FrameResult
    from gsam_ros.node import gsam_node as node
    from gsam_ros.node.process import main as run

    load = node.load_tracker
    fits = {NARROW: 1, FULL: 0}

    def load_faulty(*args: Any, **options: Any) -> Any:
        import torch  # here, as it takes seconds

        from gsam_ros import batches

        batches.PATIENCE = 1.0  # seconds until more is tried again
        tracker = load(*args, **options)
        if Path(os.environ["GSAM_TEST_FAULT"]).exists():
            raise RuntimeError("the device fell off the bus")
        step, attend, shown = tracker.step, tracker._segmenter.attend, [(0, 0, 0)]

        def faulty_attend(features: Any, memories: Sequence[Any]) -> Any:
            if sum(len(memory.tokens) for memory in memories) > fits.get(shown[0], 1000):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return attend(features, memories)

        def faulty_step(frames: Sequence[Frame]) -> list[FrameResult]:
            pixels = [tuple(frame.image[0, 0].tolist()) for frame in frames]
            shown[0] = pixels[0]
            results: list[FrameResult] = step(frames)
            for pixel in pixels:
                if pixel == SLOW:
                    time.sleep(PAUSE)
                if pixel == BROKEN:
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")
                if pixel == LOST:
                    tracker.is_lost = lambda: True
                    raise RuntimeError("CUDA error: device-side assert triggered")
                if pixel == NO_MEMORY:
                    raise MemoryError("CUDA out of memory")
            return results

        tracker.step, tracker._segmenter.attend = faulty_step, faulty_attend
        return tracker

    node.load_tracker = load_faulty
    run()


if __name__ == "__main__":
    main()
