"""Messages to people that don't flood them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger

PERIOD = 5.0
"""Seconds within which a message of one kind is said once."""
_KINDS = 256  # that are remembered before those whose period is over are let go


class ThrottledLog:
    """Says each kind of message at most once per period, and how often it was held back.

    rclpy's own throttle goes by the line of code, so one camera would silence another.

    Args:
        say: writes a message.
        period: seconds.
        now: a clock in seconds that never jumps.
    """

    def __init__(
        self,
        say: Callable[[str], object],
        period: float = PERIOD,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._period = period
        self._now = now
        self._lock = threading.Lock()
        self._said: dict[tuple[str, ...], float] = {}
        self._held_back: dict[tuple[str, ...], int] = {}

    # rclpy raises where one line of code logs with two severities, so each has a line of its own.

    @classmethod
    def of_warnings(cls, logger: RcutilsLogger, period: float = PERIOD) -> ThrottledLog:
        """One that warns."""

        def warn(message: str) -> None:
            logger.warning(message)

        return cls(warn, period)

    @classmethod
    def of_errors(cls, logger: RcutilsLogger) -> ThrottledLog:
        """One that tells of errors."""

        def tell(message: str) -> None:
            logger.error(message)

        return cls(tell)

    def __call__(self, kind: tuple[str, ...], message: str) -> None:
        """Say `message` unless another of its `kind` was said within the period."""
        with self._lock:
            now = self._now()
            said = self._said.get(kind)
            if said is not None and now - said < self._period:
                self._held_back[kind] = self._held_back.get(kind, 0) + 1
                return
            if len(self._said) >= _KINDS:
                self._forget(now)
            self._said[kind] = now
            held_back = self._held_back.pop(kind, 0)
        self._say(f"{message} (and {held_back} more times before)" if held_back else message)

    def _forget(self, now: float) -> None:
        """Let go of kinds whose period is over: what is said of texts has no end of kinds."""
        over = [kind for kind, said in self._said.items() if now - said >= self._period]
        for kind in over:
            del self._said[kind]
            self._held_back.pop(kind, None)


class RosLogHandler(logging.Handler):
    """Hands warnings of the parts that know nothing of ROS to a node's logger."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        # One line for each level: rclpy refuses two severities from one line of code.
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        else:
            self._logger.warning(record.getMessage())
