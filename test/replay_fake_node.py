"""Stands in for gsam_node in tests of the player and the recorder: answers at once, sees nothing.

Usage: python replay_fake_node.py [--mute-after N] [--crash-after N]
"""

import argparse
import sys

from gsam_ros.msg import FrameStatus, InstanceArray
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String
from vision_msgs.msg import LabelInfo, VisionClass

from gsam_ros.prompts import parse_phrases
from gsam_ros.replay.ros_session import Session, session

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class FakeNode:
    def __init__(self, current: Session, mute_after: int, crash_after: int) -> None:
        node = current.node
        self.mute_after, self.crash_after, self.frames, self.version = mute_after, crash_after, 0, 0
        self.status = node.create_publisher(FrameStatus, "/gsam/front/frame_status", 100)
        self.instances = node.create_publisher(InstanceArray, "/gsam/front/instances", 100)
        self.labels = node.create_publisher(LabelInfo, "/gsam/front/label_info", LATCHED)
        self.inputs = [
            node.create_subscription(Image, "/front/image", self.take_image, 100),
            node.create_subscription(String, "/prompt", self.take_prompt, LATCHED),
        ]

    def take_image(self, image: Image) -> None:
        self.frames += 1
        if self.frames == self.crash_after:
            print("the fake node falls over", file=sys.stderr)
            sys.exit(3)
        if self.mute_after and self.frames > self.mute_after:
            return
        self.instances.publish(InstanceArray(header=image.header, prompt_version=self.version))
        self.status.publish(
            FrameStatus(header=image.header, camera="front", age=0.01, prompt_version=self.version)
        )

    def take_prompt(self, message: String) -> None:
        self.version += 1
        classes = [
            VisionClass(class_id=i, class_name=phrase)
            for i, phrase in enumerate(parse_phrases(message.data), 1)
        ]
        self.labels.publish(LabelInfo(class_map=classes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--mute-after", type=int, default=0)
    parser.add_argument("--crash-after", type=int, default=0)
    options = parser.parse_args()
    with session("fake_node") as current:
        fake = FakeNode(current, options.mute_after, options.crash_after)
        current.spin_until(lambda: False, 120.0)
