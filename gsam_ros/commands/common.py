"""What subcommands share: numbers and folders on a command line, and how they fail."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Number = TypeVar("Number", int, float)


def fail(message: str) -> int:
    """Tell what went wrong; returns the exit status for it."""
    print(f"gsam: {message}", file=sys.stderr)
    return 1


def number(
    kind: Callable[[str], Number], fits: Callable[[Number], bool], wanted: str
) -> Callable[[str], Number]:
    """A type for argparse: numbers of a `kind` that fit; `wanted` describes them."""

    def read(text: str) -> Number:
        try:
            if fits(value := kind(text)):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"{text!r} does not fit: write {wanted}")

    return read


positive = number(int, lambda n: n >= 1, "a whole number of at least 1")
count = number(int, lambda n: n >= 0, "a whole number of at least 0")
zero_or_more = number(float, lambda n: 0 <= n < math.inf, "a number of 0 or more")
above_zero = number(float, lambda n: 0 < n < math.inf, "a number above 0")


def folder(text: str) -> Path:
    """A folder to write to, for argparse: told before anything is computed."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file: give a folder")
    return path
