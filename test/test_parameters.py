"""Parameters are written once: the parameter file, the defaults and the launch files agree."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gsam_ros.node.parameters import all_leaves, as_yaml, with_values
from gsam_ros.node.settings import NodeSettings
from gsam_ros.pipeline.settings import Settings
from gsam_ros.settings import SettingError, with_texts

ROOT = Path(__file__).parent.parent
FILE = ROOT / "config" / "gsam.yaml"


def flat(tree: dict, prefix: str = "") -> dict:
    found = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def test_the_parameter_file_holds_every_parameter_with_its_default() -> None:
    given = flat(yaml.safe_load(FILE.read_text())["/**"]["ros__parameters"])
    expected = {
        name: list(value) if isinstance(value, tuple) else value for name, value, _ in all_leaves()
    }
    assert given == expected
    # YAML's 1 and 1.0 are different types of parameters.
    assert {n: type(v) for n, v in given.items()} == {n: type(v) for n, v in expected.items()}


def test_the_parameter_file_says_what_each_parameter_means() -> None:
    assert FILE.read_text() == as_yaml(), "python -m gsam_ros.node.parameters > config/gsam.yaml"
    for name, _, about in all_leaves():
        assert len(about["description"]) > 20, name


def test_no_two_settings_have_one_name() -> None:
    names = [name for name, _, _ in all_leaves()]
    assert len(names) == len(set(names))


def test_values_find_their_place() -> None:
    values = {"detector.rate": 9.0, "device": "cpu", "cameras": ["a", "b"], "mode": "lossless"}
    machine, node = with_values(Settings(), values), with_values(NodeSettings(), values)
    assert (machine.detector.rate, machine.device) == (9.0, "cpu")
    assert machine.tracker == Settings().tracker
    assert (node.cameras, node.mode) == (("a", "b"), "lossless")


def test_a_value_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(SettingError, match="mode is 'fast': give one of live, lossless"):
        with_values(NodeSettings(), {"mode": "fast"})


def test_values_are_understood_as_they_are_typed() -> None:
    given = ["detector.slices.mode=auto", "detector.rate=2", "detector.slices.full_image=False"]
    machine = with_texts(Settings(), [*given, "detector.slices.batch=3"])
    slices = machine.detector.slices
    assert (machine.detector.rate, slices.mode, slices.full_image) == (2.0, "auto", False)
    assert slices.batch == 3
    assert machine.tracker == Settings().tracker


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("detector.slices.mod=auto", "no setting .* did you mean detector.slices.mode"),
        ("detector.rate", "write NAME=VALUE"),
        ("detector.rate=fast", "detector.rate is 'fast': give a number"),
        ("detector.slices.batch=2.5", "detector.slices.batch is '2.5': give a whole number"),
        ("detector.slices.full_image=1", "give true or false"),
        ("detector.slices.overlap=1.5", "detector.slices.overlap is 1.5: .* to 0.9"),
    ],
)
def test_values_that_cannot_be_used_are_named(typed: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        with_texts(Settings(), [typed])


def test_prompts_are_of_cameras_in_their_order() -> None:
    own = lambda *prompts, cameras=("left", "right"): (  # noqa: E731
        NodeSettings(cameras=cameras, prompts=prompts).own_prompts()
    )
    assert own("") == own("", "") == {"left": "", "right": ""}
    assert own("red mug.", "") == {"left": "red mug.", "right": ""}
    assert own("", "dog.", cameras=("", "right")) == {"right": "dog."}
    assert own("", cameras=("",)) == {}
    with pytest.raises(
        SettingError, match="prompts has 1 entries for 2 cameras: give one for each"
    ):
        own("dog.")
    with pytest.raises(SettingError, match=r"camera without a name, .* or use prompt"):
        own("dog.", cameras=("",))


def test_depth_is_said_of_all_cameras_or_of_each() -> None:
    cameras = ("left", "right")
    assert not any(map(NodeSettings(cameras=cameras).has_depth, cameras))
    assert all(map(NodeSettings(cameras=cameras, depth=True).has_depth, cameras))
    for depth in (True, False):
        some = NodeSettings(cameras=cameras, depth=depth, depth_cameras=("right",))
        assert [some.has_depth(name) for name in cameras] == [False, True]
    wrong = NodeSettings(cameras=cameras, depth_cameras=("right", "attic"))
    with pytest.raises(SettingError, match=r"depth_cameras names 'attic': .* 'left', 'right'"):
        wrong.has_depth("left")
