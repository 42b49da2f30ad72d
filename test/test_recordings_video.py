"""Annotated videos of sources whose sizes and rates are not those of a camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from standalone_trackers import BLUE, RED, picture

from gsam_ros.recordings.sources import open_source
from gsam_ros.recordings.video import VideoError, VideoWriter, join_videos, write_video


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ((300, 20_000), (62, 4096)),  # a panorama
        ((20_000, 1), (4096, 2)),
        ((47, 4095), (48, 4096)),
        ((1, 1), (2, 2)),
    ],
)
def test_pictures_of_any_size_become_a_video(
    tmp_path: Path, shape: tuple[int, int], drawn: tuple[int, int]
) -> None:
    image = np.full((*shape, 3), RED, np.uint8)
    assert write_video(tmp_path / "v.mp4", [image, image], 10) == 2
    frames = list(open_source(tmp_path / "v.mp4").items())
    assert [frame.image.shape[:2] for frame in frames] == [drawn, drawn]
    assert np.abs(frames[0].image.astype(int) - RED).max() < 40


def test_parts_of_a_large_video_are_of_one_size(tmp_path: Path) -> None:
    parts = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    size = None
    for part, width in zip(parts, (5000, 64), strict=True):
        with VideoWriter(part, 10, size) as writer:
            writer.add(picture(RED, width))
        size = writer.size
    join_videos(tmp_path / "j.mp4", parts, 10)
    frames = list(open_source(tmp_path / "j.mp4").items())
    assert [frame.image.shape for frame in frames] == [(40, 4096, 3)] * 2


@pytest.mark.parametrize(("rate", "kept"), [(1 / 3600, 1 / 1000), (2e9, 1e5)])
def test_any_rate_becomes_one_that_a_file_can_have(
    tmp_path: Path, rate: float, kept: float
) -> None:
    parts = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for part in parts:
        write_video(part, [picture(RED), picture(BLUE)], rate)
    join_videos(tmp_path / "j.mp4", parts, rate)
    with av.open(str(tmp_path / "j.mp4")) as container:
        frames = container.decode(video=0)
        times = [float(frame.pts * frame.time_base) for frame in frames]
    assert times == pytest.approx([i / kept for i in range(4)])


def test_what_keeps_a_video_from_being_written_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").symlink_to("/dev/full")
    told = r"v\.mp4 can't be written: No space .* 64x48 pixels\): gsam track --no-video"
    with pytest.raises(VideoError, match=told):
        write_video(tmp_path / "v.mp4", [picture(RED)] * 200, 10)


def test_a_video_that_fails_does_not_hide_what_failed_first(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").symlink_to("/dev/full")

    def pictures() -> Iterator[np.ndarray]:
        yield picture(RED)
        raise KeyError("the machine")

    with pytest.raises(KeyError):
        write_video(tmp_path / "v.mp4", pictures(), 10)
