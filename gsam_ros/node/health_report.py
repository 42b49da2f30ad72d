"""`/diagnostics`, once a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType

from gsam_ros.node.cameras import Cameras
from gsam_ros.node.diagnostics import (
    Health,
    camera_health,
    diagnostic_array,
    is_matching,
    prompt_health,
    silence,
    topics_health,
)
from gsam_ros.node.lifecycle import ManagedNode
from gsam_ros.node.log import ThrottledLog
from gsam_ros.node.mismatches import mismatches
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.loading import memory_in_use
from gsam_ros.pipeline.prompting import PromptKeeper

_PERIOD = 1.0  # seconds
_LASTING_PERIOD = 30.0  # seconds between two warnings of trouble with a topic that lasts


class HealthReport:
    """Publishes how models, prompt, topics and cameras fare, and warns of topics that don't work.

    Args:
        node: has the topic, and knows which transition failed.
        options: tell what is worth a warning, as they are now.
        prompts: what is looked for.
        cameras: those that there are.

    Attributes:
        models: how the models fare; whoever loads them says so.
        shortages: asked for what does not fit into the device's memory, for people.
    """

    def __init__(
        self,
        node: ManagedNode,
        options: Callable[[], NodeSettings],
        prompts: PromptKeeper,
        cameras: Cameras,
    ) -> None:
        self._node = node
        self._options = options
        self._prompts = prompts
        self._cameras = cameras
        self.not_loaded()
        self._now_and_then = ThrottledLog.of_warnings(node.get_logger(), _LASTING_PERIOD)
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # On a steady clock: with use_sim_time and no clock running, health must show all the same.
        node.create_timer(
            _PERIOD,
            self._publish,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def not_loaded(self) -> None:
        """There are no models, as is right before the node is configured."""
        self.models = Health("models", 1, "not loaded: the node is not configured")
        self.shortages: Callable[[], list[str]] = list

    def _publish(self) -> None:
        prompts, strangers = self._prompts, mismatches(self._node)
        for mismatch in strangers:
            self._now_and_then(mismatch, mismatch.message)
        # A copy: other threads put another health in its place, and this one only adds to it.
        models = replace(self.models, values=memory_in_use())
        if self._node.failure:
            models.raise_to(2, self._node.failure)
        for shortage in self.shortages():
            models.raise_to(1, shortage)
        healths = [
            models,
            prompt_health(prompts.current(), prompts.rejection),
            *(
                prompt_health(prompts.current(camera.name), camera=camera.name)
                for camera in self._cameras
                if prompts.holder(camera.name) is not None
            ),
            topics_health(strangers),
        ]
        if self._cameras.is_paused:
            healths.append(Health("cameras", 1, "paused by ~/enable: no image is taken"))
        if self._cameras.take_images:
            healths += self._camera_healths()
        name = self._node.get_fully_qualified_name().lstrip("/")
        now = self._node.get_clock().now().nanoseconds
        self._publisher.publish(diagnostic_array(name, healths, now))

    def _camera_healths(self) -> list[Health]:
        options, healths = self._options(), []
        for camera in self._cameras:
            snapshot = camera.statistics.snapshot()
            publishers = self._node.count_publishers(camera.topic)
            healths.append(
                camera_health(
                    camera.name,
                    camera.topic,
                    publishers,
                    snapshot,
                    camera.last_drop,
                    options,
                    self._prompts.current(camera.name),
                )
            )
            if snapshot.silence > options.topic_timeout and not is_matching(snapshot):
                message = silence(camera.topic, publishers, snapshot)
                self._now_and_then((camera.name, "silent"), message)
        return healths
