"""Depth images of one stream, kept undecoded for the frames that will ask for them."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

from gsam_ros.pipeline.runner import LATE_NS

_STOPPED = 1_000_000_000  # nanoseconds behind the frames, beyond which a stream has stopped
_INTERVALS = 8  # between the last images, of which the shortest is the stream's period


class KeptDepth:
    """The newest images, and those of frames that are in work, however long that takes.

    Stamps are nanoseconds. Not for several threads at once.

    Args:
        tolerance: by which the stamps of a frame and of its depth image may differ.
        capacity: images that are kept though no frame is known that wants them: theirs may be on
            its way.
    """

    def __init__(self, tolerance: int, capacity: int) -> None:
        self._tolerance = tolerance
        self._capacity = capacity
        self._images: deque[tuple[int, bytes]] = deque()
        self._in_work: list[int] = []  # stamps, ascending
        self._newest: int | None = None
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)

    @property
    def has_begun(self) -> bool:
        """Whether any image has come."""
        return self._newest is not None

    def expect(self, stamp: int) -> None:
        """A frame of `stamp` has come and will ask for its depth image, or be dismissed."""
        place = bisect_left(self._in_work, stamp)
        if self._in_work[place : place + 1] != [stamp]:
            self._in_work.insert(place, stamp)

    def dismiss(self, stamp: int) -> None:
        """That frame asks no more."""
        place = bisect_left(self._in_work, stamp)
        if self._in_work[place : place + 1] == [stamp]:
            del self._in_work[place]

    def add(self, stamp: int, data: bytes) -> None:
        """Keep an image; one that nobody wants may have to go for it."""
        if self._newest is not None and stamp < self._newest - LATE_NS:
            # Time went back (a bag that loops): what was kept belongs to another round, some frames
            # of which may still be in work.
            self._images = deque(image for image in self._images if not self._is_unwanted(image))
            self._intervals.clear()
            self._newest = None
        if self._newest is not None and stamp > self._newest:
            self._intervals.append(stamp - self._newest)
        self._newest = stamp if self._newest is None else max(stamp, self._newest)
        self._images.append((stamp, data))
        while len(self._images) > self._capacity + len(self._in_work):
            unwanted = next(filter(self._is_unwanted, self._images), None)
            if unwanted is None:
                break
            self._images.remove(unwanted)

    def find(self, stamp: int) -> bytes | None:
        """The image nearest to `stamp`, if it is near enough; those of the past are let go."""
        oldest = min([stamp, *self._in_work[:1]]) - self._tolerance
        while self._images and self._is_past(self._images[0], oldest):
            self._images.popleft()
        found = min(self._images, key=lambda kept: abs(kept[0] - stamp), default=None)
        if found is None or abs(found[0] - stamp) > self._tolerance:
            return None
        return found[1]

    def is_due(self, stamp: int) -> bool:
        """Whether the image of `stamp` has not come yet, and will if the stream goes on as it did.

        Of a stream that is slower than the frames most frames have none, and needn't wait.
        """
        if self._newest is None or not 0 < stamp - self._tolerance - self._newest < _STOPPED:
            return False
        period = min(self._intervals, default=0)
        return self._newest + period <= stamp + self._tolerance

    def clear(self) -> None:
        """Forget all."""
        self._images.clear()
        self._in_work.clear()
        self._intervals.clear()
        self._newest = None

    def _is_past(self, image: tuple[int, bytes], oldest: int) -> bool:
        """Whether no frame asks for an image any more; `oldest` is the oldest that one may want."""
        if self._newest is None:
            return False
        if image[0] > self._newest:  # of the round before time went back
            return self._is_unwanted(image)
        # Frames far beyond the newest are of that round, too, and this one's are still to come.
        return image[0] < oldest <= self._newest + LATE_NS

    def _is_unwanted(self, image: tuple[int, bytes]) -> bool:
        """Whether no frame in work may ask for it."""
        place = bisect_left(self._in_work, image[0] - self._tolerance)
        later = self._in_work[place : place + 1]
        return not later or later[0] > image[0] + self._tolerance
