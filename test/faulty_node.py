"""The real node with faults of a device put into it, for test_node_failures.py.

Images whose first pixel is one of these make the tracker fail as hardware would, at the end of its
step, and the models can't be loaded while the file named by GSAM_TEST_FAULT is there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BROKEN = (1, 2, 3)
NO_MEMORY = (3, 2, 1)


def main() -> None:
    """Put the faults in, then run the node."""
    from gsam_ros import node
    from gsam_ros.instances import Frame, FrameResult
    from gsam_ros.node_process import main as run

    load = node.load_tracker

    def load_faulty(*args: Any, **options: Any) -> Any:
        tracker = load(*args, **options)
        if Path(os.environ["GSAM_TEST_FAULT"]).exists():
            raise RuntimeError("the device fell off the bus")
        step = tracker.step

        def faulty_step(frames: Sequence[Frame]) -> list[FrameResult]:
            results: list[FrameResult] = step(frames)
            for frame in frames:
                pixel = tuple(frame.image[0, 0].tolist())
                if pixel == BROKEN:
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")
                if pixel == NO_MEMORY:
                    raise MemoryError("CUDA out of memory")
            return results

        tracker.step = faulty_step
        return tracker

    node.load_tracker = load_faulty
    run()


if __name__ == "__main__":
    main()
