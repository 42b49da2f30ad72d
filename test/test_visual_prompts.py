"""Visual prompts as plain data: what can be pointed at, and what is refused with which words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gsam_ros.prompts import MAX_PHRASES, Prompt, PromptError, without_phrases
from gsam_ros.visual_prompts import MAX_NAME, MAX_POINTS, VisualPrompt

HEIGHT, WIDTH = 60, 80
BOX = np.array([10, 20, 30, 40])
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[20:40, 10:30] = True


def fitted(name="tool", **where) -> VisualPrompt:
    return VisualPrompt("", name, **where).fit(HEIGHT, WIDTH)


def test_lists_are_arrays() -> None:
    np.testing.assert_array_equal(fitted(box=BOX.tolist()).box, BOX)
    pointed = fitted(points=[[1, 2], [3, 4]], labels=[1, 0])
    assert pointed.points.tolist() == [[1, 2], [3, 4]]
    assert pointed.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({}, "nothing is given"),
        ({"box": BOX, "mask": MASK}, "box and mask is given"),
        ({"box": BOX[:3]}, "3 numbers"),
        ({"box": np.array([10, 20, 10, 40])}, "no area"),
        ({"box": np.array([30, 40, 10, 20])}, "no area"),
        ({"box": np.array([80, 0, 120, 40])}, "no area within the camera's 80x60 image"),
        ({"box": np.array([0, 0, np.nan, 40])}, "not finite"),
        ({"points": np.zeros((0, 2))}, "0 numbers"),
        ({"points": [[1, 2], [3]]}, "points is no array"),
        ({"box": ["a", "b", "c", "d"]}, "box holds values that are no numbers"),
        ({"points": np.zeros((2, 3))}, "6 numbers"),
        ({"points": np.array([[1, 1], [81, 1]])}, r"\(81, 1\) lies outside"),
        ({"points": np.array([[1, -1]])}, r"\(1, -1\) lies outside"),
        ({"points": np.array([[1, np.inf]])}, "not finite"),
        ({"points": np.ones((2, 2)), "labels": np.array([1])}, "2 points have 1 labels"),
        ({"points": np.ones((1, 2)), "labels": np.array([2])}, "labels are 1"),
        ({"points": np.ones((1, 2)), "labels": np.array([0])}, "no point lies on the object"),
        ({"points": np.ones((MAX_POINTS + 1, 2))}, f"the most is {MAX_POINTS}"),
        ({"box": BOX, "labels": np.array([1])}, "labels are given without points"),
        ({"mask": MASK[:, :40]}, "the mask is 40x60: give one of the size of the camera's 80x60"),
        ({"mask": np.zeros((HEIGHT, WIDTH), bool)}, "the mask is empty"),
        ({"box": BOX, "name": " \t"}, "is empty"),
        ({"box": BOX, "name": "..."}, "is empty"),
        ({"box": BOX, "name": "a" * (MAX_NAME + 1)}, f"the most is {MAX_NAME}"),
    ],
)
def test_what_cannot_be_pointed_at_says_why(where, words):
    with pytest.raises(PromptError, match=words):
        fitted(**where)


def test_a_box_that_sticks_out_is_cut_at_the_border():
    assert fitted(box=np.array([-5, 50, 30, 70])).box.tolist() == [0, 50, 30, 60]


def test_points_without_labels_all_lie_on_the_object():
    assert fitted(points=np.array([[1, 2], [3, 4]])).labels.tolist() == [1, 1]


def test_names_are_cleaned_as_phrases_are():
    assert fitted(name="  my \n tool ", box=BOX).name == "my tool"


@given(arrays(np.float32, st.tuples(st.integers(0, 5)), elements=st.floats(width=32)))
def test_any_box_lies_within_the_image_or_is_refused(box):
    try:
        inside = fitted(box=box).box
    except PromptError:
        return  # the only error there is
    assert inside.shape == (4,)
    assert 0 <= inside[0] < inside[2] <= WIDTH
    assert 0 <= inside[1] < inside[3] <= HEIGHT


def test_classes_are_the_phrases_and_behind_them_the_other_names():
    phrases = ("red mug", "ball")
    names = without_phrases(["tool", "Red Mug", "Tool", "part"], phrases)
    prompt = Prompt(3, phrases, names)
    assert prompt.classes == ("red mug", "ball", "tool", "part")
    assert prompt.text == "red mug. ball."
    assert prompt.summary == "red mug. ball. pointed at: tool, part"


def test_more_classes_than_the_semantic_mask_holds_are_refused():
    phrases = tuple(f"thing {i}" for i in range(MAX_PHRASES))
    assert len(Prompt(1, phrases).classes) == MAX_PHRASES
    with pytest.raises(PromptError, match="255 phrases and 1 names"):
        Prompt(1, phrases, ("tool",))
