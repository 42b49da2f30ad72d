"""Results as messages: what a subscriber reads is what the machine found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String

from gsam_ros.bridge.detections import detection_array
from gsam_ros.bridge.instances import instance_array
from gsam_ros.bridge.label_info import label_info, prompt_version
from gsam_ros.bridge.masks import instance_mask, semantic_mask
from gsam_ros.bridge.stamps import nanoseconds, read_header, to_time
from gsam_ros.bridge.status import frame_status
from gsam_ros.drawing import draw_instances, track_colour
from gsam_ros.instances import Frame, FrameResult, Instances, LateDetection, TrackState
from gsam_ros.masks import Masks
from gsam_ros.pipeline.inbox import Arrival
from gsam_ros.pipeline.statistics import CameraStatistics
from gsam_ros.prompts import Prompt
from gsam_ros.stages import Stage

HEIGHT, WIDTH = 12, 20
HEADER = Header(stamp=to_time(1_700_000_000_123_456_789), frame_id="cam")
PROMPT = Prompt(7, ("red mug", "Käse"))


@pytest.fixture
def instances() -> Instances:
    """A cheese at the left and, over its right part, a mug with an id beyond 16 bits."""
    logits = np.full((2, HEIGHT, WIDTH), -1, np.float32)
    logits[0, 2:8, 1:9] = 1
    logits[1, 4:10, 6:16] = 2
    masks = Masks(logits, HEIGHT, WIDTH)
    return Instances(
        boxes=masks.boxes,
        scores=np.array([0.75, 0.5], np.float32),
        phrase_index=np.array([1, 0]),
        track_id=np.array([3, 65536]),
        state=np.array([TrackState.CONFIRMED, TrackState.TENTATIVE], np.uint8),
        masks=masks,
    )


def through_cdr(message):
    """As a subscriber gets it, with every field checked by the serialisation."""
    return deserialize_message(serialize_message(message), type(message))


def test_detections_hold_id_phrase_score_and_box(instances: Instances) -> None:
    array = through_cdr(detection_array(instances, PROMPT, HEADER))
    assert array.header == HEADER
    cheese, mug = array.detections
    assert (cheese.id, mug.id) == ("3", "65536")
    assert cheese.header == HEADER
    [result] = cheese.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("Käse", 0.75)
    centre = cheese.bbox.center.position
    assert (centre.x, centre.y, cheese.bbox.size_x, cheese.bbox.size_y) == (5, 5, 8, 6)
    assert mug.results[0].hypothesis.class_id == "red mug"


def test_instances_hold_masks_that_coco_reads(instances: Instances) -> None:
    array = through_cdr(instance_array(instances, PROMPT, HEADER))
    assert (array.header, array.prompt_version) == (HEADER, 7)
    for row, message in enumerate(array.instances):
        assert message.track_id == instances.track_id[row]
        assert message.class_id == instances.phrase_index[row] + 1
        assert message.phrase == PROMPT.phrases[instances.phrase_index[row]]
        assert message.state == instances.state[row]
        size = [message.mask.height, message.mask.width]
        decoded = coco_mask.decode({"size": size, "counts": message.mask.counts})
        np.testing.assert_array_equal(decoded, instances.masks.pixels()[row])


def test_mask_images_tell_object_and_class(instances: Instances) -> None:
    ids = through_cdr(instance_mask(instances, HEADER))
    assert (ids.encoding, ids.header, ids.step) == ("mono16", HEADER, 2 * WIDTH)
    pixels = np.frombuffer(ids.data, np.uint16).reshape(HEIGHT, WIDTH)
    # 65536 starts over at 1; where both are, the surer one is.
    assert (pixels[0, 0], pixels[3, 2], pixels[5, 7], pixels[9, 15]) == (0, 3, 1, 1)
    classes = through_cdr(semantic_mask(instances, HEADER))
    assert (classes.encoding, classes.step) == ("mono8", WIDTH)
    pixels = np.frombuffer(classes.data, np.uint8).reshape(HEIGHT, WIDTH)
    assert (pixels[0, 0], pixels[3, 2], pixels[5, 7]) == (0, 2, 1)


def test_nothing_found_is_an_empty_answer() -> None:
    nothing = Instances.none(HEIGHT, WIDTH)
    assert detection_array(nothing, None, HEADER).detections == []
    array = instance_array(nothing, None, HEADER)
    assert (array.instances, array.prompt_version) == ([], 0)
    assert not any(instance_mask(nothing, HEADER).data)


def test_labels_name_every_class_and_the_prompts_version() -> None:
    message = through_cdr(label_info(PROMPT, 0.25, 5_000_000_001))
    assert [(c.class_id, c.class_name) for c in message.class_map] == [(1, "red mug"), (2, "Käse")]
    assert message.threshold == 0.25
    assert nanoseconds(message.header.stamp) == 5_000_000_001
    assert prompt_version(message) == 7
    message.header.frame_id = "camera"
    with pytest.raises(ValueError, match="frame_id is 'camera'"):
        prompt_version(message)


def test_frame_status_adds_up(instances: Instances) -> None:
    statistics = CameraStatistics()
    for _ in range(3):
        statistics.frame_received()
    statistics.frame_dropped("superseded")
    statistics.frame_processed(0.1, objects=2)
    frame = Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 1_000_000_000, "front")
    arrival = Arrival("front", 1_000_000_000, 1_200_000_000, None, clock=5.0)
    result = FrameResult(frame, instances, PROMPT, True)
    stages = [Stage("wait", 5.0, 5.25), Stage("track", 5.5, 6), Stage("track", 6, 6.125)]
    message = frame_status(HEADER, arrival, result, stages, statistics, 1_500_000_000)
    message = through_cdr(message)
    assert (message.camera, message.prompt_version, message.keyframe) == ("front", 7, True)
    assert (message.instances, message.age) == (2, 0.5)
    assert nanoseconds(message.received) == 1_200_000_000
    assert message.stage_names == ["wait", "track", "track"]
    assert list(message.stage_begin_ms) == [0, 500, 1000]
    assert list(message.stage_end_ms) == [250, 1000, 1125]
    assert (nanoseconds(message.late_stamp), message.late_detect_ms) == (0, 0)
    assert (message.frames_received, message.frames_processed) == (3, 1)
    assert (message.drop_causes, list(message.drop_counts)) == (["superseded"], [1])
    late = replace(result, late=LateDetection(stamp=750_000_000, detect_ms=40.0, catch_up_ms=8.0))
    message = frame_status(HEADER, arrival, late, stages, statistics, 1_500_000_000)
    message = through_cdr(message)
    assert nanoseconds(message.late_stamp) == 750_000_000
    assert (message.late_detect_ms, message.late_catch_up_ms) == (40, 8)
    assert len(message.stage_names) == 3
    dropped = frame_status(HEADER, arrival, None, (), statistics, 1_500_000_000)
    assert (dropped.instances, dropped.prompt_version, dropped.stage_names) == (0, 0, [])


@pytest.mark.parametrize("kind", [Image, CompressedImage])
@pytest.mark.parametrize("frame_id", ["", "cam", "kamera_für_hinten", "x" * 1000])
def test_a_header_is_read_from_raw_bytes(kind: type, frame_id: str) -> None:
    header = Header(stamp=to_time(1_700_000_000_999_999_999), frame_id=frame_id)
    assert read_header(serialize_message(kind(header=header))) == header


def test_a_big_endian_header_is_read() -> None:
    raw = bytes.fromhex("00000000 00000005 00000007 00000003") + b"ab\0"
    header = read_header(raw)
    assert (nanoseconds(header.stamp), header.frame_id) == (5_000_000_007, "ab")


@pytest.mark.parametrize("raw", [b"", b"\0\1\0\0", serialize_message(String(data="x" * 40))])
def test_bytes_that_end_early_are_no_header(raw: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        read_header(raw)


def test_time_before_1970_keeps_its_fields_valid() -> None:
    assert nanoseconds(to_time(-1)) == -1
    assert to_time(-1).nanosec == 999_999_999


def test_drawing_marks_what_was_found_and_leaves_the_image_alone() -> None:
    logits = np.full((1, 30, 40), -1, np.float32)
    logits[0, 12:18, 10:20] = 1
    masks = Masks(logits, 120, 160)
    confirmed = np.array([TrackState.CONFIRMED], np.uint8)
    one = np.array([1])
    found = Instances(masks.boxes, np.array([0.9], np.float32), one, one, confirmed, masks)
    image = np.full((120, 160, 3), 100, np.uint8)
    frame = Frame(image, 0)
    drawn = draw_instances(image, FrameResult(frame, found, PROMPT, True))
    assert (image == 100).all()
    changed = (drawn != 100).any(2)
    assert changed[60, 60]  # tinted
    expected = 0.75 * 100 + 0.25 * np.array(track_colour(1))
    assert np.abs(drawn[60, 60] - expected).max() <= 1
    assert changed[35:47, 40:].any()  # the label, above the box
    assert not changed[76:].any()
    nothing = FrameResult(frame, Instances.none(120, 160), None, True)
    np.testing.assert_array_equal(draw_instances(image, nothing), image)


def test_neighbouring_tracks_have_different_colours() -> None:
    for track in range(1, 50):
        difference = np.subtract(track_colour(track), track_colour(track + 1))
        assert np.abs(difference).max() > 60
