"""MPEG-4 videos with H.264, which browsers play too, by PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
import cv2
import numpy as np

_ENCODER: Final = "libx264"

_LONGEST_EDGE: Final = 4096
"""Browsers show no larger videos; x264 makes none above 16,384, which panoramas exceed."""

_SLOWEST, _FASTEST = 1 / 1000, 100_000.0
"""Pictures per second. Stamps an hour apart, or all the same, give rates that no file can have."""


class VideoError(RuntimeError):
    """A video that can't be written or read; the message names the file."""


class VideoWriter:
    """Takes pictures one by one; a context manager, complete once it is left.

    Every file that is written at one rate and size goes with the others into one by `join_videos`.

    Attributes:
        size: width and height of the video, even; None before the first picture.
        count: pictures so far.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int] | None = None) -> None:
        """Open the file when the first picture comes.

        Args:
            path: ends in .mp4.
            rate: pictures per second.
            size: width and height; by default those of the first picture, made smaller where an
                edge is too long. Pictures of other sizes are scaled to it.
        """
        self.size = _video_size(*size) if size else None
        self.count = 0
        self._failed = False
        self._path = path
        self._rate = _video_rate(rate)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream

    def add(self, picture: np.ndarray) -> None:
        """Append an [H, W, 3] uint8 RGB picture.

        Raises:
            VideoError: the file can't be written.
        """
        if self.size is None:
            self.size = _video_size(picture.shape[1], picture.shape[0])
        width, height = self.size
        if self._container is None:
            self._open(width, height)
        if picture.shape[:2] != (height, width):
            shrinks = picture.shape[0] > height or picture.shape[1] > width
            kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            picture = cv2.resize(picture, (width, height), interpolation=kind)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = self.count
        frame.time_base = 1 / self._rate
        self._mux(frame)
        self.count += 1

    def close(self) -> None:
        """Write what is still under way.

        Raises:
            VideoError: the file can't be written.
        """
        if self._container is None:
            return
        try:
            if not self._failed:  # what else goes into such a file ends the process
                self._mux(None)
        finally:
            container, self._container = self._container, None
            with self._named_errors():
                container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except VideoError:
            if error is None:  # else what failed first is told
                raise

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
        with self._named_errors():
            for packet in self._stream.encode(frame):
                self._container.mux(packet)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Say of which file an error is, and what helps."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            assert self.size is not None
            self._failed = True
            raise VideoError(
                f"{self._path} can't be written: {error.strerror} (with {self.size[0]}x"
                f"{self.size[1]} pixels): gsam track --no-video goes without"
            ) from error


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
    time_base = 1 / _video_rate(rate)
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


def _video_size(width: int, height: int) -> tuple[int, int]:
    """The size of a video of pictures: no edge too long, and even.

    H.264 stores colours for blocks of 2x2 pixels.

    >>> _video_size(641, 480), _video_size(20_000, 3_000)
    ((642, 480), (4096, 614))
    """
    scale = min(1.0, _LONGEST_EDGE / max(width, height))
    width, height = (max(1, round(edge * scale)) for edge in (width, height))
    return width + width % 2, height + height % 2


def _video_rate(rate: float) -> Fraction:
    """Pictures per second as a file can have them.

    >>> _video_rate(29.97), _video_rate(1 / 3600)
    (Fraction(2997, 100), Fraction(1, 1000))
    """
    return Fraction(min(max(rate, _SLOWEST), _FASTEST)).limit_denominator(1000)
