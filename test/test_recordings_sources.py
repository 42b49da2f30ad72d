"""Where `gsam track` gets its frames, and what it says of those that can't be read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from standalone_trackers import BLUE, RED, picture

from gsam_ros.demo.sample import START, SampleOptions, write_sample
from gsam_ros.instances import Frame
from gsam_ros.recordings.bag import BagError, open_bag
from gsam_ros.recordings.bag_writer import BagWriter
from gsam_ros.recordings.message_types import typestore
from gsam_ros.recordings.result_messages import header_message, image_message
from gsam_ros.recordings.sources import SourceError, open_source
from gsam_ros.recordings.sources.source import Item, PromptText, Unreadable
from gsam_ros.recordings.sources.webcam import Webcam
from gsam_ros.recordings.video import write_video


def stamps(items: list[Item]) -> list[int]:
    return [item.stamp for item in items if isinstance(item, Frame)]


def bad(items: list[Item]) -> list[Unreadable]:
    return [item for item in items if isinstance(item, Unreadable)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bags") / "sample"
    write_sample(path, SampleOptions(seconds=0.6))
    return path


def write_images(path: Path, encodings: dict[str, str], count: int = 3) -> Path:
    """A bag with image topics of some encodings."""
    with BagWriter(path) as writer:
        for topic in encodings:
            writer.add_topic(topic, "sensor_msgs/msg/Image")
        for i in range(count):
            for topic, encoding in encodings.items():
                pixels = picture(RED) if encoding == "rgb8" else np.ones((48, 64), np.uint16)
                header = header_message(i * 10**8, "optical")
                writer.write(topic, i * 10**8, image_message(header, pixels, encoding))
    return path


def test_images_come_in_the_order_of_their_names_and_red_is_red(tmp_path: Path) -> None:
    for name, colour in {"10.png": BLUE, "9.png": RED, "b.JPG": BLUE}.items():
        cv2.imwrite(str(tmp_path / name), picture(colour)[..., ::-1])
    (tmp_path / "notes.txt").write_text("no image")
    source = open_source(tmp_path)
    frames = list(source.items())
    assert [frame.token.name for frame in frames] == ["9.png", "10.png", "b.JPG"]
    assert stamps(frames) == [0, 10**8, 2 * 10**8]
    assert tuple(frames[0].image[0, 0]) == RED
    assert [frame.token.name for frame in source.items(2)] == ["b.JPG"]
    assert source.length == 3


def test_one_image_is_a_source(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "b.png"), picture(RED)[..., ::-1])
    source = open_source(str(tmp_path / "b.png"))
    assert (source.length, len(list(source.items()))) == (1, 1)


def test_a_video_keeps_its_rate_and_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert write_video(path, [picture(RED), picture(BLUE), picture(RED)], 25.0) == 3
    source = open_source(path)
    assert (source.rate, source.length) == (25.0, 3)
    frames = list(source.items())
    assert stamps(frames) == [0, 40_000_000, 80_000_000]
    assert np.abs(frames[1].image.astype(int) - BLUE).max() < 40
    assert [frame.token.name for frame in source.items(1)] == ["frame 1", "frame 2"]


def test_a_video_s_own_times_are_kept_where_they_are_uneven(tmp_path: Path) -> None:
    """Telephones and screen recorders write as many frames per second as they like."""
    path = tmp_path / "uneven.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for milliseconds in (0, 40, 500, 530):
            frame = av.VideoFrame.from_ndarray(picture(RED), format="rgb24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert stamps(list(open_source(path).items())) == [0, 40 * 10**6, 500 * 10**6, 530 * 10**6]


def noise_video(path: Path, count: int) -> None:
    """A video in which every frame is a whole picture (a keyframe), so that damage stays local."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for _ in range(count):
            pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def test_an_unreadable_frame_of_a_video_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    noise_video(path, 6)
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xd8\xff"]
    assert len(starts) == 6
    data[starts[2] : starts[2] + 700] = bytes(700)
    path.write_bytes(data)
    items = list(open_source(path).items())
    assert len(items) == 6
    assert [item.origin.name for item in bad(items)] == ["frame 2"]
    assert "damaged" in bad(items)[0].reason
    assert stamps(items) == [0, 10**8, 3 * 10**8, 4 * 10**8, 5 * 10**8]


def test_a_video_that_was_cut_off_says_how_much_is_there(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    rng = np.random.default_rng(0)
    pictures = (rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(20))
    write_video(tmp_path / "whole.mp4", pictures, 10)
    with av.open(str(tmp_path / "whole.mp4")) as source, av.open(
        str(path), "w", options={"movflags": "faststart"}
    ) as out:  # fmt: skip
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = open_source(path)
    items = list(source.items())
    assert 5 < len(stamps(items)) < 15
    assert any("of 20 frames: was it cut off?" in problem for problem in source.problems)


def test_a_webcam_gives_frames_with_the_time_at_which_they_came(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", [picture(RED)] * 3, 25.0)
    webcam = Webcam(str(tmp_path / "clip.mp4"))  # OpenCV opens a file as it opens a device
    items = list(webcam.items())
    assert len(stamps(items)) == 3
    assert stamps(items) == sorted(set(stamps(items)))
    assert stamps(items)[0] > START
    assert webcam.endless
    assert "gave no image 30 times" in webcam.problems[0]


def test_a_webcam_that_is_not_there_is_named() -> None:
    for name in ("/dev/video77", "77"):
        with pytest.raises(SourceError, match=f"there is no camera {name}"):
            open_source(name)


def test_a_bag_with_several_cameras_asks_which(sample: Path) -> None:
    with pytest.raises(SourceError, match=r"--topic, once per camera: it has images on /left/dep"):
        open_source(sample)
    with pytest.raises(SourceError, match=r"has no images on /top: it has images on /left/depth"):
        open_source(sample, ["/top"])
    with pytest.raises(SourceError, match=r"/left/truth is of type gsam_ros/msg/InstanceArray"):
        open_source(sample, ["/left/truth"])
    with pytest.raises(SourceError, match=r"/left/image and /left/image/compressed are of one"):
        open_source(sample, ["/left/image", "/left/image/compressed"])


def test_several_topics_of_a_bag_are_several_cameras(sample: Path) -> None:
    source = open_source(sample, ["/left/image/compressed", "/right/image"])
    frames = list(source.items())
    assert (source.cameras, source.length) == (("left", "right"), 12)
    assert [frame.camera for frame in frames] == ["left", "right"] * 6
    assert [frame.stamp - START for frame in frames[:3]] == [0, 5 * 10**7, 10**8]
    assert frames[1].token.frame_id == "right_optical"
    assert [f.stamp for f in source.items(9)] == [f.stamp for f in frames[9:]]


def test_the_only_camera_of_a_bag_is_found_beside_depth_and_its_own_jpegs(tmp_path: Path) -> None:
    encodings = {"/cam/image_raw": "rgb8", "/cam/depth/image_raw": "16UC1"}
    source = open_source(write_images(tmp_path / "bag", encodings))
    assert source.cameras == ("cam",)
    only_depth = write_images(tmp_path / "thermal", {"/thermal/image": "16UC1"})
    assert open_source(only_depth).cameras == ("thermal",)
    with open_bag(tmp_path / "bag") as bag, BagWriter(tmp_path / "jpegs") as writer:
        for topic, kind in {"/cam/image_raw": "Image", "/cam/image_raw/compressed": "Com"}.items():
            writer.add_topic(topic, f"sensor_msgs/msg/{kind.replace('Com', 'CompressedImage')}")
        for record in bag.records(["/cam/image_raw"]):
            writer.write_raw("/cam/image_raw", record.time, record.data)
            jpeg = typestore().types["sensor_msgs/msg/CompressedImage"]
            empty = jpeg(header_message(record.time, ""), "jpeg", np.zeros(0, np.uint8))
            writer.write("/cam/image_raw/compressed", record.time, empty)
    assert open_source(tmp_path / "jpegs").cameras == ("cam",)


def test_prompts_of_a_bag_come_at_their_place(sample: Path) -> None:
    items = list(open_source(sample, ["/left/image"], prompts=True).items())
    assert [i for i, item in enumerate(items) if isinstance(item, PromptText)] == [0, 4]
    silent = write_images(sample.parent / "silent", {"/image": "rgb8"})
    with pytest.raises(SourceError, match=r"has no prompts .*: give a --prompt"):
        open_source(silent, prompts=True)


def test_a_bag_whose_prompt_topic_is_empty_asks_for_a_prompt(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/prompt", "std_msgs/msg/String")
        writer.add_topic("/image", "sensor_msgs/msg/Image")
        writer.write("/image", 0, image_message(header_message(0, ""), picture(RED), "rgb8"))
    with pytest.raises(SourceError, match=r"no prompts \(no message on /prompt\): give a --prompt"):
        open_source(tmp_path / "bag", prompts=True)
    assert open_source(tmp_path / "bag").length == 1


def test_a_damaged_first_message_is_no_reason_to_refuse_a_bag(tmp_path: Path) -> None:
    depth = {"/depth/image": "16UC1"}
    with open_bag(write_images(tmp_path / "whole", {"/image": "rgb8"} | depth)) as bag:
        records = list(bag.records(bag.topics))
    with BagWriter(tmp_path / "bag") as writer:
        for topic in bag.topics:
            writer.add_topic(topic, "sensor_msgs/msg/Image")
        writer.write_raw("/image", 0, b"\0\1\0\0abc")
        for record in records:
            writer.write_raw(record.topic, record.time, record.data)
    items = list(open_source(tmp_path / "bag").items())
    assert (len(bad(items)), len(stamps(items))) == (1, 3)
    with BagWriter(tmp_path / "worse") as writer:  # nothing tells that it is no depth
        for topic in bag.topics:
            writer.add_topic(topic, "sensor_msgs/msg/Image")
            writer.write_raw(topic, 0, b"\0\1\0\0abc")
    with pytest.raises(SourceError, match="choose with --topic"):
        open_source(tmp_path / "worse")


def test_a_bag_without_images_says_what_it_has(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/chatter", "std_msgs/msg/String")
        writer.add_topic("/cam", "sensor_msgs/msg/Image")
        writer.write("/chatter", 1, typestore().types["std_msgs/msg/String"]("hello"))
    complaint = r"has no images \(/cam hold no message\); its topics are /chatter \(std_msgs"
    with pytest.raises(SourceError, match=complaint):
        open_source(tmp_path / "bag")


def test_an_image_that_cannot_be_decoded_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/cam/image", "sensor_msgs/msg/Image")
        for i, encoding in enumerate(("rgb8", "h264", "rgb8")):
            message = image_message(header_message(i, ""), picture(RED), encoding)
            writer.write("/cam/image", i, message)
        writer.write_raw("/cam/image", 3, b"\x00\x01\x00\x00nonsense")
    items = list(open_source(tmp_path / "bag").items())
    assert stamps(items) == [0, 2]
    assert [(item.camera, item.origin.name) for item in bad(items)] == [
        ("cam", "/cam/image@1"),
        ("cam", "/cam/image@3"),
    ]
    assert "'h264' is not known" in bad(items)[0].reason
    assert "no message of its type" in bad(items)[1].reason


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "film.mp4").write_text("no film")
    (tmp_path / "cut.mcap").write_text("no bag")
    for name, complaint in {
        "nowhere": "nowhere does not exist",
        "empty": r"empty holds no images .* and no bag",
        "film.mp4": r"film.mp4 is no video that can be read .*, no image, and no bag",
    }.items():
        with pytest.raises(SourceError, match=complaint):
            open_source(tmp_path / name)
    with pytest.raises(SourceError, match="has no name"):  # not the folder in which it is typed
        open_source("")
    with pytest.raises(BagError, match=r"cut.mcap was cut off or damaged, and no message"):
        open_source(tmp_path / "cut.mcap")
    write_video(tmp_path / "film.mp4", [picture(RED)], 10)
    with pytest.raises(SourceError, match="is no bag and has no topics: leave --topic out"):
        open_source(tmp_path / "film.mp4", ["/image"])
    with pytest.raises(SourceError, match="no bag with prompts in it: give a --prompt"):
        open_source(tmp_path / "film.mp4", prompts=True)
