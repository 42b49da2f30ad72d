"""Text prompts from a topic, from publishers of either durability."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from std_msgs.msg import String

from gsam_ros.node import qos

_REMEMBERED = 64  # messages, of which a second copy would be known


class PromptTopic:
    """Hands on every prompt that is published on `topic`, once and in order.

    One subscription is volatile and meets every publisher; one is transient local and also gets
    what was latched before this node came. A message that both receive is handed on once: the two
    copies are matched by the time at which it was written. A writer whose clock is behind makes a
    new message look latched; the volatile copy, which can only be new, then decides.

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
        # What was handed on, and whether as from before.
        self._seen: OrderedDict[tuple[int, str], bool] = OrderedDict()
        self._node = node
        group = MutuallyExclusiveCallbackGroup()
        self._subscriptions = [
            node.create_subscription(
                String,
                topic,
                receive,  # type: ignore[arg-type]  # rclpy gives the info to those who take it
                qos.command(durability),
                callback_group=group,
                # node/mismatches.py warns of publishers that fit neither.
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            )
            for durability, receive in (
                (DurabilityPolicy.VOLATILE, self._receive_new),
                (DurabilityPolicy.TRANSIENT_LOCAL, self._receive_kept),
            )
        ]

    def close(self) -> None:
        """Hear no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _receive_new(self, message: String, info: dict[str, Any]) -> None:
        self._receive(message.data, info["source_timestamp"], from_before=False)

    def _receive_kept(self, message: String, info: dict[str, Any]) -> None:
        written = info["source_timestamp"]
        self._receive(message.data, written, from_before=0 < written < self._start)

    def _receive(self, text: str, written: int, from_before: bool) -> None:
        """`written` is 0 where a middleware does not tell; then none is known from another."""
        told = self._seen.get((written, text)) if written else None
        if told is None or (told and not from_before):
            self._seen[written, text] = from_before
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            self._handle(text, from_before)
