"""One camera's topics: its images in, its results out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from gsam_ros.bridge.compressed_images import decode_compressed_image
from gsam_ros.bridge.detections import detection_array
from gsam_ros.bridge.images import decode_image, encode_image
from gsam_ros.bridge.instances import instance_array
from gsam_ros.bridge.label_info import label_info
from gsam_ros.bridge.masks import instance_mask, semantic_mask
from gsam_ros.bridge.raw_messages import read_message
from gsam_ros.bridge.stamps import nanoseconds, read_header
from gsam_ros.bridge.status import frame_status
from gsam_ros.drawing import draw_instances
from gsam_ros.instances import Frame, FrameResult
from gsam_ros.msg import FrameStatus, InstanceArray
from gsam_ros.node import qos
from gsam_ros.node.endpoints import advertise, subscribe
from gsam_ros.node.lifecycle import TransitionError
from gsam_ros.node.results_3d import Results3D
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.drops import BAD_IMAGE, SUPERSEDED, BadFrameError
from gsam_ros.pipeline.inbox import Arrival
from gsam_ros.pipeline.statistics import CameraStatistics
from gsam_ros.prompts import Prompt
from gsam_ros.settings import SettingError
from gsam_ros.stages import Stage


class RawImage(NamedTuple):
    """An image message as it came, of which only the header was read."""

    header: Header
    data: bytes
    compressed: bool


def decode(arrival: Arrival) -> Frame:
    """The frame of an arrival whose payload is a `RawImage`.

    Raises:
        BadFrameError: the image can't be read.
    """
    raw: RawImage = arrival.payload
    if raw.compressed:
        image = decode_compressed_image(read_message(raw.data, CompressedImage))
    else:
        image = decode_image(read_message(raw.data, Image))
    return Frame(image, arrival.stamp, arrival.camera, raw.header)


class Camera:
    """The subscription, the publishers and the statistics of one camera.

    Args:
        node: has the topics.
        name: of the camera; empty for the only one.
        options: how images come in and results go out.
        notice: tells people of something, by its kind and in words.

    Raises:
        TransitionError: an override of a topic's quality of service can't be used.
        SettingError: its transport is not known, or whether it has depth.
    """

    def __init__(
        self, node: Node, name: str, options: NodeSettings, notice: Callable[[str, str], None]
    ) -> None:
        self.name = name
        self.statistics = CameraStatistics()
        self.last_drop = ""
        self.frame_id = ""
        self._node = node
        self._notice = notice
        self._compressed = options.transport(name) == "compressed"
        inputs = f"{name}/" if name else ""
        self._topic = inputs + "image" + "/compressed" * self._compressed
        self._subscription: Subscription | None = None
        self._announced: tuple[int, float] | None = None
        own, base = qos.result(options.result_depth), f"~/{inputs}"
        self._publishers: list[Publisher] = []

        def publisher(kind: type[Any], topic: str, profile: QoSProfile = own) -> Publisher:
            made = advertise(node, kind, base + topic, profile)
            self._publishers.append(made)
            return made

        self._metres: Results3D | None = None
        try:
            self._label_info = publisher(LabelInfo, "label_info", qos.latched())
            self._detections = publisher(Detection2DArray, "detections")
            self._instances = publisher(InstanceArray, "instances")
            self._instance_mask = publisher(Image, "instance_mask")
            self._semantic_mask = publisher(Image, "semantic_mask")
            self._overlay = publisher(Image, "overlay")
            self._frame_status = publisher(FrameStatus, "frame_status")
            if options.has_depth(name):
                self._metres = Results3D(node, inputs, publisher, options)
        except (TransitionError, SettingError):
            self.close()
            raise

    @property
    def topic(self) -> str:
        """The image topic as it is after remapping."""
        resolved: str = self._node.resolve_topic_name(self._topic)
        return resolved

    def subscribe(
        self, handle: Callable[[Arrival], None], profile: QoSProfile, group: CallbackGroup
    ) -> None:
        """Hand every image to `handle` from now on, undecoded."""
        self.statistics.expect_frames()
        self.last_drop = ""

        def receive(data: bytes) -> None:
            self.statistics.frame_received()
            try:
                header = read_header(data)
            except ValueError as error:
                self.last_drop = str(error)
                self.statistics.frame_dropped(BAD_IMAGE)
                self._notice("header", f"an image is dropped: {error}")
                return
            self.frame_id = header.frame_id
            now = self._node.get_clock().now().nanoseconds
            stamp, raw = nanoseconds(header.stamp), RawImage(header, data, self._compressed)
            if self._metres:
                self._metres.expect(stamp)
            handle(Arrival(self.name, stamp, now, raw))

        kind = CompressedImage if self._compressed else Image
        self._subscription = subscribe(
            self._node, kind, self._topic, receive, profile, group, raw=True
        )
        if self._metres:
            self._metres.subscribe(profile, group)

    def unsubscribe(self) -> None:
        """Take no more images."""
        if self._metres:
            self._metres.unsubscribe()
        if self._subscription:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def close(self) -> None:
        """Take the topics away."""
        self.unsubscribe()
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def announce(self, prompt: Prompt, threshold: float) -> None:
        """Tell what the class ids of the prompt mean, once per version and threshold."""
        if (prompt.version, threshold) != self._announced:
            self._announced = prompt.version, threshold
            now = self._node.get_clock().now().nanoseconds
            self._label_info.publish(label_info(prompt, threshold, now))

    def publish(self, arrival: Arrival, result: FrameResult, stages: Sequence[Stage]) -> None:
        """Send one frame's results to those topics that somebody listens to."""
        header, instances, prompt = arrival.payload.header, result.instances, result.prompt
        begin = time.perf_counter()
        if self._detections.get_subscription_count():
            self._detections.publish(detection_array(instances, prompt, header))
        if self._instances.get_subscription_count():
            self._instances.publish(instance_array(instances, prompt, header))
        if self._instance_mask.get_subscription_count():
            self._instance_mask.publish(instance_mask(instances, header))
        if self._semantic_mask.get_subscription_count():
            self._semantic_mask.publish(semantic_mask(instances, header))
        stages = [*stages, Stage("messages", begin, time.perf_counter())]
        if self._metres and self._metres.is_wanted:
            begin = time.perf_counter()
            try:
                self._metres.publish(result, header)
            except BadFrameError as error:
                self._notice(f"depth: {str(error)[:40]}", f"nothing in metres: {error}")
            stages.append(Stage("metres", begin, time.perf_counter()))
        if self._metres:
            self._metres.dismiss(arrival.stamp)
        if self._overlay.get_subscription_count():
            begin = time.perf_counter()
            drawn = draw_instances(result.frame.image, result)
            self._overlay.publish(encode_image(drawn, "rgb8", header))
            stages.append(Stage("overlay", begin, time.perf_counter()))
        now = self._node.get_clock().now().nanoseconds
        self.statistics.frame_processed((now - arrival.stamp) / 1e9, len(instances))
        self._publish_status(arrival, result, stages, now)

    def publish_drop(self, arrival: Arrival, cause: str, reason: str, answer: bool) -> None:
        """Count a frame that gets no results, and say so in `frame_status` if `answer`."""
        if cause != SUPERSEDED:  # which is the rule in live mode, and hides what is not
            self.last_drop = reason
        self.statistics.frame_dropped(cause)
        if self._metres:
            self._metres.dismiss(arrival.stamp)
        if answer:
            self._publish_status(arrival, None, (), self._node.get_clock().now().nanoseconds)

    def _publish_status(
        self, arrival: Arrival, result: FrameResult | None, stages: Sequence[Stage], now: int
    ) -> None:
        if self._frame_status.get_subscription_count():
            header = arrival.payload.header
            self._frame_status.publish(
                frame_status(header, arrival, result, stages, self.statistics, now)
            )
