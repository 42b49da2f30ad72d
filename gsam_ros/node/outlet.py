"""Where the runner's results go: to their camera's topics; and what went wrong, to people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gsam_ros.instances import FrameResult
from gsam_ros.node.cameras import Cameras
from gsam_ros.pipeline.drops import ERROR, QUEUE_FULL, STOPPED, SUPERSEDED
from gsam_ros.pipeline.inbox import Arrival
from gsam_ros.stages import Stage

Say = Callable[[tuple[str, ...], str], None]
"""Tells people something, at times, by its kind."""

_WHY = {
    SUPERSEDED: "a newer image came before it was its turn",
    QUEUE_FULL: "the queue is full: play slower, or raise queue_size",
    STOPPED: "the node was deactivated while it waited",
}


class CameraOutlet:
    """The runner's `Outlet`, and what its inbox loses.

    The runner's thread calls it, and `give_up` whoever puts an image in or clears the inbox.

    Args:
        cameras: that frames come from.
        lossless: whether every frame is answered.
        warn: of what a user can mend.
        error: of what is a fault of ours or of the device.
    """

    def __init__(self, cameras: Cameras, lossless: bool, warn: Say, error: Say) -> None:
        self._cameras = cameras
        self._lossless = lossless
        self._warn = warn
        self._error = error

    def answer(self, arrival: Arrival, result: FrameResult, stages: Sequence[Stage]) -> None:
        """Publish a frame's results."""
        self._cameras[arrival.camera].publish(arrival, result, stages)

    def drop(self, arrival: Arrival, cause: str, reason: str) -> None:
        """Count a frame that could not be processed, answer it, and tell people why."""
        camera = self._cameras[arrival.camera]
        camera.publish_drop(arrival, cause, reason, answer=True)
        say = self._error if cause == ERROR else self._warn
        say((arrival.camera, cause), f"an image of {camera.topic} is dropped: {reason}")

    def notice(self, camera: str, topic: str, message: str) -> None:
        """Tell people of something about a camera."""
        self._cameras.notice(camera, topic, message)

    def give_up(self, arrival: Arrival, cause: str) -> None:
        """A frame had to give way in the inbox. Live that is the rule; lossless it is a loss."""
        camera = self._cameras.get(arrival.camera)
        if camera is None:  # taken away while its last image was on its way
            return
        reason = _WHY[cause]
        camera.publish_drop(arrival, cause, reason, answer=self._lossless)
        if cause == QUEUE_FULL:
            self._warn((arrival.camera, cause), f"an image of {camera.topic} is dropped: {reason}")
