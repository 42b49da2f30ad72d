"""What subcommands share."""

from __future__ import annotations

import sys
from pathlib import Path


def fail(message: str) -> int:
    """Tell what went wrong; returns the exit status for it."""
    print(f"gsam: {message}", file=sys.stderr)
    return 1


def positive(text: str) -> int:
    """A number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is less than 1")
    return number


def bags_of_run(run: Path, truth: Path | None) -> tuple[Path, Path]:
    """The result bag and the truth of a run that was named on the command line."""
    result = run / "result" if (run / "result").is_dir() else run
    return result, truth or run / "sample"
