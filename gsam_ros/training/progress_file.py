"""How far a training has come, told to another process by a small file."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

_SECONDS = 0.5  # between two writings


class ProgressFile:
    """Writes `progress.json` into a training's folder: steps done, of how many."""

    def __init__(self, folder: Path, steps: int, before: int = 0) -> None:
        """Say that a training of so many steps, after `before` others, works in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._steps, self._before = folder / "progress.json", steps, before
        self._next = 0.0

    def tell(self, done: int) -> None:
        """Note that `done` steps are behind us."""
        now = time.monotonic()
        if now < self._next and done < self._steps:
            return
        self._next = now + _SECONDS
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"done": self._before + done, "of": self._before + self._steps}))
        os.replace(new, self._path)  # who reads it meanwhile gets the old one


def steps_done(folder: Path) -> int:
    """Steps that the training in `folder` has told of last; 0 where there was none yet."""
    path = folder / "progress.json"
    return int(json.loads(path.read_text())["done"]) if path.is_file() else 0
