"""How long the node takes to end when it is told to: while it streams, loads, or is in a long step.

    python -m benchmark.endings --times 20

Every other time the signal is SIGTERM, else SIGINT. While it loads, the moments are spread evenly
over the time from its start to its readiness. It prints the exit statuses too: 0 is an end in
order, and before Python has come to our first line a signal ends the process as it ends any.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.camera_feed import READY
from gsam_ros.processes import Child
from gsam_ros.replay.family import Family

_PATIENCE = 180.0  # seconds for the models to load and the camera to be drawn
_PARAMETERS = ("cameras:=['cam0']", "prompt:='red mug. blue box. purple ball. green star.'")
_LONG_STEP = (  # hundreds of tiles, and masks wait for them
    "detector.beside:=never",
    "detector.slices.mode:=always",
    "detector.slices.width:=64",
    "detector.slices.height:=64",
)
_LIMIT = 2.0  # seconds that were promised


def ending(node: Child, number: int) -> tuple[float, int]:
    """Seconds from a signal to the end, and the exit status."""
    start = time.monotonic()
    os.kill(node.pid, number)
    while node.status is None:
        time.sleep(0.002)
        if time.monotonic() - start > 30:
            os.kill(node.pid, signal.SIGKILL)
    return time.monotonic() - start, node.status


def run(
    logs: Path,
    environment: dict[str, str],
    parameters: Sequence[str],
    wait: Callable[[Child], None],
) -> Child:
    """The node, when the moment to end it has come."""
    given = [part for parameter in parameters for part in ("-p", parameter)]
    command = [sys.executable, "-m", "gsam_ros.node.process", "--ros-args", *given]
    node = Child("gsam_node", command, logs / "gsam_node.log", environment)
    try:
        wait(node)
    except BaseException:
        node.stop()
        raise
    return node


def wait_until_ready(node: Child) -> None:
    """Wait until the models are loaded.

    Raises:
        ProcessError: they never will be.
    """
    end = time.monotonic() + _PATIENCE
    while not node.says("ready: "):
        if node.status is not None or time.monotonic() > end:
            raise node.failure("the node did not come to be ready")
        time.sleep(0.05)


def main() -> None:
    """Measure and print a line for each situation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="of each situation")
    parser.add_argument("--only", choices=("streaming", "loading", "long step"))
    options = parser.parse_args()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as logs, Family(Path(logs)) as family:
        camera = family.start("camera", "-m", "benchmark.camera_feed", "--size", "640x480")
        family.wait_for(camera, READY, _PATIENCE)
        loads: list[float] = []
        start = partial(run, Path(logs), family.environment)

        def streaming(node: Child) -> None:
            begin = time.monotonic()
            wait_until_ready(node)
            loads.append(time.monotonic() - begin)
            time.sleep(2 + random.random())

        situations: dict[str, tuple[Sequence[str], Callable[[int], Callable[[Child], None]]]] = {
            "streaming": (_PARAMETERS, lambda _: streaming),
            "long step": (_PARAMETERS + _LONG_STEP, lambda _: streaming),
            "loading": (
                _PARAMETERS,
                lambda i: lambda _: time.sleep((i + 0.5) / options.times * float(np.median(loads))),
            ),
        }
        for name, (parameters, moment) in situations.items():
            if options.only not in (None, name):
                continue
            if not loads:
                ending(start(parameters, streaming), signal.SIGTERM)
            seconds, statuses = [], Counter[int]()
            for i in range(options.times):
                node = start(parameters, moment(i))
                number = signal.SIGTERM if i % 2 else signal.SIGINT
                took, status = ending(node, number)
                seconds.append(took)
                statuses[status] += 1
                if status > 0:
                    print(node.failure(f"{name}: status {status}"), flush=True)
            p50, p90, most = np.percentile(seconds, (50, 90, 100))
            late = sum(took > _LIMIT for took in seconds)
            print(
                f"{name}: p50 {p50:.2f} s, p90 {p90:.2f} s, most {most:.2f} s, {late} of "
                f"{len(seconds)} over {_LIMIT:g} s; statuses {dict(statuses)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
