"""Messages made without ROS against those that the node makes, byte by byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from gsam_ros.bridge import detections, instances, label_info, masks, status
from gsam_ros.bridge.stamps import to_time
from gsam_ros.instances import Frame, FrameResult, Instances, LateDetection
from gsam_ros.masks import Masks
from gsam_ros.pipeline.inbox import Arrival
from gsam_ros.pipeline.statistics import CameraStatistics
from gsam_ros.prompts import Prompt
from gsam_ros.recordings import result_messages as ours
from gsam_ros.recordings.message_types import typestore
from gsam_ros.stages import Stage, since

STAMP = 1_700_000_000_123_456_789
PROMPTS = [Prompt(7, ("red mug", "Käse"), ("tool",)), Prompt(1, ("x",)), None]


def some(count: int, classes: int, seed: int) -> Instances:
    rng = np.random.default_rng(seed)
    found = Masks(rng.normal(size=(count, 5, 7)).astype(np.float32), 31, 43)
    return Instances(
        found.boxes,
        rng.random(count, dtype=np.float32),
        rng.integers(0, classes, count),
        rng.integers(1, 2**17, count),
        rng.integers(1, 3, count).astype(np.uint8),
        found,
    )


def same(mine, theirs) -> bool:
    """Whether both are the same bytes on the wire, but for the padding, in which anything lies."""
    kind = type(theirs)
    name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
    store = typestore()
    received = store.deserialize_cdr(serialize_message(theirs), name)
    return bytes(store.serialize_cdr(mine, name)) == bytes(store.serialize_cdr(received, name))


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("count", [0, 1, 5])
def test_results_are_the_node_s(prompt: Prompt | None, count: int) -> None:
    classes = len(prompt.classes) if prompt else 1
    found = some(count if prompt else 0, classes, count)
    header = Header(stamp=to_time(STAMP), frame_id="left_optical")
    own = ours.header_message(STAMP, "left_optical")
    for mine, theirs in [
        (ours.detection_array, detections.detection_array),
        (ours.instance_array, instances.instance_array),
    ]:
        assert same(mine(found, prompt, own), theirs(found, prompt, header))
    assert same(ours.instance_mask(found, own), masks.instance_mask(found, header))
    assert same(ours.semantic_mask(found, own), masks.semantic_mask(found, header))


@pytest.mark.parametrize("prompt", PROMPTS[:2])
def test_labels_are_the_node_s(prompt: Prompt) -> None:
    assert same(ours.label_info(prompt, 0.3, STAMP), label_info.label_info(prompt, 0.3, STAMP))


@pytest.mark.parametrize("late", [None, LateDetection(STAMP - 5, 12.5, 3.25)])
@pytest.mark.parametrize("answered", [True, False])
def test_frame_status_is_the_node_s(answered: bool, late: LateDetection | None) -> None:
    header = Header(stamp=to_time(STAMP), frame_id="cam")
    statistics = CameraStatistics()
    statistics.frame_received()
    statistics.frame_received()
    statistics.frame_processed(0.1, 3)
    statistics.frame_dropped("bad_image")
    frame = Frame(np.zeros((31, 43, 3), np.uint8), STAMP, "left")
    found = some(3, 1, 0)
    result = FrameResult(frame, found, PROMPTS[1], True, late=late) if answered else None
    stages = [Stage("decode", 2.0, 2.0004), Stage("detect", 2.5, 2.52025)] if answered else []
    later = STAMP + 250_000_000
    theirs = status.frame_status(
        header, Arrival("left", STAMP, STAMP, None, 2.0), result, stages, statistics, later
    )
    mine = ours.frame_status(
        ours.header_message(STAMP, "cam"),
        "left",
        (1, True, 3) if answered else (0, False, 0),
        (STAMP, later, 0.25),
        since(stages, 2.0),
        late if answered else None,
        (2, 1, {"bad_image": 1}),
    )
    assert same(mine, theirs)


def test_track_writes_its_bag_on_a_machine_without_ros(tmp_path: Path) -> None:
    """As after `pip install` of the package alone: no module of ROS can be imported."""
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})

class NoRos:
    def find_spec(self, name, path=None, target=None):
        first = name.split(".")[0]
        if first == "rclpy" or first.endswith(("_msgs", "_interfaces")) or name == "gsam_ros.msg":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NoRos())
from pathlib import Path
from standalone_trackers import RedFinder
from gsam_ros.demo.sample import SampleOptions, write_sample
from gsam_ros.recordings.sources import open_source
from gsam_ros.standalone.track import track

out = Path({str(tmp_path)!r})
write_sample(out / "sample", SampleOptions(seconds=0.2))
for topic in ("/left/image", "/left/image/compressed"):
    done = track(open_source(out / "sample", [topic]), RedFinder(), out / "out", "mug.")
    assert done.frames == 2
assert not {{name for name in sys.modules if name.startswith(("rclpy", "std_msgs"))}}
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    text = (tmp_path / "out" / "result" / "result.mcap").read_bytes()
    assert b"Detection2D[] detections" in text or b"vision_msgs/Detection2D" in text
