"""Quality of service of every topic.

A subscription and a publisher only meet where the publisher offers at least what the subscription
asks for; each profile here is chosen to meet as many as it can.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITY = {
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
    "reliable": ReliabilityPolicy.RELIABLE,
}


def image_input(reliability: str, lossless: bool, depth: int) -> QoSProfile:
    """For camera images.

    Args:
        reliability: best_effort meets every publisher, reliable those that are reliable; auto
            takes reliable where no frame may be lost.
        lossless: whether every frame counts.
        depth: images that may wait in the middleware when none may be lost. Live, a few places
            are enough for the moment until they are taken out.
    """
    if reliability == "auto":
        reliability = "reliable" if lossless else "best_effort"
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth if lossless else 5,
        reliability=RELIABILITY[reliability],
        durability=DurabilityPolicy.VOLATILE,
    )


def result(depth: int) -> QoSProfile:
    """For results: reliable, which reliable and best-effort subscriptions meet alike."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
    )


def latched() -> QoSProfile:
    """For what late subscribers must learn too: the last message is kept for them."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def command(durability: DurabilityPolicy) -> QoSProfile:
    """For prompts: none may be lost.

    A volatile subscription meets every publisher but doesn't get what was published before it
    came; a transient-local one does, and doesn't meet volatile publishers. So it takes both.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=10,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=durability,
    )
