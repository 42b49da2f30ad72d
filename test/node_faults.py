"""What goes wrong around a node: messages that are none, and a camera in a process of its own.

`python -m node_faults TOPIC RATE` is that camera: grey images, stamped now, until it is ended.
"""

from __future__ import annotations

import itertools
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent


def png_header(width: int, height: int) -> bytes:
    """A PNG file that promises so many pixels and holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


class CameraProcess:
    """A camera that can be killed as no thread can: without a word to anybody."""

    def __init__(self, environment: dict[str, str], topic: str, rate: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "node_faults", topic, str(rate)], env=environment, cwd=HERE
        )

    def kill(self) -> None:
        """As a power cut does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def camera_process(environment: dict[str, str], topic: str, rate: float) -> Iterator[CameraProcess]:
    """A camera on `topic` that takes `rate` images per second; it is killed at the end."""
    camera = CameraProcess(environment, topic, rate)
    try:
        yield camera
    finally:
        camera.kill()


def main(topic: str, rate: float) -> None:
    """Publish for ever."""
    import rclpy
    from node_harness import grey, picture
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("camera")
    publisher = node.create_publisher(Image, topic, 5)
    for _ in itertools.count():
        publisher.publish(picture(time.time(), grey(60, 80), frame="from_process"))
        time.sleep(1 / rate)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
