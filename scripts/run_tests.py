"""Run every test: first those that may share the machine, on its cores, then those that may not.

python scripts/run_tests.py [ARGUMENTS OF PYTEST]
"""

from __future__ import annotations

import os
import subprocess
import sys

NOTHING_COLLECTED = 5
MOST = 4
"""Processes at once: each loads torch, and models."""


def main(arguments: list[str]) -> int:
    """Return pytest's exit status, of both parts together."""
    cores = len(os.sched_getaffinity(0))
    shared = ["-n", str(min(cores, MOST)), "--dist", "loadfile"] if cores > 1 else []
    statuses = [run("--alone=never", *shared, *arguments), run("--alone=only", *arguments)]
    return max((s for s in statuses if s != NOTHING_COLLECTED), default=NOTHING_COLLECTED)


def run(*arguments: str) -> int:
    """Run pytest in a process of its own; returns its exit status."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
