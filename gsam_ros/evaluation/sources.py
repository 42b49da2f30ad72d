"""Where `gsam track` gets its frames: bags, videos and folders of images behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import cv2

from gsam_ros.evaluation.bag import open_bag
from gsam_ros.instances import Frame

_IMAGE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_FOLDER_RATE = 10.0  # images per second; a folder doesn't tell, and track lives are in seconds


class SourceError(RuntimeError):
    """A source of frames that can't be read; the message names it and says what is wrong."""


class Source(ABC):
    """Frames of one camera, in order. `Frame.token` is what a frame is called in results.

    Attributes:
        rate: frames per second, for a video of the results.
        length: how many frames there are; 0 where the source doesn't tell.
    """

    rate: float = _FOLDER_RATE
    length: int = 0

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames; may be called once more to begin anew.

        Raises:
            SourceError: a frame can't be read.
            BagError: the bag is damaged.
        """


def open_source(path: Path, topic: str = "") -> Source:
    """Open a rosbag2 folder, a folder of images, a video or one image.

    Args:
        path: of the folder or file.
        topic: of a bag: which images; may be left out where there is only one image topic.

    Raises:
        SourceError: it doesn't exist, or is none of these.
        BagError: the bag is damaged.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    if (path / "metadata.yaml").is_file():
        return BagSource(path, topic)
    if path.is_dir() or path.suffix.lower() in _IMAGE_ENDINGS:
        return ImageSource(path)
    return VideoSource(path)


class BagSource(Source):
    """One image topic of a rosbag2, raw or compressed."""

    def __init__(self, path: Path, topic: str) -> None:
        try:
            from gsam_ros.evaluation.images import COMPRESSED, RAW
        except ModuleNotFoundError as error:
            raise SourceError(
                f"{path}: reading images of a bag needs ROS 2's message packages ({error}): "
                "source ROS 2, or run this in the environment that `make setup` builds"
            ) from error

        self._path = path
        with open_bag(path) as bag:
            topics = [name for name, kind in bag.topics.items() if kind in (RAW, COMPRESSED)]
            if topic and topic not in topics:
                raise SourceError(f"{path} has no images on {topic}: {_listed(topics)}")
            if not topic and len(topics) != 1:
                raise SourceError(f"{path}: choose one with --topic: {_listed(topics)}")
            self._topic = topic or topics[0]
            self.length = bag.count([self._topic])
            if not self.length:
                raise SourceError(f"{path} has no message on {self._topic}")
            self.rate = max(1.0, (self.length - 1) / max(bag.seconds, 1e-9))

    def __iter__(self) -> Iterator[Frame]:
        from gsam_ros.evaluation.images import read_images

        with open_bag(self._path) as bag:
            for stamp, image in read_images(bag, self._topic):
                yield Frame(image, stamp, token=f"{self._topic}@{stamp}")


class VideoSource(Source):
    """A video file that OpenCV reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        capture = self._open()
        self.rate = capture.get(cv2.CAP_PROP_FPS) or _FOLDER_RATE
        self.length = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        try:
            index = 0
            while True:
                there, image = capture.read()
                if not there:
                    break
                stamp = round(index * 1e9 / self.rate)
                yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), stamp, token=f"frame {index}")
                index += 1
        finally:
            capture.release()
        if index == 0:
            raise SourceError(f"{self._path} holds no frame that can be read")

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise SourceError(
                f"{self._path} is no video that OpenCV reads, no image, and no bag (a bag is given "
                "as the folder that holds its metadata.yaml)"
            )
        return capture


class ImageSource(Source):
    """A folder of images in the order of their names, or one image."""

    def __init__(self, path: Path) -> None:
        self._files = (
            [path]
            if path.is_file()
            else sorted(file for file in path.iterdir() if file.suffix.lower() in _IMAGE_ENDINGS)
        )
        if not self._files:
            raise SourceError(
                f"{path} holds no images ({', '.join(_IMAGE_ENDINGS)}) and no bag (metadata.yaml)"
            )
        self.length = len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        for index, file in enumerate(self._files):
            image = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if image is None:
                raise SourceError(f"{file} is no image that can be read")
            stamp = round(index * 1e9 / _FOLDER_RATE)
            yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), stamp, token=file.name)


def _listed(topics: list[str]) -> str:
    return f"it has images on {', '.join(topics)}" if topics else "it has no images at all"
