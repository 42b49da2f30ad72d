"""MPEG-4 videos with H.264, which browsers play too, by PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
import cv2
import numpy as np

_ENCODER: Final = "libx264"


class VideoError(RuntimeError):
    """A video that can't be written or read; the message names the file."""


class VideoWriter:
    """Takes pictures one by one; a context manager, complete once it is left.

    Every file that is written at one rate and size goes with the others into one by `join_videos`.

    Attributes:
        size: width and height of the video; None before the first picture.
        count: pictures so far.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int] | None = None) -> None:
        """Open the file when the first picture comes.

        Args:
            path: ends in .mp4.
            rate: pictures per second.
            size: width and height; by default those of the first picture. Pictures of other sizes
                are scaled to it.
        """
        self.size = size
        self.count = 0
        self._path = path
        self._rate = Fraction(rate).limit_denominator(1000)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream

    def add(self, picture: np.ndarray) -> None:
        """Append an [H, W, 3] uint8 RGB picture.

        Raises:
            VideoError: the file can't be written.
        """
        if self.size is None:
            self.size = picture.shape[1], picture.shape[0]
        # H.264 stores colours for blocks of 2x2 pixels.
        width, height = (edge + edge % 2 for edge in self.size)
        if self._container is None:
            self._open(width, height)
        if picture.shape[:2] != (height, width):
            picture = cv2.resize(picture, (width, height))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = self.count
        frame.time_base = 1 / self._rate
        self._mux(frame)
        self.count += 1

    def close(self) -> None:
        """Write what is still under way."""
        if self._container is not None:
            self._mux(None)
            self._container.close()
            self._container = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, width: int, height: int) -> None:
        try:
            container = av.open(str(self._path), "w", format="mp4")
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(
                f"{self._path} can't be written ({error.strerror}): is its folder there and "
                "writable?"
            ) from error
        try:
            # Without B-frames a packet's place is its picture's place, so files can be joined.
            stream = container.add_stream(
                _ENCODER, rate=self._rate, options={"preset": "veryfast", "crf": "22", "bf": "0"}
            )
        except av.codec.codec.UnknownCodecError as error:
            container.close()
            raise VideoError(
                f"{self._path} can't be written: this machine's FFmpeg has no {_ENCODER}: install "
                "PyAV with its own (pip install --force-reinstall --only-binary av av), or give "
                "gsam track --no-video"
            ) from error
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        self._container, self._stream = container, stream

    def _mux(self, frame: av.VideoFrame | None) -> None:
        assert self._container is not None
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(f"{self._path} can't be written: {error.strerror}") from error


def write_video(path: Path, pictures: Iterable[np.ndarray], rate: float) -> int:
    """Write [H, W, 3] uint8 RGB pictures; returns how many.

    Args:
        path: ends in .mp4.
        pictures: those that have another size than the first are scaled to it.
        rate: pictures per second.

    Raises:
        VideoError: the file can't be written.
    """
    with VideoWriter(path, rate) as writer:
        for picture in pictures:
            writer.add(picture)
    return writer.count


def join_videos(path: Path, parts: Sequence[Path], rate: float) -> None:
    """Join files of `VideoWriter` of one rate and size, in order, without decoding a picture.

    Raises:
        VideoError: one can't be read, or the file can't be written.
    """
    time_base = 1 / Fraction(rate).limit_denominator(1000)
    count = 0
    try:
        with av.open(str(path), "w", format="mp4") as out:
            stream = None
            for part in parts:
                with av.open(str(part)) as container:
                    source = container.streams.video[0]
                    if stream is None:
                        stream = out.add_stream_from_template(source)
                    for packet in container.demux(source):
                        if packet.dts is None:
                            continue
                        packet.stream = stream
                        packet.pts = packet.dts = count
                        packet.duration = 1
                        packet.time_base = time_base
                        out.mux(packet)
                        count += 1
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path} can't be written: {error.strerror}") from error
