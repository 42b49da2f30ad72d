"""How a step fails that says more of it than that it failed."""

from __future__ import annotations

from collections.abc import Iterable


class CamerasFailed(RuntimeError):
    """A step can't be made for what was asked of some of its cameras before; nothing was begun.

    Raised `from` what went wrong.

    Attributes:
        cameras: whose frames are to blame.
    """

    def __init__(self, cameras: Iterable[str]) -> None:
        self.cameras = frozenset(cameras)
        super().__init__(f"of the cameras {', '.join(map(repr, sorted(self.cameras)))}")


class NothingBegun(RuntimeError):
    """A step ended before it changed a track: frames are lost, and nothing else is.

    Raised `from` what went wrong.
    """
