"""Where frames come from: bags, videos, images and webcams behind one interface."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from gsam_ros.recordings.sources.source import Source, SourceError

__all__ = ["Source", "SourceError", "open_source"]

_WEBCAM = re.compile(r"\d+|/dev/video\d+")


def open_source(place: str | Path, topics: Sequence[str] = (), prompts: bool = False) -> Source:
    """Open a rosbag2, a folder of images, a video, one image or a webcam.

    Args:
        place: folder or file; "0" or "/dev/video0" is a webcam.
        topics: of a bag: which images, a camera each; may be left out where there is only one.
        prompts: of a bag: take the prompts that were recorded in it.

    Raises:
        SourceError: it doesn't exist, or is none of these.
        BagError: the bag can't be read at all.
    """
    from gsam_ros.recordings.sources.bag import BagSource, is_bag
    from gsam_ros.recordings.sources.images import IMAGE_ENDINGS, ImageSource

    if not str(place):
        raise SourceError("the source has no name: give a recording, a video or images")
    path = Path(place)
    if _WEBCAM.fullmatch(str(place)) and not path.is_file():
        from gsam_ros.recordings.sources.webcam import Webcam

        source: Source = Webcam(str(place))
    elif not path.exists():
        raise SourceError(
            f"{path} does not exist: give a recording, a video, an image, a folder of images, or a "
            "webcam by its number"
        )
    elif is_bag(path):
        return BagSource(path, topics, prompts)
    elif path.is_dir() or path.suffix.lower() in IMAGE_ENDINGS:
        source = ImageSource(path)
    else:
        from gsam_ros.recordings.sources.video import VideoSource

        source = VideoSource(path)
    if topics:
        raise SourceError(f"{place} is no bag and has no topics: leave --topic out")
    if prompts:
        raise SourceError(f"{place} is no bag with prompts in it: give a --prompt")
    return source
