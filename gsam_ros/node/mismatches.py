"""Publishers and subscribers of a topic that never meet, in words that say what to do.

DDS joins them only where the publisher offers at least what the subscription asks for, and both
have one type; otherwise nothing comes, and `ros2 topic list` looks well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from gsam_ros.node.endpoints import override_parameter


class Mismatch(NamedTuple):
    """Somebody on one of the node's topics whom it does not meet."""

    topic: str
    message: str


class _Own(NamedTuple):
    kind: str
    profile: QoSProfile


def mismatches(node: Node) -> list[Mismatch]:
    """Everybody on the node's own topics whom none of its publishers or subscriptions meets."""
    found = []
    for topic, own in _by_topic(node.subscriptions):
        for other in node.get_publishers_info_by_topic(topic):
            if conflict := _from_publisher(node, topic, own, other):
                found.append(Mismatch(topic, f"{topic}: {conflict}"))
    for topic, own in _by_topic(node.publishers):
        for other in node.get_subscriptions_info_by_topic(topic):
            if conflict := _to_subscription(node, topic, own, other):
                found.append(Mismatch(topic, f"{topic}: {conflict}"))
    return found


def _by_topic(
    entities: Iterable[Subscription | Publisher],
) -> Iterator[tuple[str, list[_Own]]]:
    grouped: dict[str, list[_Own]] = defaultdict(list)
    for entity in list(entities):
        try:
            topic = entity.topic_name
        except InvalidHandle:  # it was destroyed meanwhile
            continue
        grouped[topic].append(_Own(_type_name(entity.msg_type), entity.qos_profile))
    yield from grouped.items()


def _from_publisher(
    node: Node, topic: str, own: list[_Own], other: TopicEndpointInfo
) -> str | None:
    who = f"node {_name(other)} publishes"
    if _types_differ(own, other):
        return (
            f"{who} {other.topic_type}, this node takes {own[0].kind}: {_type_remedy(own, other)}"
        )
    lacking = [_lacking(other.qos_profile, each.profile) for each in own]
    if not all(lacking):
        return None
    policy, offered, asked = next(iter(filter(None, lacking)))
    return (
        f"{who} {offered}, this node asks for {asked}, so nothing comes: have it publish {asked}"
        + _own_remedy(node, topic, "subscription", policy, offered)
    )


def _to_subscription(
    node: Node, topic: str, own: list[_Own], other: TopicEndpointInfo
) -> str | None:
    who = f"node {_name(other)} asks for"
    if _types_differ(own, other):
        return f"{who} {other.topic_type}, this node publishes {own[0].kind}: subscribe that"
    lacking = [_lacking(each.profile, other.qos_profile) for each in own]
    if not all(lacking):
        return None
    policy, offered, asked = next(iter(filter(None, lacking)))
    return (
        f"{who} {asked}, this node publishes {offered}, so it gets nothing: have it ask for "
        f"{offered}" + _own_remedy(node, topic, "publisher", policy, asked)
    )


def _lacking(offered: QoSProfile, asked: QoSProfile) -> tuple[str, str, str] | None:
    """The policy in which an offer is less than what is asked for, and both sides' values."""
    reliability = (ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE)
    durability = (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL)
    if (offered.reliability, asked.reliability) == reliability:
        return "reliability", "best_effort", "reliable"
    if (offered.durability, asked.durability) == durability:
        return "durability", "volatile", "transient_local"
    return None


def _own_remedy(node: Node, topic: str, side: str, policy: str, value: str) -> str:
    parameter = override_parameter(topic, side, policy)
    if not node.has_parameter(parameter):
        return ""
    return f", or start this node with the parameter {parameter} set to {value}"


def _types_differ(own: list[_Own], other: TopicEndpointInfo) -> bool:
    return all(each.kind != other.topic_type for each in own)


def _type_remedy(own: list[_Own], other: TopicEndpointInfo) -> str:
    images = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
    if {own[0].kind, other.topic_type} == images:
        return "the parameters image_transport and image_transports say which is taken"
    return "remap this node's topic to one of that type"


def _type_name(kind: Any) -> str:
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def _name(endpoint: TopicEndpointInfo) -> str:
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
