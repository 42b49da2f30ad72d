"""The depth images that belong to a camera's frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image

from gsam_ros.bridge.depth_images import decode_depth, pinhole
from gsam_ros.bridge.raw_messages import read_message
from gsam_ros.bridge.stamps import nanoseconds, read_header
from gsam_ros.depth import Pinhole
from gsam_ros.node.backoff import Backoff
from gsam_ros.node.endpoints import subscribe
from gsam_ros.node.kept_depth import KeptDepth
from gsam_ros.pipeline.drops import BadFrameError

_FIRST = 2.0  # seconds for which the first image is waited for, if somebody publishes


class DepthCamera:
    """Subscribes a depth image and its camera_info, and finds those of a frame by its stamp.

    message_filters would decode every image and hand over pairs; here only few depth images are
    ever asked for, and long after they came.

    Args:
        node: has the topics.
        base: prefix of the topics `depth` and `camera_info`.
        tolerance: nanoseconds by which the stamps of a frame and of its depth image may differ.
        capacity: depth images that are kept beside those of frames in work.
        wanted: whether anybody listens to what depth is for; images are dropped meanwhile.
    """

    def __init__(
        self, node: Node, base: str, tolerance: int, capacity: int, wanted: Callable[[], bool]
    ) -> None:
        self._node = node
        self._base = base
        self._wanted = wanted
        self._kept = KeptDepth(tolerance, capacity)
        self._backoff = Backoff()
        self._first_due: float | None = None
        self._info: CameraInfo | None = None
        self._arrived = threading.Condition()
        self._subscriptions: list[Subscription] = []

    @property
    def topic(self) -> str:
        """The depth topic as it is after remapping."""
        resolved: str = self._node.resolve_topic_name(self._base + "depth")
        return resolved

    @property
    def info_topic(self) -> str:
        """The camera_info topic as it is after remapping."""
        resolved: str = self._node.resolve_topic_name(self._base + "camera_info")
        return resolved

    def subscribe(self, profile: QoSProfile, group: CallbackGroup) -> None:
        """Keep what comes from now on."""
        depth, info = self._base + "depth", self._base + "camera_info"
        self._subscriptions = [
            subscribe(self._node, Image, depth, self._receive, profile, group, raw=True),
        ]
        self._subscriptions.append(
            subscribe(self._node, CameraInfo, info, self._learn, profile, group)
        )

    def unsubscribe(self) -> None:
        """Take no more, and forget what was kept."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        with self._arrived:
            self._kept.clear()
            self._backoff.reset()
            self._first_due = None

    def expect(self, stamp: int) -> None:
        """A frame of `stamp` (nanoseconds) has come: its depth image stays until `dismiss`."""
        if self._wanted():
            with self._arrived:
                self._kept.expect(stamp)

    def dismiss(self, stamp: int) -> None:
        """That frame was answered, or given up."""
        with self._arrived:
            self._kept.dismiss(stamp)

    def view(self, stamp: int, patience: float) -> tuple[np.ndarray, Pinhole] | None:
        """The depth image of the frame of `stamp` ([H, W] float32 metres) and its camera.

        Args:
            stamp: nanoseconds; those of later calls are not older, but for what is expected.
            patience: seconds to wait for an image that is on its way; none is when the stream has
                stopped. Images that always come later than that are waited for now and then only.

        Returns:
            None where none came whose stamp is near enough.

        Raises:
            BadFrameError: the image or the camera_info can't be used; the message says which.
        """
        with self._arrived:
            waits = self._is_on_its_way(stamp) and self._backoff.is_over
            if waits:
                self._arrived.wait_for(lambda: not self._is_on_its_way(stamp), patience)
            found, info = self._kept.find(stamp), self._info
            if waits and self._kept.has_begun:  # for the first image _FIRST sets the limit
                self._backoff.count(found is not None)
        if found is None:
            return None
        if info is None:
            raise BadFrameError(
                f"a depth image came on {self.topic}, but no camera_info on {self.info_topic}: "
                "without it pixels have no place in metres"
            )
        try:
            depth = decode_depth(read_message(found, Image))
        except BadFrameError as error:
            raise BadFrameError(f"an image of {self.topic} is of no use: {error}") from error
        try:
            return depth, pinhole(info, depth.shape)
        except BadFrameError as error:
            raise BadFrameError(f"{self.info_topic} is of no use: {error}") from error

    def _is_on_its_way(self, stamp: int) -> bool:
        """Whether the stream runs and hasn't come up to `stamp` yet."""
        if self._kept.has_begun:
            return self._kept.is_due(stamp)
        if self._first_due is None:  # it is asked for an image for the first time
            self._first_due = time.monotonic() + _FIRST
        is_due = time.monotonic() < self._first_due
        return is_due and self._node.count_publishers(self.topic) > 0

    def _receive(self, data: bytes) -> None:
        if not self._wanted():
            return
        try:
            stamp = nanoseconds(read_header(data).stamp)
        except ValueError:
            return  # no message with a header: the image topic, whose messages look alike, tells
        with self._arrived:
            self._kept.add(stamp, data)
            self._arrived.notify_all()

    def _learn(self, message: CameraInfo) -> None:
        with self._arrived:
            self._info = message
            self._arrived.notify_all()
