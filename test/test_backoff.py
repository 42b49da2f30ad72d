"""How often what does not come is waited for."""

from __future__ import annotations

import pytest

from gsam_ros.node.backoff import Backoff


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def backoff(now: list[float]) -> Backoff:
    return Backoff(lambda: now[0])


def test_after_three_waits_in_vain_there_is_a_pause(backoff: Backoff, now: list[float]) -> None:
    for _ in range(3):
        assert backoff.is_over
        backoff.count(came=False)
    assert not backoff.is_over
    now[0] += 1.0
    assert backoff.is_over
    backoff.count(came=False)
    assert not backoff.is_over


def test_what_comes_now_and_then_is_always_waited_for(backoff: Backoff) -> None:
    for came in [False, False, True] * 5:
        assert backoff.is_over
        backoff.count(came)


@pytest.mark.parametrize("again", [lambda it: it.count(came=True), lambda it: it.reset()])
def test_once_it_came_all_is_as_at_the_start(again, backoff: Backoff, now: list[float]) -> None:
    for _ in range(10):
        backoff.count(came=False)
        now[0] += 10.0
    again(backoff)
    test_after_three_waits_in_vain_there_is_a_pause(backoff, now)


def test_what_never_comes_costs_little(backoff: Backoff, now: list[float]) -> None:
    waited = 0.0
    while now[0] < 1000 + 60:
        if backoff.is_over:
            now[0] += 0.1
            waited += 0.1
            backoff.count(came=False)
        now[0] += 0.033
    assert waited < 1.5, "seconds of a minute"
    now[0] += 8.0
    assert backoff.is_over, "it is tried at least so often"
