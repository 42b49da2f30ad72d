"""Which depth images are kept for which frames, and for which of them it is worth to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsam_ros.node.kept_depth import KeptDepth

MS = 1_000_000
TOLERANCE = 20 * MS


def stream(period: int, last: int, capacity: int = 100) -> KeptDepth:
    """Images every `period` ms, the newest at `last` ms or just before."""
    kept = KeptDepth(TOLERANCE, capacity)
    for stamp in range(1000, last + 1, period):
        kept.add(stamp * MS, str(stamp).encode())
    return kept


def test_a_frame_gets_the_nearest_image_within_the_tolerance() -> None:
    kept = stream(33, 1200)
    assert kept.find(1095 * MS) == b"1099"
    assert kept.find(1115 * MS) == b"1099"
    assert stream(100, 1200).find(1150 * MS) is None


def test_a_frame_that_is_long_in_work_keeps_its_image() -> None:
    kept = KeptDepth(TOLERANCE, capacity=4)
    kept.add(1000 * MS, b"its own")
    kept.expect(1000 * MS)
    for stamp in range(1033, 6000, 33):  # five seconds of 30 Hz
        kept.add(stamp * MS, b"later")
    assert kept.find(1000 * MS) == b"its own"
    kept.dismiss(1000 * MS)
    kept.add(6000 * MS, b"later")
    kept.add(6033 * MS, b"later")
    assert kept.find(1000 * MS) is None


@given(st.sets(st.integers(0, 99), max_size=20), st.integers(1, 5))
def test_what_was_kept_for_frames_goes_with_them(frames: set[int], capacity: int) -> None:
    kept = KeptDepth(0, capacity)
    for number in frames:
        kept.expect(number * 33 * MS)
    for number in range(100):
        kept.add(number * 33 * MS, b"%d" % number)
    for number in sorted(frames):
        assert kept.find(number * 33 * MS) == b"%d" % number
    for number in frames:
        kept.dismiss(number * 33 * MS)
    kept.add(100 * 33 * MS, b"100")
    held = [number for number in range(101) if kept.find(number * 33 * MS)]
    assert held == list(range(101 - len(held), 101)), "the newest"
    assert 0 < len(held) <= capacity


@pytest.mark.parametrize(
    ("period", "newest", "frame", "due"),
    [
        (33, 1165, 1198, True),  # as fast as the frames: the next one is this frame's
        (66, 1198, 1231, False),  # half as fast: this frame has none
        (66, 1198, 1264, True),
        (200, 1200, 1233, False),
        (33, 1198, 1198, False),  # it is there
        (33, 1198, 3000, False),  # the stream has stopped
    ],
)
def test_only_an_image_that_is_due_is_waited_for(
    period: int, newest: int, frame: int, due: bool
) -> None:
    assert stream(period, newest).is_due(frame * MS) == due


def test_the_first_image_tells_nothing_of_the_period() -> None:
    kept = KeptDepth(TOLERANCE, 4)
    assert not kept.has_begun
    assert not kept.is_due(1000 * MS)
    kept.add(1000 * MS, b"")
    assert kept.has_begun
    assert kept.is_due(1033 * MS)


def test_an_image_that_is_late_costs_nothing_and_time_that_goes_back_all() -> None:
    kept = stream(33, 1200)
    kept.add(1150 * MS, b"late")
    assert kept.find(1132 * MS) == b"1132"
    assert not kept.is_due(1198 * MS), "the newest is still the newest"
    kept.add(100 * MS, b"another round")
    assert kept.find(1198 * MS) is None


def round_of(frames: range, kept: KeptDepth, named: str) -> None:
    """Frames (ms) that wait for their answer, each after its depth image."""
    for stamp in frames:
        kept.add(stamp * MS, f"{named} {stamp}".encode())
        kept.expect(stamp * MS)


def answers(frames: range, kept: KeptDepth) -> list[str]:
    """What frames (ms) get, one after the other."""
    found = []
    for stamp in frames:
        found.append((kept.find(stamp * MS) or b"none").decode())
        kept.dismiss(stamp * MS)
    return found


@pytest.mark.parametrize("ahead", [1, 5])
def test_frames_that_wait_while_a_bag_begins_anew_keep_their_images(ahead: int) -> None:
    """And those of the new one theirs, which may come before their frames do."""
    former, new = range(10_000, 10_000 + 64 * 33, 33), range(0, 5 * 33, 33)
    kept = KeptDepth(TOLERANCE, 32)
    round_of(former, kept, "former")
    kept.expect(12_150 * MS)  # the last one of the round has no depth image
    for stamp in new[:ahead]:
        kept.add(stamp * MS, f"new {stamp}".encode())
    assert answers(former, kept) == [f"former {stamp}" for stamp in former]
    assert answers(range(12_150, 12_151), kept) == ["none"]
    round_of(new[ahead:], kept, "new")
    assert answers(new, kept) == [f"new {stamp}" for stamp in new]


def test_images_of_the_round_before_go_with_their_frames() -> None:
    former, new = range(10_000, 10_330, 33), range(0, 66, 33)
    kept = KeptDepth(TOLERANCE, 100)
    round_of(former, kept, "former")
    round_of(new, kept, "new")
    assert answers(former, kept) == [f"former {stamp}" for stamp in former]
    assert answers(new, kept) == [f"new {stamp}" for stamp in new]
    assert answers(former, kept) == ["none"] * len(former)
