"""Do a step of the set-up only when what it depends on has changed."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path


def digest(paths: Iterable[Path], *words: str) -> str:
    """Return a hash of the contents and names of files and of some words."""
    total = hashlib.sha256(repr(words).encode())
    for path in sorted(paths):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def once(stamp: Path, value: str, title: str, action: Callable[[], None]) -> bool:
    """Run an action unless its stamp holds this value; return whether it ran.

    The stamp is taken away first and written last, so an interrupted step is done again.
    """
    if stamp.exists() and stamp.read_text() == value:
        return False
    print(f"==> {title}", flush=True)
    stamp.unlink(missing_ok=True)
    action()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(value)
    return True
