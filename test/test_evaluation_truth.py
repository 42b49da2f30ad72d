"""The rule that says what a perfect answer is."""

import numpy as np
import pytest
from evaluation_cases import frame

from gsam_ros.evaluation.expected import expect, names, naming_phrase
from gsam_ros.evaluation.pairing import PromptChange, pair_up
from gsam_ros.prompts import PromptError


@pytest.mark.parametrize(
    ("phrase", "name", "expected"),
    [
        ("red mug", "red mug", True),
        ("Red Mug", "red mug", True),  # capitals don't matter
        ("mug", "red mug", True),  # the shape alone
        ("red", "red mug", True),  # the colour alone
        ("crimson cup", "red mug", True),  # synonyms
        ("blue mug", "red mug", False),  # one word is wrong
        ("red mug ball", "red mug", False),  # no object is both
        ("forklift", "red mug", False),  # a word that the world lacks
        ("forklift", "Forklift", True),  # and that a truth of someone else's has
        ("red forklift", "red mug", False),
    ],
)
def test_which_objects_a_phrase_names(phrase: str, name: str, expected: bool) -> None:
    assert names(phrase, name) is expected


@pytest.mark.parametrize(
    ("phrases", "expected"),
    [
        (["red mug", "mug"], 0),
        (["mug", "red mug"], 1),  # the phrase that says more wins, wherever it stands
        (["cup", "mug"], 0),  # of equals the first
        (["blue ball"], -1),
        ([], -1),
    ],
)
def test_one_phrase_wins(phrases: list[str], expected: int) -> None:
    assert naming_phrase("red mug", phrases) == expected


def test_hardly_visible_objects_are_ignored_and_unnamed_ones_are_background() -> None:
    objects = frame(
        0, (1, "red mug", "left", 0.25), (2, "red mug", "middle", 0.24), (3, "blue box", "right")
    )
    expected = expect(objects, ["red mug"])
    assert expected.phrase_index.tolist() == [0, 0, -1]
    assert expected.wanted.tolist() == [True, False, False]
    assert expected.ignored.tolist() == [False, True, False]


def test_the_last_prompt_before_a_frame_is_in_force() -> None:
    truth = [frame(t, (1, "red mug", "left"), (2, "green ball", "right")) for t in (5, 10, 20)]
    answers = [frame(t) for t in (5, 10, 20)]
    prompts = [PromptChange.of(10, "red mug."), PromptChange.of(20, "ball.")]
    pairs = pair_up(truth, answers, prompts)
    assert [p.phrases for p in pairs] == [("red mug",), ("ball",)]  # the first frame had none
    assert [np.flatnonzero(p.expected.wanted).tolist() for p in pairs] == [[0], [1]]


def test_frames_of_two_cameras_with_one_stamp_stay_apart() -> None:
    truth = [frame(7, (1, "red mug", "left"), camera=c) for c in ("front", "rear")]
    answers = [frame(7, (4, "red mug", "left"), camera="rear")]
    pairs = pair_up(truth, answers, [PromptChange.of(0, "red mug.")])
    assert [p.answer.camera for p in pairs] == ["rear"]


def test_a_prompt_without_words_is_refused() -> None:
    with pytest.raises(PromptError, match="names no object"):
        PromptChange.of(0, "...")
