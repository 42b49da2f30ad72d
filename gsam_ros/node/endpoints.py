"""The node's subscriptions and publishers, whose quality of service a user can override."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from rclpy.subscription import Subscription

from gsam_ros.node.lifecycle import TransitionError

_POLICIES = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)


def subscribe(
    node: Node,
    kind: type[Any],
    topic: str,
    handle: Callable[[Any], None],
    profile: QoSProfile,
    group: CallbackGroup,
    raw: bool = False,
) -> Subscription:
    """A subscription that follows `qos_overrides.TOPIC.subscription.POLICY`.

    Raises:
        TransitionError: an override holds what is no value of its policy, or has the middleware
            give up messages of which each one counts.
    """
    subscription: Subscription = _overridable(
        node,
        topic,
        "subscription",
        lambda profile, overrides: node.create_subscription(
            kind,
            topic,
            handle,
            profile,
            callback_group=group,
            raw=raw,
            # node/mismatches.py tells more of what does not fit. And without events there is
            # nothing of theirs to wait for.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=overrides,
        ),
        profile,
    )
    keeps_all = subscription.qos_profile.history is HistoryPolicy.KEEP_ALL
    if profile.history is HistoryPolicy.KEEP_ALL and not keeps_all:
        node.destroy_subscription(subscription)
        names = override_parameter(node.resolve_topic_name(topic), "subscription", "*")
        raise TransitionError(
            f"mode is lossless, and {names} keep the last "
            f"{subscription.qos_profile.depth} messages, so some would be lost: take qos_overrides "
            "out of the parameter file (`ros2 param dump` writes those that were in force)"
        )
    return subscription


def advertise(node: Node, kind: type[Any], topic: str, profile: QoSProfile) -> Publisher:
    """A publisher that follows `qos_overrides.TOPIC.publisher.POLICY`.

    Raises:
        TransitionError: as of `subscribe`.
    """
    return _overridable(
        node,
        topic,
        "publisher",
        lambda profile, overrides: node.create_publisher(
            kind,
            topic,
            profile,
            event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=overrides,
        ),
        profile,
    )


def override_parameter(topic: str, side: str, policy: str) -> str:
    """Name of the parameter; `topic` as it is after remapping, `side` subscription or publisher."""
    return f"qos_overrides.{topic}.{side}.{policy}"


def _overridable(
    node: Node,
    topic: str,
    side: str,
    make: Callable[[QoSProfile, QoSOverridingOptions], Any],
    profile: QoSProfile,
) -> Any:
    resolved = node.resolve_topic_name(topic)
    # rclpy keeps the first profile's values as parameters, and would take those for overrides of a
    # later one: after a change of `mode` to lossless images would still be lost.
    policies = [
        policy
        for policy in _POLICIES
        if not node.has_parameter(name := override_parameter(resolved, side, policy.name.lower()))
        or name in node._parameter_overrides
    ]
    try:
        # rclpy writes the overrides into the profile that it is given, which others share.
        return make(copy.copy(profile), QoSOverridingOptions(policies))
    except (InvalidQosOverridesError, ParameterException, RuntimeError, AssertionError) as error:
        names = override_parameter(node.resolve_topic_name(topic), side, "*")
        raise TransitionError(f"a parameter {names} can't be used: {error}") from error
