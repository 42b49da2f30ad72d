"""Results as a bag: the node's topics with the node's messages, written without ROS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gsam_ros.instances import FrameResult
from gsam_ros.prompts import Prompt
from gsam_ros.recordings import result_messages as messages
from gsam_ros.recordings.bag import open_bag
from gsam_ros.recordings.bag_writer import LATCHED, BagWriter
from gsam_ros.recordings.result_topics import NODE
from gsam_ros.recordings.sources.source import Origin
from gsam_ros.stages import Stage

_TOPICS = {
    "label_info": messages.LABEL_INFO,
    "detections": messages.DETECTIONS,
    "instances": messages.INSTANCES,
    "instance_mask": messages.IMAGE,
    "semantic_mask": messages.IMAGE,
    "frame_status": messages.FRAME_STATUS,
}

Counts = tuple[int, int, Mapping[str, int]]
"""Frames received, frames processed, frames dropped by cause."""


class ResultBag(BagWriter):
    """What the node would have published, but for the overlay, which is the video.

    A message's time is that of the image's own record, so that both bags play side by side. A
    frame is taken as received when it was recorded, and its age is what the pipeline took for it.
    """

    def __init__(self, path: Path, cameras: Sequence[str]) -> None:
        """Open a new bag with the topics of `cameras`.

        Raises:
            BagError: the folder exists already or can't be made.
        """
        super().__init__(path)
        for camera in cameras:
            for name, kind in _TOPICS.items():
                latched = LATCHED if name == "label_info" else None
                self.add_topic(result_name(camera, name), kind, latched)

    def announce(self, camera: str, prompt: Prompt, threshold: float, time: int) -> None:
        """Tell what class ids mean from `time` (nanoseconds) on."""
        told = messages.label_info(prompt, threshold, time)
        self.write(result_name(camera, "label_info"), time, told)

    def add(self, result: FrameResult, origin: Origin) -> None:
        """Write a frame's results."""
        frame, instances, prompt = result.frame, result.instances, result.prompt
        header = messages.header_message(frame.stamp, origin.frame_id)
        made = {
            "detections": messages.detection_array(instances, prompt, header),
            "instances": messages.instance_array(instances, prompt, header),
            "instance_mask": messages.instance_mask(instances, header),
            "semantic_mask": messages.semantic_mask(instances, header),
        }
        for name, message in made.items():
            self.write(result_name(frame.camera, name), origin.time, message)

    def add_status(
        self,
        camera: str,
        stamp: int,
        origin: Origin,
        stages: Sequence[Stage],
        counts: Counts,
        result: FrameResult | None = None,
    ) -> None:
        """Write what became of a frame.

        Args:
            camera: its name.
            stamp: of the frame, nanoseconds.
            origin: where the source had it.
            stages: seconds since the pipeline took the frame.
            counts: of its camera, until then.
            result: None where the frame could not be read.
        """
        prompt = result.prompt if result else None
        answer = (
            prompt.version if prompt else 0,
            result.keyframe if result else False,
            len(result.instances) if result else 0,
        )
        seconds = stages[-1].end if stages else 0.0
        times = stamp, stamp + round(seconds * 1e9), seconds
        late = result.late if result else None
        header = messages.header_message(stamp, origin.frame_id)
        status = messages.frame_status(header, camera, answer, times, stages, late, counts)
        self.write(result_name(camera, "frame_status"), origin.time, status)


def result_name(camera: str, name: str) -> str:
    """The node's topic: "/gsam_node/left/instances"; of a camera without a name without it."""
    return "/".join(part for part in (NODE, camera, name) if part)


def join_bags(path: Path, parts: Iterable[Path], cameras: Sequence[str]) -> None:
    """Write one bag of several of `ResultBag`, in order, without decoding a message.

    Raises:
        BagError: one can't be read, or the bag can't be written.
    """
    with ResultBag(path, cameras) as out:
        for part in parts:
            with open_bag(part) as bag:
                for record in bag.records(list(bag.topics)):
                    out.write_raw(record.topic, record.time, record.data)
