"""Where an object will be: a Kalman filter of constant velocity over its box.

As in SORT (arXiv 1602.00763) and SAMURAI (arXiv 2411.11922, section 4.1), with time in seconds of
the stamps, so that nothing depends on the camera's rate, and noise in units of the object's size.
"""

from __future__ import annotations

import copy

import numpy as np

_PROCESS_NOISE = 4.0  # sizes per second squared that an object may change its speed by
_DETECTED_NOISE = 0.06  # sizes by which a detection's box is off
_PROPAGATED_NOISE = 0.12  # sizes by which the box around a propagated mask is off
_FIRST_SPEED = 1.5  # sizes per second that a new object may have
_TELLING = 3  # detections that tell of a speed
_LONGEST = 0.5  # seconds for which an object out of sight is taken to keep its speed


class BoxMotion:
    """Middle, width and height of one box, each with its speed; coordinates are independent."""

    def __init__(self, box: np.ndarray, stamp: float, detected: bool = True):
        """Start at rest.

        Args:
            box: [4] xyxy pixels.
            stamp: seconds.
            detected: as of `update`.
        """
        self._begin(box, stamp, detected)

    def _begin(self, box: np.ndarray, stamp: float, detected: bool) -> None:
        self._stamp, self._detections = stamp, int(detected)
        self._mean = np.stack([_measurement(box), np.zeros(4)], 1)  # [4, 2] value and speed
        size = self.size
        self._covariance = np.tile(
            np.diag([(_DETECTED_NOISE * size) ** 2, (_FIRST_SPEED * size) ** 2]), (4, 1, 1)
        )

    def copy(self) -> BoxMotion:
        """One that goes its own way."""
        other = copy.copy(self)
        other._mean, other._covariance = self._mean.copy(), self._covariance.copy()
        return other

    @property
    def size(self) -> float:
        """The square root of the box's area, pixels."""
        return float(max(1.0, np.sqrt(max(self._mean[2, 0], 1.0) * max(self._mean[3, 0], 1.0))))

    @property
    def has_speed(self) -> bool:
        """Whether detections told of its speed since it was last out of sight."""
        return self._detections >= _TELLING

    def predict(self, stamp: float) -> np.ndarray:
        """[4] float32 xyxy, where the box should be at a time (seconds), not before the last."""
        ahead = min(stamp - self._stamp, _LONGEST)
        x, y, width, height = self._mean[:, 0] + self._mean[:, 1] * (ahead, ahead, 0, 0)
        half = np.array([max(width, 1.0), max(height, 1.0)]) / 2
        return np.array([x - half[0], y - half[1], x + half[0], y + half[1]], np.float32)

    def update(self, box: np.ndarray, stamp: float, detected: bool) -> None:
        """Correct by where the box is.

        Args:
            box: [4] xyxy pixels.
            stamp: seconds.
            detected: by the detector, not guessed from a propagated mask.
        """
        if stamp - self._stamp > _LONGEST:  # nobody knows how it moved meanwhile
            self._begin(box, stamp, detected)
            return
        self._detections += detected
        self._predict_to(stamp)
        noise = ((_DETECTED_NOISE if detected else _PROPAGATED_NOISE) * self.size) ** 2
        gain = self._covariance[:, :, 0] / (self._covariance[:, 0, 0] + noise)[:, None]
        innovation = _measurement(box) - self._mean[:, 0]
        self._mean += gain * innovation[:, None]
        self._covariance -= gain[:, :, None] * self._covariance[:, None, 0, :]
        # What slides in front of an object makes its box shrink fast, and does not go on with it.
        self._mean[2:, 1] = 0

    def _predict_to(self, stamp: float) -> None:
        ahead = stamp - self._stamp
        if ahead <= 0:
            return
        transition = np.array([[1.0, ahead], [0.0, 1.0]])
        process = np.outer((ahead**2 / 2, ahead), (ahead**2 / 2, ahead))
        process = process * (_PROCESS_NOISE * self.size) ** 2
        self._mean = self._mean @ transition.T
        self._covariance = transition @ self._covariance @ transition.T + process
        self._stamp = stamp


def _measurement(box: np.ndarray) -> np.ndarray:
    """[4] middle, width and height of a box (xyxy)."""
    left, top, right, bottom = (float(edge) for edge in box)
    return np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
