"""Why frames are given up: the causes that drops are counted under."""

from __future__ import annotations

BAD_IMAGE = "bad_image"
"""The message is no image that can be read."""
STAMP = "stamp"
"""The stamp is not newer than that of the camera's frame before."""
ERROR = "error"
"""The pipeline failed on this frame, which is a fault of ours or of the device."""
SUPERSEDED = "superseded"
"""A newer frame of the camera came before this one was chosen."""
QUEUE_FULL = "queue_full"
"""The queue of lossless mode had no place left."""
STOPPED = "stopped"
"""The node was deactivated while the frame waited."""


class BadFrameError(ValueError):
    """A frame that can't be used; the message says why and what to do.

    Attributes:
        cause: in one word, under which the drop is counted.
    """

    def __init__(self, message: str, cause: str = BAD_IMAGE) -> None:
        super().__init__(message)
        self.cause = cause
