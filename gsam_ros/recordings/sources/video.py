"""Video files, by PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from gsam_ros.instances import Frame
from gsam_ros.recordings.sources.source import (
    FOLDER_RATE,
    Item,
    Origin,
    Source,
    SourceError,
    Unreadable,
)


class VideoSource(Source):
    """Every frame with the time that the file gives it, damaged ones by name.

    OpenCV would leave damaged frames out without a word, and count the others on.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        with self._open() as container:
            stream = container.streams.video[0]
            self.rate = float(stream.average_rate or stream.guessed_rate or FOLDER_RATE)
            self.length = stream.frames
            if not self.length and container.duration:
                self.length = round(container.duration / av.time_base * self.rate)

    def items(self, skip: int = 0) -> Iterator[Item]:
        self.problems.clear()
        index = readable = 0
        with self._open() as container:
            stream = container.streams.video[0]
            told = stream.frames
            start = stream.start_time or 0
            for decoded in self._decoded(container):
                if isinstance(decoded, str):
                    stamp = round(index * 1e9 / self.rate)
                else:
                    readable += 1
                    stamp = self._stamp(decoded, index, start)
                if index >= skip:
                    origin = Origin(f"frame {index}", stamp)
                    if isinstance(decoded, str):
                        yield Unreadable("", stamp, origin, decoded)
                    else:
                        yield Frame(_pixels(decoded), stamp, token=origin)
                index += 1
        if not readable:
            raise SourceError(f"{self._path} holds no frame that can be read")
        if index < told:
            self.problems.append(
                f"{self._path} ends after {index} of {told} frames: was it cut off?"
            )

    def identity(self) -> dict[str, Any]:
        size = self._path.stat().st_size
        return {"kind": "video", "path": str(self._path.resolve()), "bytes": size}

    def _decoded(self, container: Any) -> Iterator[av.VideoFrame | str]:
        """Decoded frames, and of those that can't be decoded the reason."""
        packets = container.demux(container.streams.video[0])
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self.problems.append(f"{self._path} can't be read to its end: {error.strerror}")
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:
                yield f"its data is damaged: {error.strerror}"
                continue
            for frame in frames:
                yield "its data is damaged" if frame.is_corrupt else frame

    def _stamp(self, frame: av.VideoFrame, index: int, start: int) -> int:
        """Nanoseconds from the beginning of the video."""
        if frame.pts is None or frame.time_base is None:
            return round(index * 1e9 / self.rate)
        return round((frame.pts - start) * frame.time_base * 10**9)

    def _open(self) -> Any:
        try:
            container = av.open(str(self._path))
        except av.error.FFmpegError as error:
            raise SourceError(
                f"{self._path} is no video that can be read ({error.strerror}), no image, and no "
                "bag (a bag is given as its folder, or as its .mcap or .db3 file)"
            ) from error
        if not container.streams.video:
            container.close()
            raise SourceError(f"{self._path} holds no video: only sound or text")
        return container


def _pixels(frame: av.VideoFrame) -> np.ndarray:
    """[H, W, 3] uint8 RGB, upright as the file says (a telephone's video may lie on its side)."""
    image = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
