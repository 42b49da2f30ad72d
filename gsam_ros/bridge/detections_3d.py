"""Instances in metres: vision_msgs/Detection3DArray and sensor_msgs/PointCloud2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Vector3
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from gsam_ros.depth import Surface
from gsam_ros.instances import Instances
from gsam_ros.prompts import Prompt

_POINT = np.dtype(
    {
        "names": ["x", "y", "z", "rgb", "track_id"],
        "formats": ["<f4", "<f4", "<f4", "<u4", "<u4"],
    }
)
_FIELDS = [
    PointField(name=name, offset=4 * place, datatype=kind, count=1)
    for place, (name, kind) in enumerate(
        {
            "x": PointField.FLOAT32,
            "y": PointField.FLOAT32,
            "z": PointField.FLOAT32,
            "rgb": PointField.FLOAT32,  # three bytes in a float's place, as PCL and RViz read it
            "track_id": PointField.UINT32,
        }.items()
    )
]


def detection_3d_array(
    instances: Instances, surfaces: Sequence[Surface], prompt: Prompt | None, header: Header
) -> Detection3DArray:
    """One detection for each of N instances of which the depth image shows enough.

    Boxes lie along the axes of the camera's optical frame, which is the header's; `id` and
    `class_id` are those of the 2D detections.
    """
    phrases = prompt.classes if prompt else ()
    rows = zip(
        surfaces,
        instances.scores.tolist(),
        instances.phrase_index.tolist(),
        instances.track_id.tolist(),
        strict=True,
    )
    detections = []
    for surface, score, phrase, track in rows:
        if not surface.is_located:
            continue
        centre, size = (vector.tolist() for vector in surface.box)
        pose = Pose(position=Point(x=centre[0], y=centre[1], z=centre[2]))
        hypothesis = ObjectHypothesis(class_id=phrases[phrase], score=score)
        detections.append(
            Detection3D(
                header=header,
                results=[
                    ObjectHypothesisWithPose(
                        hypothesis=hypothesis, pose=PoseWithCovariance(pose=pose)
                    )
                ],
                bbox=BoundingBox3D(center=pose, size=Vector3(x=size[0], y=size[1], z=size[2])),
                id=str(track),
            )
        )
    return Detection3DArray(header=header, detections=detections)


def instance_cloud(
    instances: Instances, surfaces: Sequence[Surface], image: np.ndarray, header: Header
) -> PointCloud2:
    """The points of all instances, each with its colour and `track_id`.

    Args:
        instances: N instances.
        surfaces: [N] what the depth image shows of them.
        image: [H, W, 3] uint8 RGB, for the colours.
        header: the camera image's.
    """
    counts = [len(surface.points) for surface in surfaces]
    points = np.zeros(sum(counts), _POINT)
    if surfaces:
        places = np.concatenate([surface.points for surface in surfaces])
        for axis, name in enumerate("xyz"):
            points[name] = places[:, axis]
        rows = np.concatenate([surface.rows for surface in surfaces])
        columns = np.concatenate([surface.columns for surface in surfaces])
        red, green, blue = image[rows, columns].astype(np.uint32).T
        points["rgb"] = red << 16 | green << 8 | blue
        points["track_id"] = np.repeat(instances.track_id, counts)
    message = PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=_FIELDS,
        is_bigendian=False,
        point_step=_POINT.itemsize,
        row_step=points.nbytes,
        is_dense=True,
    )
    # Assigning bytes would go through Python one number at a time.
    message.data.frombytes(points.tobytes())
    return message
