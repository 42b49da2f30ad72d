"""Instances as gsam_ros/InstanceArray: all that is known of them in one message."""

from __future__ import annotations

from std_msgs.msg import Header

from gsam_ros.bridge.detections import bounding_box
from gsam_ros.instances import Instances
from gsam_ros.msg import Instance, InstanceArray, RleMask
from gsam_ros.prompts import Prompt


def instance_array(instances: Instances, prompt: Prompt | None, header: Header) -> InstanceArray:
    """Boxes in pixels, masks in COCO's run-length encoding, `class_id` as in label_info."""
    phrases = prompt.classes if prompt else ()
    height, width = instances.masks.height, instances.masks.width
    rows = zip(
        instances.boxes.tolist(),
        instances.scores.tolist(),
        instances.phrase_index.tolist(),
        instances.track_id.tolist(),
        instances.state.tolist(),
        instances.masks.rle(),
        strict=True,
    )
    return InstanceArray(
        header=header,
        prompt_version=prompt.version if prompt else 0,
        instances=[
            Instance(
                track_id=track,
                class_id=phrase + 1,
                phrase=phrases[phrase],
                score=score,
                state=state,
                bbox=bounding_box(*box),
                mask=RleMask(height=height, width=width, counts=counts),
            )
            for box, score, phrase, track, state, counts in rows
        ],
    )
