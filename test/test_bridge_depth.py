"""Depth images, camera_info and results in metres, as messages."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import Header

from gsam_ros.bridge.depth_images import decode_depth, pinhole
from gsam_ros.bridge.detections_3d import detection_3d_array, instance_cloud
from gsam_ros.bridge.stamps import to_time
from gsam_ros.depth import Pinhole, surfaces
from gsam_ros.instances import Instances
from gsam_ros.masks import Masks
from gsam_ros.node import depth_camera
from gsam_ros.pipeline.drops import BadFrameError
from gsam_ros.prompts import Prompt

HEADER = Header(stamp=to_time(5_000_000_001), frame_id="front_optical")
PERIOD = 33_000_000  # nanoseconds
K = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
P = [400.0, 0.0, 310.0, 0.0, 0.0, 410.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def depth_message(pixels: np.ndarray, encoding: str, big: bool = False, padding: int = 0) -> Image:
    stored = np.pad(pixels, ((0, 0), (0, padding))).astype(
        pixels.dtype.newbyteorder(">" if big else "<")
    )
    message = Image(
        header=HEADER,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=stored.strides[0],
    )
    message.data.frombytes(stored.tobytes())
    return message


def test_a_topic_on_which_nothing_comes_is_not_waited_for_again_and_again(monkeypatch):
    """Somebody publishes there: of another type, or a driver that hangs."""
    monkeypatch.setattr(depth_camera, "_FIRST", 0.05)
    node = SimpleNamespace(count_publishers=lambda topic: 1, resolve_topic_name=lambda name: name)
    camera = depth_camera.DepthCamera(node, "", 0, 10, lambda: True)
    start = time.monotonic()
    for stamp in range(5):
        assert camera.view(stamp, patience=0.2) is None
    assert 0.2 <= time.monotonic() - start < 5 * 0.2
    camera._receive(serialize_message(depth_message(np.ones((2, 2), np.uint16), "16UC1")))
    with pytest.raises(BadFrameError, match="no camera_info"):
        camera.view(5_000_000_001, patience=0.0)


def receive(camera: depth_camera.DepthCamera, stamp: int) -> None:
    """A depth image of `stamp` (nanoseconds) comes."""
    message = depth_message(np.ones((2, 2), np.uint16), "16UC1")
    message.header = Header(stamp=to_time(stamp))
    camera._receive(serialize_message(message))


def test_depth_that_always_comes_too_late_does_not_hold_up_every_frame():
    """All cameras' frames wait with it."""
    node = SimpleNamespace(resolve_topic_name=lambda name: name)
    camera = depth_camera.DepthCamera(node, "", 0, 10, lambda: True)
    start = time.monotonic()
    for number in range(20):
        receive(camera, number * PERIOD)
        assert camera.view((number + 5) * PERIOD, patience=0.1) is None
    assert time.monotonic() - start < 6 * 0.1


def test_depth_that_is_on_its_way_is_waited_for():
    node = SimpleNamespace(resolve_topic_name=lambda name: name)
    camera = depth_camera.DepthCamera(node, "", 0, 10, lambda: True)
    camera._learn(CameraInfo(k=K))
    receive(camera, 0)
    for number in range(1, 5):
        threading.Timer(0.05, receive, (camera, number * PERIOD)).start()
        depth, _ = camera.view(number * PERIOD, patience=10.0)
        assert depth.shape == (2, 2)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
def test_millimetres_become_metres(big, padding):
    counts = np.array([[0, 1500, 65535], [1, 2, 3]], np.uint16)
    depth = decode_depth(depth_message(counts, "16UC1", big, padding))
    np.testing.assert_allclose(depth, counts / 1000, rtol=1e-6)
    assert depth.dtype == np.float32


@pytest.mark.parametrize("big", [False, True])
def test_metres_stay_metres(big):
    metres = np.array([[0.5, np.nan], [np.inf, 2.25]], np.float32)
    np.testing.assert_array_equal(decode_depth(depth_message(metres, "32FC1", big)), metres)


def test_images_that_are_no_depth_are_named():
    with pytest.raises(BadFrameError, match="'rgb8' is no depth image"):
        decode_depth(Image(height=1, width=1, encoding="rgb8", step=3, data=[1, 2, 3]))
    short = depth_message(np.ones((4, 4), np.uint16), "16UC1")
    short.height = 5
    with pytest.raises(BadFrameError, match="4x5 pixels of 16UC1"):
        decode_depth(short)
    with pytest.raises(BadFrameError, match="0x0"):
        decode_depth(Image(encoding="16UC1"))


def test_the_camera_is_that_of_the_rectified_image():
    info = CameraInfo(width=640, height=480, k=K, p=P)
    assert pinhole(info) == Pinhole(400.0, 410.0, 310.0, 230.0, 640, 480)
    unrectified = CameraInfo(width=640, height=480, k=K)
    assert pinhole(unrectified) == Pinhole(500.0, 510.0, 320.0, 240.0, 640, 480)


def test_binning_and_region_of_interest_are_applied():
    roi = RegionOfInterest(x_offset=100, y_offset=40, width=400, height=300)
    info = CameraInfo(width=640, height=480, p=P, binning_x=2, binning_y=2, roi=roi)
    assert pinhole(info) == Pinhole(200.0, 205.0, 105.0, 95.0, 200, 150)


def test_a_size_that_is_left_open_is_the_images():
    info = CameraInfo(k=K)
    assert pinhole(info, (480, 640)) == Pinhole(500.0, 510.0, 320.0, 240.0, 640, 480)
    node = SimpleNamespace(count_publishers=lambda topic: 1, resolve_topic_name=lambda name: name)
    camera = depth_camera.DepthCamera(node, "", 0, 10, lambda: True)
    camera._receive(serialize_message(depth_message(np.ones((2, 3), np.uint16), "16UC1")))
    camera._learn(info)
    depth, found = camera.view(5_000_000_001, patience=0.0)
    assert depth.shape == (found.height, found.width) == (2, 3)


def test_a_camera_without_calibration_is_refused():
    with pytest.raises(BadFrameError, match="calibrate the camera"):
        pinhole(CameraInfo(width=640, height=480))


@pytest.mark.parametrize("place", [0, 2, 5, 6])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_calibration_that_is_no_number_is_refused(place: int, number: float):
    matrix = list(P)
    matrix[place] = number
    with pytest.raises(BadFrameError, match="calibrate the camera anew"):
        pinhole(CameraInfo(width=640, height=480, p=matrix))


@pytest.fixture
def seen():
    """Two objects at 2 m; the depth image shows the left one only."""
    logits = np.full((2, 48, 64), -1, np.float32)
    logits[0, 10:30, 5:25] = 1
    logits[1, 10:30, 40:60] = 1
    masks = Masks(logits, 48, 64)
    instances = Instances(
        masks.boxes,
        np.array([0.75, 0.5], np.float32),
        np.array([1, 0]),
        np.array([3, 65536]),
        np.array([2, 2], np.uint8),
        masks,
    )
    depth = np.zeros((48, 64), np.float32)
    depth[:, :32] = 2.0
    camera = Pinhole(100.0, 100.0, 31.5, 23.5, 64, 48)
    return instances, surfaces(masks, depth, camera)


def test_only_located_objects_are_told(seen):
    instances, found = seen
    message = detection_3d_array(instances, found, Prompt(1, ("red mug", "Käse")), HEADER)
    message = deserialize_message(serialize_message(message), type(message))
    assert message.header == HEADER
    [detection] = message.detections
    assert detection.id == "3"
    [result] = detection.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("Käse", 0.75)
    position = detection.bbox.center.position
    assert result.pose.pose.position == position
    assert detection.bbox.center.orientation.w == 1.0
    np.testing.assert_allclose([position.x, position.y, position.z], [-0.34, -0.08, 2], atol=0.01)
    np.testing.assert_allclose([detection.bbox.size.x, detection.bbox.size.y], 0.38, atol=0.01)


def test_the_cloud_holds_every_point_with_colour_and_id(seen):
    instances, found = seen
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 0], image[..., 2] = 200, 7
    message = instance_cloud(instances, found, image, HEADER)
    message = deserialize_message(serialize_message(message), type(message))
    assert (message.width, message.height, message.point_step) == (400, 1, 20)
    assert [field.name for field in message.fields] == ["x", "y", "z", "rgb", "track_id"]
    assert not message.is_bigendian
    points = np.frombuffer(bytes(message.data), "<f4,<f4,<f4,<u4,<u4")
    assert (points["f2"] == 2).all()
    assert set(points["f4"].tolist()) == {3}
    assert set(points["f3"].tolist()) == {200 << 16 | 7}


def test_nothing_seen_is_an_empty_cloud():
    none = Instances.none(48, 64)
    message = instance_cloud(none, [], np.zeros((48, 64, 3), np.uint8), HEADER)
    assert (message.width, len(message.data)) == (0, 0)
