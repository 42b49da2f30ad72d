"""One run of `gsam track` from what a user typed: source, models, results."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gsam_ros.pipeline.settings import Settings
from gsam_ros.prompts import PromptError, parse_phrases
from gsam_ros.recordings.bag import BagError
from gsam_ros.recordings.message_types import MessageTypeError
from gsam_ros.recordings.sources import Source, SourceError, open_source
from gsam_ros.recordings.video import VideoError

if TYPE_CHECKING:
    from gsam_ros.standalone.track import TrackOutcome

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TrackError(RuntimeError):
    """A run that could not be made; the message says why and what to do."""


@dataclass(frozen=True)
class TrackOptions:
    """What to do.

    Attributes:
        source: bag, video, folder of images, image, or webcam ("0", "/dev/video0").
        out: folder of the results.
        prompt: what to look for; empty: what the bag's own prompts ask for.
        topics: of a bag: which images.
        settings: of the pipeline.
        video: whether to draw the results.
        limit: end after so many frames; 0: at the source's end.
        save_every: seconds after which the run is secured, again and again.
    """

    source: str
    out: Path
    prompt: str = ""
    topics: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    video: bool = True
    limit: int = 0
    save_every: float = 60.0

    def open(self) -> Source:
        """The source, looked at before torch is loaded, which takes a while.

        Raises:
            TrackError: it can't be read, or the prompt can't be used.
        """
        try:
            if self.prompt:
                parse_phrases(self.prompt)
            return open_source(self.source, self.topics, prompts=not self.prompt)
        except (BagError, OSError, PromptError, SourceError) as error:
            raise TrackError(str(error)) from error


def run_track(options: TrackOptions, tell: Callable[[str], None]) -> TrackOutcome:
    """Load the models, take every frame through them, write the results.

    Args:
        options: what to do.
        tell: told what goes on.

    Raises:
        TrackError: it can't be done.
    """
    if options.settings.detector.beside == "always":
        raise TrackError(
            "detector.beside is always, with which results depend on how fast the detector is: a "
            "recording has time, give auto or never"
        )
    source = options.open()
    from gsam_ros.pipeline.loading import LoadError, load_tracker
    from gsam_ros.standalone.run_parts import PartsError
    from gsam_ros.standalone.track import track

    try:
        tracker = load_tracker(options.settings, tell)
        return track(
            source,
            tracker,
            options.out,
            options.prompt,
            video=options.video,
            limit=options.limit,
            part_seconds=options.save_every,
        )
    except (
        BagError,
        LoadError,
        MessageTypeError,
        PartsError,
        PromptError,
        SourceError,
        VideoError,
    ) as error:
        raise TrackError(str(error)) from error
    except OSError as error:
        if error.errno in _FULL and not error.filename:
            raise TrackError(
                f"the results can't be written to {options.out}: {error.strerror}; with more room "
                "the same command goes on from there"
            ) from error
        raise TrackError(str(error)) from error
