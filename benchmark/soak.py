"""Memory of the process over a long stream: objects come and go, and nothing may grow.

    python -m benchmark.soak --frames 10000

One camera of a demo world after the other is played for 200 frames on one stream, whose stamps go
on; so objects enter, leave, return and are replaced, tracks are lost and end. Prints the resident
memory every 500 frames, and at the end its growth since frame 500. The exit status is 1 where it
grew by 1 % or more.

Threads share two of glibc's arenas, and the machine gives back once a minute what the allocator
keeps free, both as in the node. Measured is right after it was given back: what is kept between two
such moments is told besides, and varies by some per cent from one frame to the next.
"""

from __future__ import annotations

import argparse
import sys
from itertools import count, islice

import torch
from tqdm import tqdm

from benchmark.sequences import PERIOD, World
from gsam_ros.instances import Frame
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.settings import Settings
from gsam_ros.process_memory import resident_bytes, share_arenas, trim
from gsam_ros.settings import with_texts

SEED, SHOT, EVERY = 3000, 200, 500


def main() -> None:
    """Run, print, judge."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--frames", type=int, default=10_000)
    arguments.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = arguments.parse_args()

    share_arenas()
    torch.set_num_threads(1)
    machine = GroundedTracker(with_texts(Settings(device="cpu"), options.set))
    machine.set_prompt("red mug. ball. cone. cross.")
    images = (frame.image for seed in count(SEED) for frame, _ in World(seed, SHOT))
    base, held, ids, most = 0, 0, set(), 0
    for index, image in enumerate(tqdm(islice(images, options.frames), total=options.frames)):
        [result] = machine.step([Frame(image, index * PERIOD, "soak")])
        ids.update(result.instances.track_id.tolist())
        most = max(most, len(result.instances))
        if (index + 1) % EVERY == 0:
            kept = resident_bytes()
            trim()
            held = resident_bytes()
            base = base or held
            print(
                f"frame {index + 1}: {held / 1e6:.1f} MB ({kept / 1e6:.1f} before the trim), "
                f"{100 * (held / base - 1):+.2f} % since frame {EVERY}; {len(ids)} objects so far, "
                f"{most} at most at once",
                flush=True,
            )
    sys.exit(base > 0 and held / base - 1 >= 0.01)


if __name__ == "__main__":
    main()
