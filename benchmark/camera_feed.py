"""N cameras of the synthetic world on image topics, as fast as real ones and no faster.

    python -m benchmark.camera_feed --cameras 4 --rate 30 --size 640x480 --sent sent.json

Camera I publishes /camI/image, best effort, stamped now, each camera at its own phase. An image
whose time is over before its turn is left out, as cameras do; how many went out is written at the
end. A second of the world is drawn before, and played forth and back.
"""

from __future__ import annotations

import argparse
import json
import signal
import struct
import threading
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gsam_ros.bridge.images import encode_image
from gsam_ros.world.scene import Scene

SEED = 1
READY = "cameras are ready"
_DRAWN = {480: 30}  # images that are drawn, by height: 28 MB
_DRAWN_LARGE = 10  # of larger ones, 62 MB at 1920x1080


def draw(view: int, width: int, height: int) -> list[bytearray]:
    """Serialised images of one of the world's cameras, one thirtieth of a second apart."""
    scene, header = Scene(SEED, width, height), Header(frame_id=f"view{view}")
    drawn = []
    for index in range(_DRAWN.get(height, _DRAWN_LARGE)):
        image = np.ascontiguousarray(scene.render(view, 5 + index / 30).image)
        drawn.append(bytearray(serialize_message(encode_image(image, "rgb8", header))))
    return drawn + drawn[-2:0:-1]


def stamped(message: bytearray) -> bytes:
    """The message with the time of now: CDR keeps the stamp at its beginning."""
    now = time.time_ns()
    struct.pack_into("<iI", message, 4, now // 10**9, now % 10**9)
    return bytes(message)


def main() -> None:
    """Publish until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--rate", type=float, default=30.0, help="images per second of each")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--sent", type=Path, help="file for the number of images and the seconds")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))

    over = threading.Event()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    node = rclpy.create_node("cameras")
    profile = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
    publishers = [
        node.create_publisher(Image, f"/cam{i}/image", profile) for i in range(options.cameras)
    ]
    views = [draw(view, width, height) for view in range(min(2, options.cameras))]
    print(READY, flush=True)

    period = 1 / options.rate
    start = time.monotonic()
    due = [start + period * i / options.cameras for i in range(options.cameras)]
    sent = 0
    while not over.is_set():
        camera = due.index(min(due))
        time.sleep(max(0.0, due[camera] - time.monotonic()))
        images = views[camera % len(views)]
        turn = round((due[camera] - start) * options.rate) + 7 * camera
        publishers[camera].publish(stamped(images[turn % len(images)]))
        sent += 1
        missed = int((time.monotonic() - due[camera]) / period)
        due[camera] += period * (1 + missed)
    if options.sent:
        taken = {"images": sent, "seconds": time.monotonic() - start}
        options.sent.write_text(json.dumps(taken))
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
