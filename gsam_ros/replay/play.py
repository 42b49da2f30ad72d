"""Plays a recording in real time over DDS, without losing a frame.

    python -m gsam_ros.replay.play BAG --prompt /prompt
        --frames /front/image=/gsam/front/frame_status --labels /gsam/front/label_info

`ros2 bag play` is the tool where frames may get lost. This one listens to the answers:

- It starts when everybody who has to listen does.
- Messages go out at the pace of their recording and `/clock` runs with them, but no more than
  `--window` frames are ever unanswered. Frames that had to wait follow at once, and the clock does
  not wait: a node that can't keep up shows it in the age of its results.
- A prompt goes out when every frame before it is answered, and the next frame when the node has
  published the new phrases. So the prompt stands at the same place among the frames in each run,
  and runs can be compared frame by frame.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

from gsam_ros.prompts import PromptError, parse_phrases
from gsam_ros.recordings.bag import BagError, BagReader, Record, open_bag
from gsam_ros.replay.play_progress import PlayProgress
from gsam_ros.replay.ros_session import Session, message_class, session

_RELIABLE = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
_RELIABLE_LATCHED = QoSProfile(
    depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
_CLOCK = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_CLOCK_PERIOD = 0.01  # seconds


class PlayError(RuntimeError):
    """The node did not answer as it should; the message says who is missing."""


@dataclass(frozen=True)
class Plan:
    """What to play and whose answers to wait for.

    Attributes:
        frames: image topic to the `frame_status` topic that answers it.
        prompt: topic of the prompts; "" where there are none.
        labels: `label_info` topics that acknowledge a prompt.
        others: further topics to play.
        window: frames that may be unanswered.
        rate: 2.0 plays twice as fast as it was recorded.
        patience: seconds to wait for a listener or an answer.
    """

    frames: dict[str, str]
    prompt: str
    labels: tuple[str, ...]
    others: tuple[str, ...]
    window: int
    rate: float
    patience: float

    @property
    def topics(self) -> list[str]:
        """Everything to play."""
        return [*self.frames, *([self.prompt] if self.prompt else []), *self.others]


class Player:
    """Plays one bag once.

    Args:
        current: the node to publish with.
        bag: the open recording.
        plan: what to play.

    Raises:
        PlayError: the bag lacks a topic of the plan.
    """

    def __init__(self, current: Session, bag: BagReader, plan: Plan) -> None:
        missing = [topic for topic in plan.topics if topic not in bag.topics]
        if missing:
            raise PlayError(
                f"{bag.path} has no topic {', '.join(missing)}; it has {', '.join(bag.topics)}"
            )
        self._session = current
        self._bag = bag
        self._plan = plan
        self._published = 0
        self._answered = 0
        self._progress: PlayProgress | None = None
        self._known_phrases: dict[str, tuple[str, ...]] = {}
        self._begin: float | None = None  # time.monotonic() of the first frame
        self._first_time = bag.start
        node = current.node
        self._clock = node.create_publisher(Clock, "/clock", _CLOCK)
        node.create_timer(_CLOCK_PERIOD, self._publish_clock)
        self._publishers: dict[str, Publisher] = {
            topic: node.create_publisher(
                message_class(bag.topics[topic]),
                topic,
                _RELIABLE_LATCHED if topic == plan.prompt else _RELIABLE,
            )
            for topic in plan.topics
        }
        status, labels = (
            message_class("gsam_ros/msg/FrameStatus"),
            message_class("vision_msgs/msg/LabelInfo"),
        )
        self._answers = [
            node.create_subscription(status, topic, self._take_answer, _RELIABLE, raw=True)
            for topic in plan.frames.values()
        ]
        self._label_infos = [
            node.create_subscription(labels, topic, self._taker_of_labels(topic), _RELIABLE_LATCHED)
            for topic in plan.labels
        ]

    def run(self) -> int:
        """Play everything; returns how many frames were played and answered.

        Raises:
            PlayError: nobody listens, or answers stay away.
            BagError: the recording is damaged.
            KeyboardInterrupt: the process was asked to end.
        """
        self._await(self._everybody_listens, self._who_is_missing)
        with PlayProgress(self._bag.count(list(self._plan.frames))) as self._progress:
            for record in self._bag.records(self._plan.topics):
                if record.topic == self._plan.prompt:
                    self._change_prompt(record)
                else:
                    self._play(record)
            self._await_answers(0)
        return self._answered

    def _play(self, record: Record) -> None:
        if self._begin is None:
            self._begin, self._first_time = time.monotonic(), record.time
        due = self._begin + (record.time - self._first_time) / 1e9 / self._plan.rate
        self._session.spin(due - time.monotonic())
        if self._session.stopped:
            raise KeyboardInterrupt
        if record.topic in self._plan.frames:
            self._await_answers(self._plan.window - 1)
            self._published += 1
        self._publishers[record.topic].publish(record.data)

    def _change_prompt(self, record: Record) -> None:
        """Publish a prompt between two frames and wait until it is in force."""
        self._await_answers(0)
        self._publishers[record.topic].publish(record.data)
        try:
            phrases = parse_phrases(self._bag.decode(record).data)
        except PromptError as error:  # the node will reject it, and keep the one before
            tqdm.write(f"gsam: a prompt on {record.topic} can't be used: {error}", sys.stderr)
            return
        self._await(
            lambda: all(self._known_phrases.get(t) == phrases for t in self._plan.labels),
            lambda: (
                f"no new label_info after the prompt {'. '.join(phrases)!r}: expected on "
                f"{', '.join(self._plan.labels)}"
            ),
        )

    def _await_answers(self, unanswered: int) -> None:
        """Wait until at most `unanswered` frames are."""
        while self._published - self._answered > unanswered:
            self._await(
                self._one_more_answered(),
                lambda: (
                    f"{self._published - self._answered} of {self._published} frames stay "
                    f"unanswered on {', '.join(self._plan.frames.values())}"
                ),
            )

    def _one_more_answered(self) -> Callable[[], bool]:
        """Patience is for one answer, however many are missing."""
        before = self._answered
        return lambda: self._answered > before

    def _await(self, done: Callable[[], bool], complaint: Callable[[], str]) -> None:
        if not self._session.spin_until(done, self._plan.patience):
            if self._session.stopped:
                raise KeyboardInterrupt
            raise PlayError(f"{complaint()} ({self._plan.patience:g} s waited)")

    def _everybody_listens(self) -> bool:
        return not self._unheard() and not self._silent()

    def _unheard(self) -> list[str]:
        """Topics that somebody must listen to and nobody does."""
        needed = [*self._plan.frames, *([self._plan.prompt] if self._plan.prompt else [])]
        return [t for t in needed if self._publishers[t].get_subscription_count() == 0]

    def _silent(self) -> list[str]:
        """Topics that somebody must publish and nobody does."""
        return [
            s.topic_name
            for s in (*self._answers, *self._label_infos)
            if s.get_publisher_count() == 0
        ]

    def _who_is_missing(self) -> str:
        return (
            f"the node is not there: nobody subscribes {', '.join(self._unheard()) or '-'}, "
            f"nobody publishes {', '.join(self._silent()) or '-'}"
        )

    def _publish_clock(self) -> None:
        now = self._first_time
        if self._begin is not None:
            now += int((time.monotonic() - self._begin) * 1e9 * self._plan.rate)
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(now, 1_000_000_000)
        self._clock.publish(message)

    def _take_answer(self, _: bytes) -> None:
        self._answered += 1
        if self._progress:
            self._progress.count()

    def _taker_of_labels(self, topic: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            classes = sorted(message.class_map, key=lambda c: c.class_id)
            self._known_phrases[topic] = tuple(c.class_name for c in classes)

        return take


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the player process; returns its exit status."""
    options = _parser().parse_args(arguments)
    plan = Plan(
        dict(pair.split("=", 1) for pair in options.frames),
        options.prompt,
        tuple(options.labels),
        tuple(options.topics),
        options.window,
        options.rate,
        options.patience,
    )
    try:
        with open_bag(options.bag) as bag, session("gsam_player") as current:
            Player(current, bag, plan).run()
    except (BagError, PlayError) as error:
        print(f"gsam_player: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"gsam_player: {error}: build and install gsam_ros's messages", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="play", description=__doc__.splitlines()[0])
    parser.add_argument("bag", type=Path, help="the recording")
    parser.add_argument(
        "--frames",
        nargs="+",
        required=True,
        metavar="IMAGE=STATUS",
        help="image topics, each with the frame_status topic that answers it",
    )
    parser.add_argument("--prompt", default="", help="topic of the prompts")
    parser.add_argument("--labels", nargs="*", default=[], help="label_info topics")
    parser.add_argument("--topics", nargs="*", default=[], help="further topics to play")
    parser.add_argument("--window", type=int, default=32, help="frames that may be unanswered")
    parser.add_argument("--rate", type=float, default=1.0, help="speed; 1 is as recorded")
    parser.add_argument(
        "--patience", type=float, default=120.0, help="seconds to wait for a listener or an answer"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
