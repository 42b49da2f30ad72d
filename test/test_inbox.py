"""Which frames are chosen, which are given up, and that every one of them is accounted for."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsam_ros.pipeline.drops import QUEUE_FULL, STOPPED, SUPERSEDED
from gsam_ros.pipeline.inbox import Arrival, Inbox, LiveInbox, LosslessInbox


class Losses(list):
    """Notes (camera, stamp, cause) of every frame that was given up."""

    def __call__(self, arrival: Arrival, cause: str) -> None:
        self.append((arrival.camera, arrival.stamp, cause))


def frame(camera: str, stamp: int) -> Arrival:
    return Arrival(camera, stamp, stamp, None)


def stamps(inbox: Inbox) -> list[tuple[str, int]]:
    work = inbox.take()
    return [(a.camera, a.stamp) for a in work.arrivals]


@pytest.fixture
def losses() -> Losses:
    return Losses()


def test_live_the_newest_frame_wins(losses: Losses) -> None:
    inbox = LiveInbox(losses)
    for stamp in (1, 2, 3):
        inbox.put(frame("front", stamp))
    assert stamps(inbox) == [("front", 3)]
    assert losses == [("front", 1, SUPERSEDED), ("front", 2, SUPERSEDED)]


def test_live_a_fast_camera_does_not_starve_a_slow_one(losses: Losses) -> None:
    inbox = LiveInbox(losses)
    inbox.put(frame("slow", 1))
    for stamp in range(10):
        inbox.put(frame("fast", stamp))
    assert sorted(stamps(inbox)) == [("fast", 9), ("slow", 1)]


def test_lossless_keeps_every_frame_and_call_in_order(losses: Losses) -> None:
    inbox = LosslessInbox(losses, capacity=10)
    inbox.put(frame("a", 1))
    called = inbox.call(lambda tracker: "prompt")
    inbox.put(frame("a", 2))
    inbox.put(frame("b", 1))
    assert stamps(inbox) == [("a", 1)]
    [call] = inbox.take().calls
    assert call.outcome is called
    assert stamps(inbox) == [("a", 2)]
    assert stamps(inbox) == [("b", 1)]
    assert losses == []


def test_lossless_refuses_the_frame_that_finds_no_place(losses: Losses) -> None:
    inbox = LosslessInbox(losses, capacity=2)
    inbox.call(lambda tracker: None)  # takes no frame's place
    for stamp in (1, 2, 3):
        inbox.put(frame("a", stamp))
    assert losses == [("a", 3, QUEUE_FULL)]
    inbox.take()
    assert stamps(inbox) == [("a", 1)]
    inbox.put(frame("a", 4))
    assert stamps(inbox) == [("a", 2)]
    assert stamps(inbox) == [("a", 4)]


@pytest.mark.parametrize("lossless", [False, True])
def test_clear_drops_frames_and_keeps_calls(lossless: bool, losses: Losses) -> None:
    inbox = LosslessInbox(losses, 9) if lossless else LiveInbox(losses)
    inbox.put(frame("a", 1))
    inbox.call(lambda tracker: None)
    inbox.clear()
    assert losses == [("a", 1, STOPPED)]
    work = inbox.take()
    assert (len(work.calls), work.arrivals) == (1, ())


@pytest.mark.parametrize("lossless", [False, True])
def test_closing_ends_the_worker_and_whatever_comes_later(lossless: bool, losses: Losses) -> None:
    inbox = LosslessInbox(losses, 9) if lossless else LiveInbox(losses)
    inbox.put(frame("a", 1))
    waiting = inbox.call(lambda tracker: None)
    inbox.close()
    assert inbox.take() is None
    late = inbox.call(lambda tracker: None)
    assert waiting.cancelled() and late.cancelled()
    assert wait([waiting, late], timeout=5).done == {waiting, late}, "who waits is told"
    inbox.put(frame("a", 2))
    assert losses == [("a", 1, STOPPED), ("a", 2, STOPPED)]


@pytest.mark.parametrize("lossless", [False, True])
def test_a_frame_that_comes_while_the_inbox_closes_is_told_of(
    lossless: bool, losses: Losses
) -> None:
    inbox = LosslessInbox(losses, 9) if lossless else LiveInbox(losses)
    clear = inbox.clear

    def clear_and_put() -> None:
        clear()
        inbox.put(frame("a", 7))

    inbox.clear = clear_and_put
    inbox.close()
    assert losses == [("a", 7, STOPPED)]


@pytest.mark.parametrize("lossless", [False, True])
def test_who_is_told_of_the_end_may_wait_for_somebody_who_calls(
    lossless: bool, losses: Losses
) -> None:
    inbox = LosslessInbox(losses, 9) if lossless else LiveInbox(losses)
    finished = []

    def told(outcome: Future) -> None:
        caller = threading.Thread(target=lambda: inbox.call(lambda tracker: None))
        caller.start()
        caller.join(5)
        finished.append(not caller.is_alive())

    inbox.call(lambda tracker: None).add_done_callback(told)
    inbox.close()
    assert finished == [True]


def test_take_waits_for_work_and_wakes_at_the_close() -> None:
    inbox = LiveInbox(Losses())
    got = []
    worker = threading.Thread(target=lambda: got.extend([inbox.take(), inbox.take()]))
    worker.start()
    inbox.put(frame("a", 5))
    while not got and worker.is_alive() and inbox._newest:
        pass
    inbox.close()
    worker.join(5)
    assert not worker.is_alive()
    assert [a.stamp for a in got[0].arrivals] == [5]
    assert got[1] is None


@given(
    events=st.lists(st.sampled_from(["a", "b", "take"]), max_size=60),
    capacity=st.integers(1, 5),
    lossless=st.booleans(),
)
def test_every_frame_is_taken_once_or_dropped_once(
    events: list[str], capacity: int, lossless: bool
) -> None:
    losses, taken = Losses(), []
    inbox = LosslessInbox(losses, capacity) if lossless else LiveInbox(losses)
    put = []
    for stamp, event in enumerate(events):
        if event != "take":
            put.append((event, stamp))
            inbox.put(frame(event, stamp))
        elif len(put) > len(taken) + len(losses):
            taken += stamps(inbox)
    inbox.close()
    assert sorted(taken + [(camera, stamp) for camera, stamp, _ in losses]) == sorted(put)
    for camera in "ab":
        own = [stamp for name, stamp in taken if name == camera]
        assert own == sorted(own)
