"""The running node under load: how many frames are answered, how old they are, what is lost.

    python -m benchmark.load                              # 1, 2, 4, 8 cameras, two of 1920x1080
    python -m benchmark.load --loads 2x640x480@30 4x640x480@15 --seconds 60
    python -m benchmark.load --minutes 60 --loads 2x640x480@30        # one long stream

The real node in live mode with the bundled models, cameras in a process of their own, everything
over DDS, all topics but the overlay subscribed. Each load is a fresh node. Cameras, node and this
client share the machine's cores, as they would on a robot.

A round is the time from when a step begins to read its frames until its last results have left.
Live, a frame waits for at most one round before its own, so ages stay within two rounds and the
transport, at any load: the rest is dropped and counted. Age p99 over round p50 says whether that
holds. ROS is what it takes per frame from the message to pixels and from results to messages,
without the models. "cores: all" is what the whole machine used, for whomever.

With --minutes the memory and the ages are taken every --every seconds; the exit status is 1 where
memory grew by 2 % or more from the second quarter to the last, or ages by half. Tables go to
--out as well, as load.md or stream.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmark.load_run import Figures, Load, stream

LOADS = ("1x640x480@30", "2x640x480@30", "4x640x480@30", "8x640x480@30", "2x1920x1080@30")
WARM_UP = 5.0  # seconds that are not counted: tracks begin, the first drops


def load_of(text: str) -> Load:
    """The load that is typed as CAMERASxWIDTHxHEIGHT@RATE."""
    cameras, _, rest = text.partition("x")
    size, _, rate = rest.partition("@")
    return Load(int(cameras), size, float(rate or 30))


def table(rows: Iterable[tuple[Load, float, Figures]]) -> str:
    """Markdown; `float` is the rate at which the cameras really went."""
    lines = [
        "| cameras | sent Hz | in Hz | out Hz | dropped | age p50 / p99 ms | round p50 / p99 ms "
        "| age p99 / round p50 | ROS p50 ms | cores: node, all | node MB |",
        "|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for load, sent, figures in rows:
        drops = ", ".join(f"{n} {cause}" for cause, n in figures.drops.items() if n) or "none"
        lines.append(
            f"| {load} | {sent:.1f} | {figures.received / figures.seconds:.1f} "
            f"| {figures.processed / figures.seconds:.1f} | {drops} "
            f"| {figures.age_p50:.0f} / {figures.age_p99:.0f} "
            f"| {figures.round_p50:.0f} / {figures.round_p99:.0f} "
            f"| {figures.age_p99 / figures.round_p50:.2f} "
            f"| {figures.ros_p50:.1f} | {figures.node_cpu:.2f}, {figures.busy:.2f} "
            f"| {figures.memory:.0f} |"
        )
    return "\n".join(lines)


def all_loads(loads: Sequence[Load], seconds: float, out: Path, parameters: list[str]) -> str:
    """Run them one after the other; the table."""
    rows = []
    with _bar(len(loads) * (seconds + WARM_UP)) as bar:
        for index, load in enumerate(loads):
            bar.set_description(str(load))
            logs = out / f"load{index}"
            with stream(load, logs, parameters) as running:
                running.measure(WARM_UP, bar.update)
                figures = running.measure(seconds, bar.update)
                if running.stopped:
                    break
            sent = json.loads((logs / "sent.json").read_text())
            rows.append((load, sent["images"] / sent["seconds"], figures))
    return table(rows)


def long_stream(
    load: Load, minutes: float, every: float, out: Path, parameters: list[str]
) -> tuple[str, bool]:
    """One stream, looked at every so often; the table, and whether nothing grew."""
    taken: list[Figures] = []
    with stream(load, out / "stream", parameters) as running, _bar(60 * minutes) as bar:
        running.measure(WARM_UP, lambda _: None)
        while bar.n < 60 * minutes - 1 and not running.stopped:
            taken.append(running.measure(min(every, 60 * minutes - bar.n), bar.update))
            newest = taken[-1]
            bar.set_postfix_str(f"{newest.memory:.0f} MB, age p99 {newest.age_p99:.0f} ms")
    lines = ["| minute | out Hz | age p50 / p99 ms | node cores | node MB |", "|" + "---:|" * 5]
    for index, figures in enumerate(taken):
        lines.append(
            f"| {(index + 1) * every / 60:.2f} | {figures.processed / figures.seconds:.1f} "
            f"| {figures.age_p50:.0f} / {figures.age_p99:.0f} | {figures.node_cpu:.2f} "
            f"| {figures.memory:.1f} |"
        )
    memory, age = (
        _growth([getattr(figures, name) for figures in taken]) for name in ("memory", "age_p50")
    )
    lines.append("")
    lines.append(
        f"{load}: from the second quarter to the last memory grew by {100 * memory:+.2f} %, the "
        f"median age by {100 * age:+.1f} %."
    )
    return "\n".join(lines), memory < 0.02 and age < 0.5


def _bar(seconds: float) -> tqdm:
    form = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}{postfix}]"
    return tqdm(total=seconds, bar_format=form)


def _growth(values: Sequence[float]) -> float:
    """From the second quarter's median to that of the last, as a share."""
    quarters = np.array_split(np.array(values), 4)
    return float(np.median(quarters[3]) / np.median(quarters[1]) - 1)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loads", nargs="+", type=load_of, default=[load_of(t) for t in LOADS])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each load")
    parser.add_argument("--minutes", type=float, help="one long stream of the first load")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two looks at it")
    parser.add_argument("--out", type=Path, default=Path("out/load"))
    parser.add_argument("--set", action="append", default=[], metavar="NAME:=VALUE")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    before = os.getloadavg()[0]
    good = True
    if options.minutes:
        load = options.loads[0]
        text, good = long_stream(load, options.minutes, options.every, options.out, options.set)
    else:
        text = all_loads(options.loads, options.seconds, options.out, options.set)
    text += (
        f"\n\n{os.cpu_count()} cores, load average {before:.1f} before; "
        f"{' '.join(options.set) or 'default parameters'}.\n"
    )
    (options.out / ("stream.md" if options.minutes else "load.md")).write_text(text)
    print(text)
    sys.exit(not good)


if __name__ == "__main__":
    main()
