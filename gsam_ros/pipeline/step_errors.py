"""Errors of a step that name the cameras at fault, or say that nothing was lost."""

from __future__ import annotations

from collections.abc import Iterable


class CamerasFailed(RuntimeError):
    """An earlier request for some cameras makes this step impossible; no frame was processed.

    Raised `from` what went wrong.

    Attributes:
        cameras: whose frames are to blame.
    """

    def __init__(self, cameras: Iterable[str]) -> None:
        self.cameras = frozenset(cameras)
        super().__init__(f"of the cameras {', '.join(map(repr, sorted(self.cameras)))}")


class DeviceLost(RuntimeError):
    """The device answers nothing in this process any more, whatever is asked of it.

    Raised `from` what went wrong.
    """


class NothingBegun(RuntimeError):
    """A step ended before it changed a track: frames are lost, and nothing else is.

    Raised `from` what went wrong.
    """
