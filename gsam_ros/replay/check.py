"""What is wrong with a replay, told before anything is started and the models are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gsam_ros.recordings.bag import BagError, open_bag


def check_paths(bag: Path, result: Path) -> None:
    """See whether there is a recording, and a place for its results.

    Raises:
        ValueError: there is not; it names the launch argument.
    """
    if not bag.exists():
        raise ValueError(f"bag is '{bag}', which does not exist: give the folder of a recording")
    if result.exists():
        raise ValueError(
            f"result is '{result}', which exists already: give a new name or remove it"
        )


def check_topics(bag: Path, topics: Mapping[str, str], readable: bool = True) -> None:
    """See whether the recording can be read and has all `topics`.

    Args:
        bag: the recording.
        topics: each with the launch argument that asks for it.
        readable: whether it has to be of a kind that we can read; else `ros2 bag` may know more.

    Raises:
        ValueError: it can't, or has not; it names the launch argument.
    """
    try:
        with open_bag(bag) as reader:
            there = reader.topics
    except BagError as error:
        if not readable:
            return
        raise ValueError(f"bag can't be played: {error}") from error
    for topic, argument in topics.items():
        if topic not in there:
            raise ValueError(
                f"{argument} asks for {topic}, which {bag} does not have: give one of "
                f"{', '.join(sorted(there))}"
            )
