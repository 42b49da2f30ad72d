"""How often something is done to a stream whose frames come when they come."""

from __future__ import annotations


def is_due(elapsed: int, rate: float) -> bool:
    """Whether it is time again for what is done `rate` times per second, `elapsed` ns after it was.

    Stamps jitter: a frame that comes a little early is the one that was meant.
    """
    return elapsed * rate >= 0.9e9
