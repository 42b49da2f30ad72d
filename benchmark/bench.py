"""This pipeline against what one would otherwise pick: time, memory and accuracy, as ratios.

Same weights, same frames, one process per contender, taking turns:

    make bench                      # or: python benchmark/bench.py --out out/bench
    python benchmark/bench.py --device cuda --detector IDEA-Research/grounding-dino-tiny \
        --segmenter facebook/sam2.1-hiera-tiny

Absolute times depend on the machine and on what else it does; read the ratios. Writes bench.json
and bench.png. `--memory-frames 2000` measures the memory of long runs instead of extrapolating it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

# The source tree: what `make setup` installs of gsam_ros are its messages.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# What is imported here is imported in each contender's process, too, and counts as its memory.
from contest.contenders import OURS, SLICED, STREAMS, Entry, Models


def main() -> int:
    """Run, print, write; returns the exit status."""
    options = _options()
    from contest.worker import ContenderError

    from gsam_ros.checkpoints import CheckpointError, locate
    from gsam_ros.pipeline.devices import DeviceError, choose_device

    if options.frames < 3 * options.every:
        print(f"bench: --frames {options.frames} is less than three times --every", file=sys.stderr)
        return 2
    try:
        options.device = str(choose_device(options.device))
        for name in (options.detector, options.segmenter):
            locate(name)  # before the minutes that scenes and contenders take
        _run(options)
    except (CheckpointError, ContenderError, DeviceError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    from contest import contest, figures, machine, report, scenes
    from contest.worker import ContenderError

    begin = time.monotonic()
    device, threads, every = options.device, options.threads, options.every
    models = Models(options.detector, options.segmenter, device)
    chosen = [OURS, *(name for name in options.contenders if name != OURS)]
    entries = [Entry(name, models, threads, every, tuple(options.set)) for name in chosen]
    sliced = [Entry(name, models, threads) for name in SLICED] if options.pictures else []
    about = machine.describe(device, threads)
    peak = machine.matrix_peak(device, threads)
    films = [scenes.film(seed, options.frames) for seed in options.seeds]
    measured, pairs = contest.run_streams(entries, films, every)
    long = measured
    if options.memory_frames:
        long = contest.run_memory(
            entries, options.seeds[0], options.memory_frames, every, options.memory_limit
        )
    try:
        of_pictures, found = contest.run_sliced(sliced, options.pictures)
    except ContenderError as error:  # what was measured until here is worth telling
        print(f"bench: large pictures are left out: {error}", file=sys.stderr)
        of_pictures, found = {}, {}
    # Once before and once after: what else the machine does can only make it less.
    about["peak_gflops"] = max(peak, machine.matrix_peak(device, threads))
    rows = figures.stream_rows(measured, pairs, about["peak_gflops"])
    rows += figures.sliced_rows(of_pictures, found, about["peak_gflops"])
    promises = figures.targets(rows, long)
    stages = {name: sum(ms) / len(ms) for name, ms in measured[OURS].stages.items()}
    about["seconds"] = round(time.monotonic() - begin)
    report.print_machine(about)
    report.print_rows(rows, every)
    report.print_targets(promises, stages)
    report.write(options.out, about, vars(options), rows, promises, measured, stages, long)
    print(f"\nbench.json and bench.png in {options.out}, {about['seconds']} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    parser.add_argument("--detector", default="demo-detector", help="name, folder or hub id")
    parser.add_argument("--segmenter", default="demo-segmenter", help="name, folder or hub id")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, auto, ...")
    parser.add_argument("--threads", type=int, default=2, help="that each contender computes with")
    parser.add_argument("--frames", type=int, default=80, help="of each scene")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="of the scenes")
    parser.add_argument(
        "--every", type=int, default=20, help="frames between keyframes' detections"
    )
    parser.add_argument("--pictures", type=int, default=2, help="large ones; 0: nothing is sliced")
    parser.add_argument(
        "--memory-frames", type=int, default=0, help="run ours and the stock session so long"
    )
    parser.add_argument(
        "--memory-limit", type=float, default=8000, help="MB at which the latter is stopped"
    )
    parser.add_argument(
        "--contenders", nargs="+", choices=STREAMS, default=list(STREAMS), help="beside ours"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of ours"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
