"""The last stage of a step: masks are outlined anew, where memory allows for it."""

from __future__ import annotations

from collections.abc import Sequence

from gsam_ros.batches import Shortage
from gsam_ros.instances import Instances
from gsam_ros.tracking.camera_tracks import View
from gsam_ros.tracking.tracker import InstanceTracker


class Refining:
    """Refines what a tracker shows; a device without memory for it costs no frame.

    Args:
        tracker: whose masks are outlined.
    """

    def __init__(self, tracker: InstanceTracker) -> None:
        self._tracker = tracker
        self._memory = Shortage(
            "there is no memory to outline masks anew, they stay coarse",
            "memory is there again: masks are outlined anew",
        )

    @property
    def shortage(self) -> str:
        """For people, while masks are shown as tracking has them; else empty."""
        return self._memory.told

    def show(self, views: Sequence[View]) -> list[Instances]:
        """What is visible in the images of the newest step."""
        refined = self._memory.attempt(lambda: self._tracker.refine(views))
        if refined is None:
            return [self._tracker.instances(view.camera) for view in views]
        return refined
