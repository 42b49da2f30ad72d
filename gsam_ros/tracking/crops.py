"""Which square crops of an image show its small objects well.

A crop costs a pass of the image encoder, however many objects it shows, and shows them the larger
the tighter it is. Crops of single objects are joined two by two, those first that lose least by it,
until there are no more than may be used (agglomerative clustering).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROOM = 0.5  # longer sides of an object that a crop must show around it
_LEAST = 32  # pixels of a crop's side


@dataclass(frozen=True)
class CropSizes:
    """Sides of crops, in longer sides of the smallest object that they show.

    Attributes:
        alone: of an object that has a crop for itself.
        shared: up to which objects share a crop in any case.
        crowded: likewise, where there are more objects than crops.
    """

    alone: float
    shared: float
    crowded: float


def choose_crops(
    boxes: np.ndarray, size: tuple[int, int], most: int, sizes: CropSizes
) -> tuple[np.ndarray, np.ndarray]:
    """Square crops of one image that show its small objects.

    Args:
        boxes: [N, 4] xyxy pixels.
        size: (height, width) of the image.
        most: crops that may be used; those with the smallest objects come first.
        sizes: of the crops.

    Returns:
        [M, 4] int64 left, top, right, bottom of the crops, and [N] int64 which of them shows each
        box, -1 where none does.
    """
    shown_in = np.full(len(boxes), -1)
    if not len(boxes) or not most:
        return np.zeros((0, 4), np.int64), shown_in
    longer = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1), 1)
    groups = _Groups.of_each(boxes, longer, sizes.alone, min(size))
    member_of = np.arange(len(boxes))
    costs = groups.costs(np.arange(len(boxes))[:, None], np.arange(len(boxes)))
    np.fill_diagonal(costs, np.inf)
    for left in range(len(boxes), 1, -1):
        one, other = divmod(int(costs.argmin()), len(boxes))
        if costs[one, other] > (sizes.crowded if left > most else sizes.shared):
            break
        groups.join(one, other)
        member_of[member_of == other] = one
        costs[other] = costs[:, other] = np.inf
        rest = np.flatnonzero(np.isfinite(costs[one]) & (np.arange(len(boxes)) != one))
        costs[one, rest] = costs[rest, one] = groups.costs(one, rest)
    used = np.unique(member_of)
    used = used[np.argsort(groups.smallest[used], kind="stable")][:most]
    for number, group in enumerate(used):
        shown_in[member_of == group] = number
    return groups.windows(used, size), shown_in


@dataclass
class _Groups:
    """N groups of objects, each to be shown by one crop.

    Attributes:
        corners: [N, 4] what the crop must show.
        side: [N] that its largest object asks for.
        smallest: [N] longer side of its smallest object.
        limit: side of the largest crop that the image has room for.
    """

    corners: np.ndarray
    side: np.ndarray
    smallest: np.ndarray
    limit: int

    @staticmethod
    def of_each(boxes: np.ndarray, longer: np.ndarray, alone: float, limit: int) -> _Groups:
        """Each object by itself."""
        room = _ROOM * longer[:, None]
        corners = np.concatenate([boxes[:, :2] - room, boxes[:, 2:] + room], 1)
        side = np.minimum(np.maximum(alone * longer, _LEAST), limit)
        return _Groups(corners, side, longer.copy(), limit)

    def costs(self, one: np.ndarray | int, other: np.ndarray) -> np.ndarray:
        """The side of the crop that would show both, by the longer side of the smallest object.

        Infinite where no crop can.
        """
        corner = np.minimum(self.corners[one, :2], self.corners[other, :2])
        opposite = np.maximum(self.corners[one, 2:], self.corners[other, 2:])
        side = np.maximum((opposite - corner).max(-1), np.maximum(self.side[one], self.side[other]))
        cost = side / np.minimum(self.smallest[one], self.smallest[other])
        return np.where(side > self.limit, np.inf, cost)

    def join(self, one: int, other: int) -> None:
        """Have one group hold what another one holds, too."""
        self.corners[one, :2] = np.minimum(self.corners[one, :2], self.corners[other, :2])
        self.corners[one, 2:] = np.maximum(self.corners[one, 2:], self.corners[other, 2:])
        self.side[one] = max(self.side[one], self.side[other])
        self.smallest[one] = min(self.smallest[one], self.smallest[other])

    def windows(self, groups: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """[M, 4] int64 left, top, right, bottom of the crops of M groups."""
        corner, opposite = self.corners[groups, :2], self.corners[groups, 2:]
        side = np.maximum((opposite - corner).max(1), self.side[groups])
        side = np.minimum(np.ceil(side), self.limit)[:, None]
        start = np.floor((corner + opposite - side) / 2)
        start = np.clip(start, 0, np.array(size[::-1]) - side)
        return np.concatenate([start, start + side], 1).astype(np.int64)
