"""Messages that are kept as the bytes in which they came, and read when they are needed."""

from __future__ import annotations

from typing import TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.serialization import deserialize_message

from gsam_ros.pipeline.drops import BadFrameError

T = TypeVar("T")


def read_message(data: bytes, kind: type[T]) -> T:
    """The message that `data` holds.

    A middleware hands raw bytes over unchecked: they may be cut off, or written by a publisher
    whose message of that name has other fields.

    Raises:
        BadFrameError: they hold no message of that kind.
    """
    try:
        message: T = deserialize_message(data, kind)
    except rclpy_implementation.RMWError as error:
        raise BadFrameError(
            f"its {len(data)} bytes are no {kind.__module__.split('.')[0]}/{kind.__name__}: they "
            "are cut off, or the publisher has another definition of that message"
        ) from error
    return message
