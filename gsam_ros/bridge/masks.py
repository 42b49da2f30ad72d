"""Masks as images: which object, and which class, a pixel belongs to."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gsam_ros.bridge.images import encode_image
from gsam_ros.instances import Instances


def instance_mask(instances: Instances, header: Header) -> Image:
    """mono16: the track id, 0 where there is nothing.

    Ids beyond 65535 start over at 1: pixel = ((track id - 1) mod 65535) + 1.
    """
    values = (instances.track_id - 1) % 65535 + 1
    return encode_image(instances.masks.paint(values, np.uint16), "mono16", header)


def semantic_mask(instances: Instances, header: Header) -> Image:
    """mono8: the class id as in label_info, 0 where there is nothing."""
    values = instances.phrase_index + 1
    return encode_image(instances.masks.paint(values, np.uint8), "mono8", header)
