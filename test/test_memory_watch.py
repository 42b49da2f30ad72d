"""The memory of a process as the demo reports it."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from gsam_ros.process_memory import growth, resident_bytes
from gsam_ros.replay.memory_watch import MemoryWatch

MEGABYTE = 1_000_000
HUNGRY = """
import sys
print("before", flush=True)
sys.stdin.readline()
held = bytearray(b"x" * 60_000_000)
print("after", flush=True)
sys.stdin.readline()
"""


def test_what_a_process_takes_is_seen(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HUNGRY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    with process, MemoryWatch(process.pid) as watch:
        process.stdout.readline()
        before = resident_bytes(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        end = time.monotonic() + 30
        while time.monotonic() < end and watch.samples[-1:, 1].max(initial=0) < before + MEGABYTE:
            time.sleep(0.05)
        process.stdin.write("\n")
        process.stdin.flush()
    assert 55 * MEGABYTE < watch.samples[:, 1].max() - before < 130 * MEGABYTE
    watch.write(tmp_path / "memory.csv")
    header, *lines = (tmp_path / "memory.csv").read_text().split()
    assert header == "seconds,bytes"
    assert len(lines) == len(watch.samples)


def test_growth_leaves_the_beginning_out() -> None:
    seconds = np.arange(100.0)
    leaking = np.stack([seconds, 1e9 + 1e6 * seconds], 1)
    before, at_end = growth(leaking)
    assert 45e6 < at_end - before < 55e6
    warm_up = np.stack([seconds, np.where(seconds < 20, 5e8, 1e9)], 1)
    assert growth(warm_up) == (1e9, 1e9)
    assert np.isnan(growth(np.zeros((0, 2)))).all()
