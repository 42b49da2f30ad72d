"""The node's health as diagnostic_msgs/DiagnosticArray."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from gsam_ros.bridge.stamps import to_time
from gsam_ros.node.mismatches import Mismatch
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.drops import SUPERSEDED
from gsam_ros.pipeline.statistics import Snapshot
from gsam_ros.prompts import Prompt

_LEVELS = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
_OTHER_CLOCK = 3600.0  # seconds: an age beyond it is no delay, the stamps are from another clock
_DISCOVERY = 10.0  # seconds: usually below one, 3 were seen, more where the machine is loaded


@dataclass
class Health:
    """One line of /diagnostics.

    Attributes:
        name: what it speaks of.
        level: 0 well, 1 warning, 2 error.
        message: one sentence.
        values: figures, by name.
    """

    name: str
    level: int = 0
    message: str = "OK"
    values: dict[str, str] = field(default_factory=dict)

    def raise_to(self, level: int, message: str) -> None:
        """Tell of something that is at least as bad as what was told so far."""
        if level > self.level:
            self.level, self.message = level, message
        elif level == self.level:
            self.message += f"; {message}"


def camera_health(
    camera: str,
    topic: str,
    publishers: int,
    snapshot: Snapshot,
    last_drop: str,
    options: NodeSettings,
    prompt: Prompt | None = None,
) -> Health:
    """How one camera fares.

    Args:
        camera: its name; may be empty.
        topic: its image topic, resolved.
        publishers: how many publish on it.
        snapshot: its statistics.
        last_drop: why the last frame was dropped, for people.
        options: tell what is worth a warning.
        prompt: what it looks for.
    """
    health = Health(f"camera {camera}".strip())
    health.message = f"{snapshot.rate_in:.1f} Hz in, {snapshot.rate_out:.1f} Hz out"
    health.values = {"topic": topic, "publishers": str(publishers)} | _counts(snapshot)
    if prompt:
        health.values |= {"prompt": prompt.summary[:200], "prompt version": str(prompt.version)}
    if last_drop:
        health.values["last drop"] = last_drop
    if snapshot.age_p99 is not None:
        _judge_age(health, topic, snapshot.age_p99, options)
    if snapshot.waiting > min(options.age_warning, options.age_error):
        level = 2 if snapshot.waiting > options.age_error else 1
        health.raise_to(
            level,
            f"images of {topic} come in and none was answered for {snapshot.waiting:.1f} s: the "
            "models are too slow, or they hang",
        )
    if snapshot.silence > min(options.topic_timeout, options.topic_error):
        level = 2 if snapshot.silence > options.topic_error else 1
        health.raise_to(level, silence(topic, publishers, snapshot))
    lost = {cause: n for cause, n in snapshot.recent_drops.items() if cause != SUPERSEDED}
    if lost:
        causes = ", ".join(f"{count} {cause}" for cause, count in lost.items())
        level = 1 if snapshot.rate_out else 2
        health.raise_to(level, f"images of {topic} are dropped ({causes}): {last_drop}")
    return health


def _counts(snapshot: Snapshot) -> dict[str, str]:
    """The statistics of a camera, for people."""
    values = {
        "frames received": str(snapshot.received),
        "frames processed": str(snapshot.processed),
        "rate in (Hz)": f"{snapshot.rate_in:.1f}",
        "rate out (Hz)": f"{snapshot.rate_out:.1f}",
        "seconds without images": f"{snapshot.silence:.1f}",
        "objects in sight": str(snapshot.objects),
    }
    values |= {f"dropped: {cause}": str(count) for cause, count in snapshot.drops.items()}
    if snapshot.age_p50 is not None and snapshot.age_p99 is not None:
        values["age p50 (s)"] = f"{snapshot.age_p50:.3f}"
        values["age p99 (s)"] = f"{snapshot.age_p99:.3f}"
    return values


def _judge_age(health: Health, topic: str, age: float, options: NodeSettings) -> None:
    if abs(age) > _OTHER_CLOCK:
        health.raise_to(
            1,
            f"the stamps of {topic} are not on this node's clock: play the recording with --clock "
            "and set use_sim_time, or have the camera stamp its images with the current time",
        )
    elif age > min(options.age_warning, options.age_error):
        level = 2 if age > options.age_error else 1
        health.raise_to(level, f"results are {age:.1f} s old when they leave")


def prompt_health(prompt: Prompt | None, rejection: str = "", camera: str = "") -> Health:
    """What is looked for, what of it can't be found, and what was refused.

    Args:
        prompt: for all cameras, or one's own.
        rejection: why the newest text was refused; empty where it was not.
        camera: whose own it is; empty: none's.
    """
    health = Health(f"prompt {camera}".strip())
    if prompt is None or not prompt.classes:
        health.message = "no prompt yet: publish one on ~/prompt or call ~/set_prompt"
    else:
        health.message = prompt.summary[:200]
        health.values = {"version": str(prompt.version), "phrases": str(len(prompt.phrases))}
        if prompt.names:
            health.values["pointed at"] = ", ".join(prompt.names)
    if rejection:
        health.values["rejected"] = rejection
        health.raise_to(1, f"the last prompt was rejected: {rejection}")
    if prompt and prompt.unknown:
        health.values["unknown phrases"] = ", ".join(prompt.unknown)
        health.raise_to(1, prompt.warning)
    return health


def topics_health(found: Sequence[Mismatch]) -> Health:
    """Whether everybody on the node's topics is met."""
    health = Health("topics", message="everybody on them is met")
    if found:
        health.level, health.message = 1, "; ".join(mismatch.message for mismatch in found)
    return health


def is_matching(snapshot: Snapshot) -> bool:
    """Whether a camera may be there that DDS has not found yet."""
    return not snapshot.received and snapshot.silence < _DISCOVERY


def silence(topic: str, publishers: int, snapshot: Snapshot) -> str:
    """What to do about a topic on which nothing comes."""
    if is_matching(snapshot):
        hint = f"publishers found so far: {publishers}"
    elif snapshot.received:
        hint = "images came before: see whether the camera still runs"
    elif not publishers:
        hint = "nobody publishes on it: start the camera, or remap the node's image topic"
    else:
        hint = (
            f"publishers: {publishers}; compare their QoS and type with this node's "
            f"(ros2 topic info --verbose {topic})"
        )
    return f"no image on {topic} for {snapshot.silence:.0f} s; {hint}"


def diagnostic_array(node_name: str, healths: Iterable[Health], now: int) -> DiagnosticArray:
    """The message for /diagnostics; `node_name` goes before every name, as is the custom."""
    return DiagnosticArray(
        header=Header(stamp=to_time(now)),
        status=[
            DiagnosticStatus(
                level=_LEVELS[health.level],
                name=f"{node_name}: {health.name}",
                message=health.message,
                hardware_id=node_name,
                values=[KeyValue(key=key, value=value) for key, value in health.values.items()],
            )
            for health in healths
        ],
    )
