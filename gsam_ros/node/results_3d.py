"""What a camera with depth publishes in metres."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from gsam_ros.bridge.detections_3d import detection_3d_array, instance_cloud
from gsam_ros.depth import surfaces
from gsam_ros.instances import FrameResult
from gsam_ros.node.depth_camera import DepthCamera
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.drops import BadFrameError

_KEPT = 32  # depth images whose frames may be on their way: a second of 30 Hz
_PATIENCE_LIVE = 0.1  # seconds that results wait for a depth image that is on its way
_PATIENCE_LOSSLESS = 2.0


class Results3D:
    """`detections_3d` and `instance_cloud` of one camera.

    Args:
        node: has the topics.
        base: prefix of the camera's own topics, "NAME/" or nothing.
        publisher: makes a result topic of the camera.
        options: how depth is matched.
    """

    def __init__(
        self,
        node: Node,
        base: str,
        publisher: Callable[[type[Any], str], Publisher],
        options: NodeSettings,
    ) -> None:
        self._detections = publisher(Detection3DArray, "detections_3d")
        self._cloud = publisher(PointCloud2, "instance_cloud")
        lossless = options.mode == "lossless"
        self._patience = _PATIENCE_LOSSLESS if lossless else _PATIENCE_LIVE
        self._camera = DepthCamera(
            node,
            base,
            round(1e9 * options.depth_tolerance),
            _KEPT,
            lambda: self.is_wanted,
        )

    def subscribe(self, profile: QoSProfile, group: CallbackGroup) -> None:
        """Keep depth images from now on."""
        self._camera.subscribe(profile, group)

    def unsubscribe(self) -> None:
        """Take no more."""
        self._camera.unsubscribe()

    def expect(self, stamp: int) -> None:
        """A frame of `stamp` (nanoseconds) is on its way through the pipeline."""
        self._camera.expect(stamp)

    def dismiss(self, stamp: int) -> None:
        """It has come out, or was given up."""
        self._camera.dismiss(stamp)

    def publish(self, result: FrameResult, header: Header) -> None:
        """Send what the frame's depth image says of its instances.

        Raises:
            BadFrameError: there is no depth image that fits the frame; the message says why.
        """
        view = self._camera.view(result.frame.stamp, self._patience)
        if view is None:
            raise BadFrameError(
                f"no image of {self._camera.topic} has the stamp of the camera's image, give or "
                f"take depth_tolerance, or it comes over {self._patience:g} s after the other "
                "results: publish depth that is synchronised and registered, and sooner"
            )
        try:
            found = surfaces(result.instances.masks, *view)
        except ValueError as error:
            depth, masks = view[0], result.instances.masks
            blamed = self._camera
            registered = depth.shape == (masks.height, masks.width)
            topic = blamed.info_topic if registered else blamed.topic
            raise BadFrameError(
                f"{topic} must be registered to the camera's image and have its size: {error}"
            ) from error
        if self._detections.get_subscription_count():
            array = detection_3d_array(result.instances, found, result.prompt, header)
            self._detections.publish(array)
        if self._cloud.get_subscription_count():
            cloud = instance_cloud(result.instances, found, result.frame.image, header)
            self._cloud.publish(cloud)

    @property
    def is_wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(
            self._detections.get_subscription_count() or self._cloud.get_subscription_count()
        )
