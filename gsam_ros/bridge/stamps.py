"""Time and headers: nanoseconds to messages and back, a header out of a message's raw bytes."""

from __future__ import annotations

import struct

from builtin_interfaces.msg import Time
from std_msgs.msg import Header


def nanoseconds(stamp: Time) -> int:
    """A message's time in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def to_time(stamp: int) -> Time:
    """Nanoseconds as a message."""
    return Time(sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000)


def read_header(raw: bytes) -> Header:
    """The header of a serialised message whose first field is a `std_msgs/Header`.

    It reads a few bytes where deserialising would copy the whole image. The layout is OMG CDR
    (DDS-XTypes 1.3, 7.4): four bytes of encapsulation, of which the second's lowest bit tells
    little endian, then int32 sec, uint32 nanosec, and a string as uint32 length (its terminating
    zero included) and bytes.

    Raises:
        ValueError: the bytes end before the header does.
    """
    try:
        order = "<" if raw[1] & 1 else ">"
        sec, nanosec, length = struct.unpack_from(order + "iII", raw, 4)
    except (IndexError, struct.error) as error:
        raise ValueError(f"{len(raw)} bytes are too few for a message with a header") from error
    if 16 + length > len(raw):
        raise ValueError(f"the frame_id ends after the message's {len(raw)} bytes")
    frame_id = bytes(raw[16 : 16 + max(length - 1, 0)]).decode("utf-8", "replace")
    return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)
