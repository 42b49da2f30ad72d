"""Records topics of a running system, bytes as they come, into an mcap rosbag2.

    python -m gsam_ros.replay.record OUT --below /gsam --expect /gsam/front/instances

`ros2 bag record` is the tool for this where it is installed. This one needs nothing but rclpy, and
says when it is ready, so that no first message is missed. It ends on SIGINT, once nothing has come
in for a moment.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from gsam_ros.recordings.bag import BagError
from gsam_ros.recordings.bag_writer import LATCHED, BagWriter
from gsam_ros.recordings.message_types import MessageTypeError, register, typestore
from gsam_ros.replay.commands import RECORDER_READY
from gsam_ros.replay.ros_session import Session, message_class, session

_DEPTH = 500  # messages that may wait while the disk is slow
_LOOK_EVERY = 0.2  # seconds between two looks for new topics
_PATIENCE = 15.0  # seconds until it is told what does not come
_QUIET = 0.5  # seconds without a message after which nothing is under way any more
_FINISH_LIMIT = 10.0  # seconds, in case that somebody goes on to publish


class Recorder:
    """Subscribes to every topic below some name spaces and writes what comes.

    Args:
        current: the node to subscribe with.
        writer: the open bag.
        below: topic name prefixes; `/gsam` takes `/gsam/...` and not `/gsam2`.
        leave_out: ends of topic names that are not recorded.
    """

    def __init__(
        self,
        current: Session,
        writer: BagWriter,
        below: Collection[str],
        leave_out: Collection[str] = (),
    ) -> None:
        self._session = current
        self._writer = writer
        self._below = tuple(prefix.rstrip("/") + "/" for prefix in below)
        self._leave_out = tuple(leave_out)
        self._subscriptions: dict[str, Subscription] = {}
        self._unknown: set[str] = set()
        self._last_message = time.monotonic()
        self.messages = 0

    def run(self, expected: Collection[str]) -> None:
        """Record until the process is asked to end.

        Prints `RECORDER_READY` when all expected topics are there, and warns where they are long
        in coming.
        """
        ready = warned = False
        start = time.monotonic()
        while not self._session.stopped:
            self._look_for_topics()
            missing = [] if ready else [t for t in expected if not self._connected(t)]
            if not ready and not missing:
                print(f"{RECORDER_READY} {len(self._subscriptions)} topics", flush=True)
                ready = True
            elif missing and not warned and time.monotonic() > start + _PATIENCE:
                self._session.node.get_logger().warning(
                    f"nobody publishes {', '.join(missing)}: recording begins when somebody does"
                )
                warned = True
            self._session.spin(_LOOK_EVERY)
        self._finish()

    def _finish(self) -> None:
        """Take in what is still on its way."""
        limit = time.monotonic() + _FINISH_LIMIT
        self._last_message = time.monotonic()
        while time.monotonic() < min(limit, self._last_message + _QUIET):
            self._session.spin(0.05)

    def _connected(self, topic: str) -> bool:
        return topic in self._subscriptions and self._subscriptions[topic].get_publisher_count() > 0

    def _look_for_topics(self) -> None:
        for topic, types in self._session.node.get_topic_names_and_types():
            known = topic in self._subscriptions or topic in self._unknown
            wanted = topic.startswith(self._below) and not topic.endswith(self._leave_out)
            if wanted and not known:
                self._subscribe(topic, types[0])

    def _subscribe(self, topic: str, message_type: str) -> None:
        """Ask for what the topic's publishers offer, which is how no message gets lost."""
        offers = [p.qos_profile for p in self._session.node.get_publishers_info_by_topic(topic)]
        if not offers:
            return
        reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
        latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
        qos = QoSProfile(
            depth=_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=(DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE),
        )
        try:
            kind = message_class(message_type)
            if message_type not in typestore().fielddefs:
                register(typestore(), message_type.split("/")[0])
        except (ImportError, MessageTypeError) as error:
            self._session.node.get_logger().warning(f"{topic} is not recorded: {error}")
            self._unknown.add(topic)
            return
        self._writer.add_topic(topic, message_type, LATCHED if latched else None)

        def take(data: bytes) -> None:
            self._writer.write_raw(topic, time.time_ns(), data)
            self._last_message = time.monotonic()
            self.messages += 1

        self._subscriptions[topic] = self._session.node.create_subscription(
            kind, topic, take, qos, raw=True
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the recorder process; returns its exit status."""
    parser = argparse.ArgumentParser(prog="record", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the new recording")
    parser.add_argument("--below", nargs="+", required=True, help="name spaces to record")
    parser.add_argument("--expect", nargs="*", default=[], help="topics to wait for")
    parser.add_argument("--leave-out", nargs="*", default=[], help="ends of names not to record")
    options = parser.parse_args(arguments)
    try:
        # The session outlasts the bag: a second Ctrl-C must not meet a bag half closed.
        with session("gsam_recorder") as current, BagWriter(options.out) as writer:
            recorder = Recorder(current, writer, options.below, options.leave_out)
            recorder.run(options.expect)
    except BagError as error:
        print(f"gsam_recorder: {error}", file=sys.stderr)
        return 1
    print(f"{recorder.messages} messages in {options.out}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
