"""Pointing at one object of an image: by a box, by points, or by its mask."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from gsam_ros.prompts import PromptError

MAX_NAME = 200
"""Characters of a name; a longer one is a mistake and not a label."""

MAX_POINTS = 100
"""Far more than it takes; a longer list is an outline, for which a mask is better."""


@dataclass(frozen=True, eq=False)
class VisualPrompt:
    """One object of one camera's image, and what to call it.

    Exactly one of `box`, `points` and `mask` says where it is. Coordinates are pixels of the
    camera's image, (0, 0) its top left corner. Lists are taken for arrays.

    Attributes:
        camera: name of the camera.
        name: the label under which the object is published.
        box: [4] xyxy around the object.
        points: [P, 2] (x, y).
        labels: [P] 1 for points on the object, 0 for points beside it; None: all are on it.
        mask: [H, W] bool of the image's size, true where the object is.
        stamp: nanoseconds, of the image that was pointed at; None: of the newest one.

    Raises:
        PromptError: it can't be a prompt for any image; `fit` says whether it is one for a size.
    """

    camera: str
    name: str
    box: np.ndarray | None = None
    points: np.ndarray | None = None
    labels: np.ndarray | None = None
    mask: np.ndarray | None = None
    stamp: int | None = None

    def __post_init__(self) -> None:
        name = " ".join(unicodedata.normalize("NFC", self.name).split())
        if not any(character.isalnum() for character in name):
            raise PromptError(f"the name {self.name[:40]!r} is empty: say what to call the object")
        if len(name) > MAX_NAME:
            raise PromptError(f"the name has {len(name)} characters, the most is {MAX_NAME}")
        object.__setattr__(self, "name", name)
        for kind in ("box", "points", "labels", "mask"):
            object.__setattr__(self, kind, _array(kind, getattr(self, kind)))
        given = [kind for kind in ("box", "points", "mask") if getattr(self, kind) is not None]
        if len(given) != 1:
            raise PromptError(
                f"{' and '.join(given) or 'nothing'} is given: point at the object by exactly one "
                "of box, points and mask"
            )
        if self.box is not None:
            object.__setattr__(self, "box", _numbers("box", self.box, (4,)))
        if self.points is not None:
            self._check_points(self.points)
        elif self.labels is not None:
            raise PromptError("labels are given without points")
        if self.mask is not None and not (self.mask.ndim == 2 and self.mask.any()):
            raise PromptError("the mask is empty: set the object's pixels")

    def _check_points(self, points: np.ndarray) -> None:
        if len(points) > MAX_POINTS:
            raise PromptError(f"{len(points)} points are given, the most is {MAX_POINTS}")
        points = _numbers("points", points, (len(points), 2))
        labels = np.ones(len(points), np.int32) if self.labels is None else self.labels
        if labels.shape != (len(points),):
            raise PromptError(f"{len(points)} points have {labels.size} labels: give one for each")
        if not np.isin(labels, (0, 1)).all():
            raise PromptError("labels are 1 (on the object) or 0 (beside it), and nothing else")
        if not labels.any():
            raise PromptError("no point lies on the object: give at least one with label 1")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "labels", labels.astype(np.int32))

    def fit(self, height: int, width: int) -> VisualPrompt:
        """The prompt for an image of a size; a box that sticks out is cut at the border.

        Raises:
            PromptError: it lies outside the image, or its mask is of another size.
        """
        image = f"the camera's {width}x{height} image"
        if self.mask is not None and self.mask.shape != (height, width):
            rows, columns = self.mask.shape
            raise PromptError(f"the mask is {columns}x{rows}: give one of the size of {image}")
        if self.points is not None:
            outside = ((self.points < 0) | (self.points > (width, height))).any(1)
            if outside.any():
                x, y = self.points[outside][0]
                raise PromptError(f"the point ({x:g}, {y:g}) lies outside {image}")
        if self.box is None:
            return self
        box = np.clip(self.box, 0, (width, height, width, height))
        if not (box[2:] > box[:2]).all():
            corners = ", ".join(f"{value:g}" for value in self.box)
            raise PromptError(
                f"the box ({corners}) has no area within {image}: give x1, y1, x2, y2 in pixels "
                "with x1 < x2 and y1 < y2"
            )
        return replace(self, box=box)


def _array(kind: str, values: ArrayLike | None) -> np.ndarray | None:
    """What was given as an array, lists too."""
    if values is None:
        return None
    try:
        return np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise PromptError(f"{kind} is no array: {error}") from error


def _numbers(kind: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values as float32 of a shape.

    Raises:
        PromptError: the shape is another, or a number is none.
    """
    if values.shape != shape or not values.size:
        raise PromptError(
            f"{kind} holds {values.size} numbers: a box has 4 (x1, y1, x2, y2), a point 2 (x, y)"
        )
    if not np.issubdtype(values.dtype, np.number):
        raise PromptError(f"{kind} holds values that are no numbers")
    if not np.isfinite(values).all():
        raise PromptError(f"{kind} holds numbers that are not finite")
    return values.astype(np.float32)
