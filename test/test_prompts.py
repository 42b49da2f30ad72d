"""Prompts as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsam_ros.prompts import MAX_CHARACTERS, MAX_PHRASES, Prompt, PromptError, parse_phrases


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("red mug. person.", ("red mug", "person")),
        ("red mug", ("red mug",)),  # no dot at all
        ("  Red   Mug . ", ("Red Mug",)),  # white space, capitals stay as typed
        ("mug, ball; box\ncone", ("mug", "ball", "box", "cone")),  # other separators
        ("mug. Mug. MUG. ball.", ("mug", "ball")),  # the first spelling wins
        ("racecar. car.", ("racecar", "car")),  # one phrase inside another
        ("3.5 mm jack. ball.", ("3.5 mm jack", "ball")),  # a dot inside a number
        ("чашка. tasse à café. 杯子.", ("чашка", "tasse à café", "杯子")),
        ("红色杯子。人。", ("红色杯子", "人")),
        ("cafe\u0301.", ("café",)),  # composed, so that equal words are equal strings
        ("ball... mug..", ("ball", "mug")),
        ("!. ball. -.", ("ball",)),  # no letter, no phrase
    ],
)
def test_phrases(text, phrases):
    assert parse_phrases(text) == phrases


@pytest.mark.parametrize("text", ["", " ", "...", ". . .", "\n", ",;", "!?"])
def test_a_prompt_without_a_phrase_says_what_to_type(text):
    with pytest.raises(PromptError, match=r"red mug\. person\."):
        parse_phrases(text)


def test_limits_are_named():
    assert len(parse_phrases(".".join(f"thing {i}" for i in range(MAX_PHRASES)))) == MAX_PHRASES
    with pytest.raises(PromptError, match="256 phrases, the most is 255"):
        parse_phrases(".".join(f"thing {i}" for i in range(MAX_PHRASES + 1)))
    with pytest.raises(PromptError, match=str(MAX_CHARACTERS)):
        parse_phrases("a" * (MAX_CHARACTERS + 1))


@given(st.text(max_size=200))
def test_any_text_is_phrases_or_a_clear_error(text):
    try:
        phrases = parse_phrases(text)
    except PromptError:
        return  # the only error there is
    assert len({p.casefold() for p in phrases}) == len(phrases) > 0
    assert all(p == p.strip() and any(c.isalnum() for c in p) for p in phrases)


@given(st.lists(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9 ]{0,8}", fullmatch=True), min_size=1))
def test_a_prompts_text_is_understood_as_itself(words):
    prompt = Prompt(1, parse_phrases(". ".join(words)))
    assert parse_phrases(prompt.text) == prompt.phrases
