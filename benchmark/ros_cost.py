"""What ROS costs per frame without the models: from message to pixels, from results to messages.

    python -m benchmark.ros_cost                    # 640x480 and 1920x1080

The node's own camera with all topics but the overlay subscribed, and instances that the bundled
models found in frames of the synthetic world. A frame goes in as serialised bytes, as it comes from
the middleware, and its results leave. Medians of this thread's CPU time, which other processes do
not stretch as they do the clock on the wall; caches they share all the same.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import rclpy
from gsam_ros.msg import FrameStatus, InstanceArray
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tqdm import tqdm
from vision_msgs.msg import Detection2DArray

from gsam_ros.bridge.images import encode_image
from gsam_ros.bridge.stamps import read_header
from gsam_ros.node.camera import Camera, RawImage, decode
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.devices import use_threads
from gsam_ros.pipeline.grounded_tracker import GroundedTracker
from gsam_ros.pipeline.inbox import Arrival
from gsam_ros.pipeline.settings import Settings
from gsam_ros.world.scene import Scene
from gsam_ros.world.vocabulary import phrase_of

T = TypeVar("T")

_SEED, _START, _PERIOD = 1, 5.0, 0.1
_TOPICS = {
    "detections": Detection2DArray,
    "instances": InstanceArray,
    "instance_mask": Image,
    "semantic_mask": Image,
    "frame_status": FrameStatus,
}


class Clock:
    """Milliseconds of this thread's CPU time, by what they were spent on."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = defaultdict(list)

    def time(self, part: str, function: Callable[[], T]) -> T:
        """Call it, and note what it took."""
        start = time.thread_time()
        value = function()
        self.spent[part].append(1e3 * (time.thread_time() - start))
        return value


def measure(node: Node, listener: Node, width: int, height: int, frames: int) -> dict[str, float]:
    """Median milliseconds by part, and how many instances there were."""
    scene = Scene(_SEED, width, height)
    machine = GroundedTracker(Settings(device="cpu"))
    machine.set_prompt(". ".join(sorted({phrase_of(pair) for pair in scene.pairs.values()})))
    name = f"camera{height}"
    camera = Camera(node, name, NodeSettings(cameras=(name,)), lambda *_: None)
    for topic, kind in _TOPICS.items():
        topic_name = f"/{node.get_name()}/{name}/{topic}"
        listener.create_subscription(kind, topic_name, lambda _: None, 1)
        while not node.count_subscribers(topic_name):
            time.sleep(0.05)
    clock, counts = Clock(), []
    for index in tqdm(range(frames), desc=f"{width}x{height}"):
        stamp = round((_START + _PERIOD * index) * 1e9)
        image = np.ascontiguousarray(scene.render(0, stamp / 1e9).image)
        data = serialize_message(encode_image(image, "rgb8", Header(frame_id="optical")))
        header = clock.time("header", lambda data=data: read_header(data))  # type: ignore[misc]
        arrival = Arrival(name, stamp, stamp, RawImage(header, data, False))
        frame = clock.time("to pixels", lambda a=arrival: decode(a))  # type: ignore[misc]
        [result] = machine.step([frame])
        clock.time("to messages", lambda a=arrival, r=result: camera.publish(a, r, ()))  # type: ignore[misc]
        counts.append(len(result.instances))
    camera.close()
    parts = {part: float(np.median(times)) for part, times in clock.spent.items()}
    whole = float(np.median(np.sum(list(clock.spent.values()), axis=0)))
    return parts | {"all": whole, "instances": float(np.median(counts))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1920x1080"])
    options = parser.parse_args()
    use_threads(1)
    rclpy.init()
    node, listener = rclpy.create_node("ros_cost"), rclpy.create_node("listener")
    print("| image | instances | header ms | to pixels ms | to messages ms | all ms |")
    print("|---|---:|---:|---:|---:|---:|")
    for size in options.sizes:
        width, height = map(int, size.split("x"))
        taken = measure(node, listener, width, height, options.frames)
        print(
            f"| {size} | {taken['instances']:.0f} | {taken['header']:.2f} "
            f"| {taken['to pixels']:.2f} | {taken['to messages']:.2f} | {taken['all']:.2f} |",
            flush=True,
        )
    rclpy.shutdown()


if __name__ == "__main__":
    main()
