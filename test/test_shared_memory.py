"""Whether there is room for images between processes."""

from __future__ import annotations

import re
import shutil
from types import SimpleNamespace

import pytest

from gsam_ros.fastdds import PROFILE_VARIABLES, shortage


@pytest.mark.parametrize("variable", PROFILE_VARIABLES)
@pytest.mark.parametrize(
    ("free", "words"),
    [(1 << 30, ""), (20_000_000, "/dev/shm has 20 MB free, .* --shm-size=1g, .*")],
)
def test_little_room_is_told_where_a_profile_takes_some(
    monkeypatch: pytest.MonkeyPatch, variable: str, free: int, words: str
) -> None:
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    assert shortage() == ""
    monkeypatch.setenv(variable, "profile.xml")
    assert re.fullmatch(words, shortage())


def test_a_system_without_shared_memory_lacks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(place: str) -> None:
        raise FileNotFoundError(place)

    monkeypatch.setenv(PROFILE_VARIABLES[0], "profile.xml")
    monkeypatch.setattr(shutil, "disk_usage", missing)
    assert shortage() == ""
