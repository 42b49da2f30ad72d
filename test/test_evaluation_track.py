"""`gsam track` without models: sources of frames, and the files that results become."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from gsam_ros.evaluation.bag import BagWriter
from gsam_ros.evaluation.sample import START, SampleOptions, write_sample
from gsam_ros.evaluation.sources import SourceError, open_source
from gsam_ros.evaluation.track import track
from gsam_ros.evaluation.video import VideoError, write_video
from gsam_ros.instances import Frame, FrameResult, Instances, TrackState
from gsam_ros.masks import Masks
from gsam_ros.prompts import Prompt

RED, BLUE = (200, 10, 10), (10, 10, 200)


def picture(colour: tuple[int, int, int], width: int = 64) -> np.ndarray:
    return np.full((48, width, 3), colour, np.uint8)


class RedFinder:
    """A tracker that finds the left half of every frame that is red."""

    def step(self, frames: list[Frame]) -> list[FrameResult]:
        [frame] = frames
        height, width = frame.image.shape[:2]
        prompt = Prompt(1, ("blue mug", "red mug"))
        if frame.image[0, 0, 0] < 128:
            return [FrameResult(frame, Instances.none(height, width), prompt, False)]
        logits = np.full((1, height, width), -1.0, np.float32)
        logits[:, :, : width // 2] = 1
        found = Instances(
            np.array([[0, 0, width // 2, height]], np.float32),
            np.array([0.75], np.float32),
            np.array([1]),
            np.array([9]),
            np.array([TrackState.CONFIRMED], np.uint8),
            Masks(logits, height, width),
        )
        return [FrameResult(frame, found, prompt, True)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for name, colour in {"b.png": BLUE, "a.png": RED, "c.png": RED}.items():
        cv2.imwrite(str(path / name), picture(colour)[..., ::-1])
    (path / "notes.txt").write_text("no image")
    return path


def test_images_come_in_the_order_of_their_names_and_red_is_red(folder: Path) -> None:
    frames = list(open_source(folder))
    assert [frame.token for frame in frames] == ["a.png", "b.png", "c.png"]
    assert [frame.stamp for frame in frames] == [0, 10**8, 2 * 10**8]
    assert tuple(frames[0].image[0, 0]) == RED


def test_one_image_is_a_source(folder: Path) -> None:
    source = open_source(folder / "b.png")
    assert (source.length, len(list(source))) == (1, 1)


def test_a_video_keeps_its_rate_and_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert write_video(path, [picture(RED), picture(BLUE), picture(RED)], 25.0) == 3
    source = open_source(path)
    assert (source.rate, source.length) == (25.0, 3)
    frames = list(source)
    assert [frame.stamp for frame in frames] == [0, 40_000_000, 80_000_000]
    assert np.abs(frames[1].image.astype(int) - BLUE).max() < 40


def test_a_bag_with_several_image_topics_asks_which(tmp_path: Path) -> None:
    write_sample(tmp_path / "bag", SampleOptions(seconds=0.2))
    with pytest.raises(SourceError, match=r"--topic: it has images on /left/image, /left/image/c"):
        open_source(tmp_path / "bag")
    with pytest.raises(SourceError, match=r"has no images on /top: it has images on /left/image"):
        open_source(tmp_path / "bag", "/top")
    source = open_source(tmp_path / "bag", "/left/image/compressed")
    assert [frame.stamp for frame in source] == [START, START + 10**8]


def test_sources_that_cannot_be_read_are_named(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "film.mp4"
    text.write_text("no film")
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/chatter", "std_msgs/msg/String")
    for path, complaint in {
        tmp_path / "nowhere": "nowhere does not exist",
        empty: r"empty holds no images .* and no bag",
        text: r"film.mp4 is no video that OpenCV reads, no image, and no bag",
        tmp_path / "bag": r"bag: choose one with --topic: it has no images at all",
    }.items():
        with pytest.raises(SourceError, match=complaint):
            open_source(path)
    (folder / "b.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"b\.png is no image that can be read"):
        list(open_source(folder))


def test_results_become_coco_and_a_video(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert track(open_source(folder), RedFinder(), out) == 3
    data = json.loads((out / "results.json").read_text())
    assert [image["file_name"] for image in data["images"]] == ["a.png", "b.png", "c.png"]
    assert data["categories"] == [{"id": 1, "name": "blue mug"}, {"id": 2, "name": "red mug"}]
    assert [(a["image_id"], a["track_id"], a["category_id"]) for a in data["annotations"]] == [
        (1, 9, 2),
        (3, 9, 2),
    ]
    first = data["annotations"][0]
    assert (first["bbox"], first["area"], first["score"]) == ([0, 0, 32, 48], 32 * 48, 0.75)
    pixels = coco_mask.decode(first["segmentation"])
    assert pixels[:, :32].all()
    assert not pixels[:, 32:].any()
    assert cv2.VideoCapture(str(out / "video.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_what_was_done_before_a_source_broke_off_is_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "b.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match=r"b\.png"):
        track(open_source(folder), RedFinder(), tmp_path / "out")
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(data["images"]) == len(data["annotations"]) == 1


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no_folder/v\.mp4 can't be written"):
        write_video(tmp_path / "no_folder" / "v.mp4", [picture(RED)], 10)


def test_images_of_several_sizes_make_a_video_of_the_first_one_s_size(
    folder: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(folder / "d.png"), picture(RED, width=128)[..., ::-1])
    assert track(open_source(folder), RedFinder(), tmp_path / "out") == 4
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [image["width"] for image in data["images"]] == [64, 64, 64, 128]
    assert cv2.VideoCapture(str(tmp_path / "out" / "video.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 4
