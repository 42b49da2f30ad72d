"""What every source of frames has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gsam_ros.instances import Frame
from gsam_ros.pipeline.drops import BAD_IMAGE

FOLDER_RATE = 10.0
"""Images per second where a source doesn't tell; the lives of tracks are in seconds."""


class SourceError(RuntimeError):
    """A source of frames that can't be read; the message names it and says what is wrong."""


@dataclass(frozen=True)
class Origin:
    """Where a frame comes from; `Frame.token` of every frame of a source.

    Attributes:
        name: what the frame is called in results: a file name, "frame 12", "/left/image@1.5".
        time: nanoseconds, when it was recorded.
        frame_id: of its header; empty where it has none.
    """

    name: str
    time: int
    frame_id: str = ""


@dataclass(frozen=True)
class Unreadable:
    """A frame that is there and can't be used.

    Attributes:
        camera: its camera.
        stamp: nanoseconds.
        origin: where it comes from.
        reason: in words.
        cause: in one word, as `frame_status` counts it.
    """

    camera: str
    stamp: int
    origin: Origin
    reason: str
    cause: str = BAD_IMAGE


@dataclass(frozen=True)
class PromptText:
    """From here on something else is asked for.

    Attributes:
        time: nanoseconds, when it was recorded.
        text: the prompt as it was typed.
    """

    time: int
    text: str


Item = Frame | Unreadable | PromptText


class Source(ABC):
    """Frames of one or several cameras, in the order of their recording.

    Attributes:
        cameras: their names; the empty name is that of the only one.
        rate: frames per second of a camera, for a video of the results.
        length: how many frames there are, readable or not; 0 where the source doesn't tell.
        endless: it goes on until somebody ends it, and can't be read again.
        problems: what is wrong with the source as a whole, in words; complete after the last item.
    """

    cameras: tuple[str, ...] = ("",)
    rate: float = FOLDER_RATE
    length: int = 0
    endless: bool = False

    def __init__(self) -> None:
        self.problems: list[str] = []

    @abstractmethod
    def items(self, skip: int = 0) -> Iterator[Item]:
        """Frames, unreadable ones and changes of the prompt; may be called again to begin anew.

        Args:
            skip: leave out so many items; the others are as they would have been.

        Raises:
            SourceError: nothing more can be read.
            BagError: the bag is damaged.
        """

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What tells this source from others, to go on with a run later; JSON values."""
