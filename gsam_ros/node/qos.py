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


_LIVE_DEPTH = 5  # only the newest matters, and it is taken out at once


def image_input(reliability: str, lossless: bool) -> QoSProfile:
    """For camera images.

    Args:
        reliability: best_effort meets every publisher, reliable those that are reliable; auto
            takes reliable where no frame may be lost.
        lossless: whether every frame counts.
    """
    if reliability == "auto":
        reliability = "reliable" if lossless else "best_effort"
    return QoSProfile(
        # The node takes images out at once and counts what it has no place for. A middleware that
        # keeps the last few would lose the others of a burst where nobody counts them.
        history=HistoryPolicy.KEEP_ALL if lossless else HistoryPolicy.KEEP_LAST,
        depth=_LIVE_DEPTH,
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
