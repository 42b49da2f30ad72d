"""Text prompts from a topic, from publishers of either durability."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from std_msgs.msg import String

from gsam_ros.bridge import qos


class PromptTopic:
    """Hands on every prompt that is published on `topic`, once and in order.

    One subscription is volatile and meets every publisher; one is transient local and also gets
    what was latched before this node came. A message that both get is handed on once, by the time
    at which it was written.

    Args:
        node: has the subscriptions.
        topic: name of the topic.
        handle: is given each text, and whether it was written before this object was made. What
            was latched is found when its publisher is, which may be late: a newer prompt may have
            come another way.
    """

    def __init__(self, node: Node, topic: str, handle: Callable[[str, bool], None]) -> None:
        self._handle = handle
        self._start = time.time_ns()  # the clock of source_timestamp
        self._seen: deque[tuple[int, str]] = deque(maxlen=64)
        self._node = node
        group = MutuallyExclusiveCallbackGroup()
        self._subscriptions = [
            node.create_subscription(
                String,
                topic,
                self._receive,  # type: ignore[arg-type]  # rclpy gives the info to those who take it
                qos.command(durability),
                callback_group=group,
                # bridge/misfits.py warns of publishers that fit neither.
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )
            for durability in (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL)
        ]

    def close(self) -> None:
        """Hear no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _receive(self, message: String, info: dict[str, Any]) -> None:
        written = info["source_timestamp"]  # 0 where a middleware does not tell
        key = (written, message.data)
        if key not in self._seen:
            self._seen.append(key)
            self._handle(message.data, 0 < written < self._start)
