"""The running node with a depth camera: places in metres, and depth that is of no use."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from gsam_ros.msg import FrameStatus
from node_harness import Client, World, grey, picture
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from vision_msgs.msg import Detection3DArray

from gsam_ros.world.scene import Scene
from gsam_ros.world.vocabulary import phrase_of

STATUS = "/gsam_node/frame_status"
_steps = itertools.count()


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(1)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, scene: Scene) -> Iterator[Client]:
    world = World(tmp_path_factory.mktemp("depth"))
    with world.client() as client, world.gsam_node(mode="lossless", device="cpu", depth=True):
        client.listen_to_results()
        client.listen(Detection3DArray, "/gsam_node/detections_3d")
        client.listen(PointCloud2, "/gsam_node/instance_cloud")
        client.wait_for_state("active")
        answer = client.set_prompt(". ".join({phrase_of(pair) for pair in scene.pairs.values()}))
        assert answer.success, answer.message
        yield client


def show(
    client: Client,
    scene: Scene,
    depth: Image | None,
    shift: float = 0.0,
    matrix: np.ndarray | None = None,
) -> FrameStatus:
    """Show a frame of the scene with a depth image, stamped `shift` seconds later."""
    t = next(_steps) / 10
    frame = scene.render(0, t)
    camera = scene.cameras[0]
    matrix = camera.matrix if matrix is None else matrix
    info = CameraInfo(width=640, height=480, k=matrix.ravel().tolist())
    client.show(info, "/camera_info")
    if depth is None:
        millimetres = np.round(frame.depth * 1000).astype(np.uint16)
        depth = picture(0, millimetres, "16UC1", "optical")
    message = picture(100 + t, frame.image, frame="optical")
    depth.header.stamp = picture(100 + t + shift, grey()).header.stamp
    client.show(depth, "/depth")
    before = len(client.got[STATUS])
    client.show(message)
    return client.wait_for(STATUS, before + 1)[-1]


def test_objects_stand_where_the_scene_put_them(client: Client, scene: Scene) -> None:
    for _ in range(3):
        status = show(client, scene, None)
    assert "metres" in status.stage_names
    client.wait_for("/gsam_node/detections_3d", 3)
    client.wait_for("/gsam_node/instance_cloud", 3)
    flat, deep = client.got["/gsam_node/detections"][-1], client.got["/gsam_node/detections_3d"][-1]
    assert deep.header == flat.header
    assert deep.header.frame_id == "optical"
    assert len(deep.detections) == len(flat.detections) > 0
    depth = scene.render(0, 0.2).depth
    matrix = scene.cameras[0].matrix
    near = 0
    for seen, located in zip(flat.detections, deep.detections, strict=True):
        assert located.id == seen.id
        assert located.results[0].hypothesis == seen.results[0].hypothesis
        position = located.bbox.center.position
        x, y, z = matrix @ [position.x, position.y, position.z]
        middle = seen.bbox.center.position
        # A mask that reaches onto something behind has its box there too, the place in metres not.
        assert abs(x / z - middle.x) <= seen.bbox.size_x / 2
        assert abs(y / z - middle.y) <= seen.bbox.size_y / 2
        near += abs(depth[int(y / z), int(x / z)] - position.z) < 0.05
    assert near > len(deep.detections) // 2
    cloud = client.got["/gsam_node/instance_cloud"][-1]
    points = np.frombuffer(bytes(cloud.data), "<f4,<f4,<f4,<u4,<u4")
    assert set(points["f4"].tolist()) == {int(d.id) for d in deep.detections}


def test_depth_of_another_moment_is_named(client: Client, scene: Scene) -> None:
    answers = len(client.got["/gsam_node/detections_3d"])
    show(client, scene, None, shift=0.5)
    client.wait_for_log("no image of /depth has the stamp")
    assert len(client.got["/gsam_node/detections_3d"]) == answers


@pytest.mark.parametrize(
    ("depth", "words"),
    [
        (picture(0, np.ones((240, 320), np.uint16), "16UC1"), "must be registered"),
        (picture(0, np.zeros((480, 640, 3), np.uint8)), "'rgb8' is no depth image"),
    ],
)
def test_depth_of_no_use_is_named_and_the_node_goes_on(
    client: Client, scene: Scene, depth: Image, words: str
) -> None:
    status = show(client, scene, depth)
    client.wait_for_log(words)
    assert status.stage_names[0] == "wait"  # the frame itself was answered
    before = len(client.got["/gsam_node/detections_3d"])
    show(client, scene, None)
    client.wait_for("/gsam_node/detections_3d", before + 1)


def test_a_depth_image_that_is_cut_off_is_named(client: Client, scene: Scene) -> None:
    show(client, scene, None)
    whole = picture(0, np.ones((480, 640), np.uint16), "16UC1", "optical")
    t = next(_steps) / 10
    whole.header.stamp = picture(100 + t, grey()).header.stamp
    client.images["/depth"].publish(serialize_message(whole)[:100_000])
    before = len(client.got[STATUS])
    client.show(picture(100 + t, scene.render(0, t).image, frame="optical"))
    assert client.wait_for(STATUS, before + 1)[-1].stage_names
    client.wait_for_log(
        "an image of /depth is of no use: its 100000 bytes are no sensor_msgs/Image"
    )
    before = len(client.got["/gsam_node/detections_3d"])
    show(client, scene, None)
    client.wait_for("/gsam_node/detections_3d", before + 1)


def test_depth_without_readings_places_nothing(client: Client, scene: Scene) -> None:
    before = len(client.got["/gsam_node/detections_3d"])
    show(client, scene, picture(0, np.full((480, 640), np.nan, np.float32), "32FC1", "optical"))
    show(client, scene, picture(0, np.full((480, 640), -np.inf, np.float32), "32FC1", "optical"))
    answers = client.wait_for("/gsam_node/detections_3d", before + 2)[before:]
    assert [list(a.detections) for a in answers] == [[], []]
    assert client.got["/gsam_node/detections"][-1].detections


def test_a_calibration_that_is_no_number_is_named(client: Client, scene: Scene) -> None:
    before = len(client.got["/gsam_node/detections_3d"])
    show(client, scene, None, matrix=np.full(9, np.nan))
    client.wait_for_log("/camera_info is of no use: its focal length and centre are nan")
    show(client, scene, None)
    [array] = client.wait_for("/gsam_node/detections_3d", before + 1)[before:]
    assert array.detections
