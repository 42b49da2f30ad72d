"""Prompts as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsam_ros.prompts import (
    MAX_CHARACTERS,
    MAX_PHRASES,
    Phrase,
    Prompt,
    PromptError,
    parse_phrases,
    parse_prompt,
)


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
        ("mug.\u200b. ball.\ufeff", ("mug", "ball")),  # nothing to be seen
        ("a red mug. The ball. AN apple.", ("a red mug", "The ball", "AN apple")),  # as typed
        ("a mug. Mug. the mug. theme.", ("a mug", "theme")),  # an article makes no other thing
        ("mug. mugs.", ("mug", "mugs")),  # the model knows its plurals: "glasses" are no glass
        ("a. the.", ("a", "the")),  # an article alone is a word
        ("STRASSE. straße.", ("STRASSE",)),
    ],
)
def test_phrases(text, phrases):
    assert parse_phrases(text) == phrases


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("person:0.5. red mug.", [Phrase("person", threshold=0.5), Phrase("red mug")]),
        ("Person : 1, mug:0", [Phrase("Person", threshold=1.0), Phrase("mug", threshold=0.0)]),
        ("person:0.5.red mug", [Phrase("person", threshold=0.5), Phrase("red mug")]),
        ("mug=cup|coffee mug.", [Phrase("mug", ("cup", "coffee mug"))]),
        ("Mug = Cup | cup |mug:0.25", [Phrase("Mug", ("Cup", "mug"), 0.25)]),
        ("car. !toy car.", [Phrase("car"), Phrase("toy car", negative=True)]),
        (
            "car. ! toy=toy car|doll",
            [Phrase("car"), Phrase("toy", ("toy car", "doll"), None, True)],
        ),
        ("mug:0.5. Mug:0.5.", [Phrase("mug", threshold=0.5)]),
        ("mug=a|b. mug=B|A.", [Phrase("mug", ("a", "b"))]),
        ("3.5 mm jack:0.4", [Phrase("3.5 mm jack", threshold=0.4)]),
        (
            "人\uff1a0.5\uff0e杯\uff1d茶杯\uff5c碗。\uff01玩具",
            [
                Phrase("人", threshold=0.5),
                Phrase("杯", ("茶杯", "碗")),
                Phrase("玩具", negative=True),
            ],
        ),
        ("the mug=a cup|cup|the glass", [Phrase("the mug", ("a cup", "the glass"))]),
    ],
)
def test_thresholds_synonyms_and_negatives(text, phrases):
    assert list(parse_prompt(text)) == phrases
    assert parse_phrases(text) == tuple(p.name for p in phrases if not p.negative)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("person:.", "'person:' has no score from 0 to 1"),
        ("person:50.", "'person:50' has no score"),
        ("person:-0.5", "no score from 0 to 1"),
        ("person:0.5:0.6", "no score from 0 to 1"),
        ("person:nan", "no score from 0 to 1"),
        (":0.5", "':0.5' is no phrase"),
        ("mug=. ball", "'mug=' is no phrase"),
        ("mug=cup||glass", "no phrase: .*mug=cup|coffee mug"),
        ("=cup", "'=cup' is no phrase"),
        ("cup|mug", "'cup|mug' is no phrase"),
        ("mug=cup=glass", "no phrase"),
        ("car. !toy car:0.5", "only competes has none"),
        ("!toy car", "names no object"),
        ("person:0,5. dog.", "'0,5' is no score, as a comma ends a phrase: write 0.5"),
        ("mug:0.5. ball. Mug:0.6", "'Mug' stands in the prompt twice"),
        ("car. !Car", "'Car' stands in the prompt twice"),
        ("mug=cup. glass=Cup", "'Cup' stands for 'mug' and for 'glass'"),
        ("mug=mug|cup. cup.", "'cup' stands for 'mug' and for 'cup'"),
        ("mug=a cup. the cup.", "'the cup' stands for 'mug' and for 'the cup'"),
        ("a mug:0.5. mug:0.6.", "'mug' stands in the prompt twice"),
        ("red mug. 😀.", "'😀' has no letter and no digit"),
        ("!😀. mug", "'!😀' has no letter and no digit"),
        ("red mug \udce4. ball.", "no UTF-8 behind 'red mug ': type it in a terminal"),
    ],
)
def test_phrases_that_are_none_are_named(text, told):
    with pytest.raises(PromptError) as caught:
        parse_prompt(text)
    assert all(words in str(caught.value) for words in told.split(".*"))


@pytest.mark.parametrize("text", ["", " ", "...", ". . .", "\n", ",;", "!?"])
def test_a_prompt_without_a_phrase_says_what_to_type(text):
    with pytest.raises(PromptError, match=r"red mug\. person\."):
        parse_phrases(text)


def test_limits_are_named():
    assert len(parse_phrases(".".join(f"thing {i}" for i in range(MAX_PHRASES)))) == MAX_PHRASES
    with pytest.raises(PromptError, match="256 phrases, the most is 255"):
        parse_phrases(".".join(f"thing {i}" for i in range(MAX_PHRASES + 1)))
    with pytest.raises(PromptError, match="1000 phrases, the most is 255"):
        parse_phrases(". ".join(f"thing {i}" for i in range(1000)))
    with pytest.raises(PromptError, match=r"301 phrases with synonyms.* the most is 255"):
        parse_phrases("ball. toy=" + "|".join(f"toy {i}" for i in range(300)))
    with pytest.raises(PromptError, match="301 phrases with synonyms and negative ones"):
        parse_phrases("ball." + ".".join(f"!toy {i}" for i in range(300)))
    with pytest.raises(PromptError, match=str(MAX_CHARACTERS)):
        parse_phrases("a" * (MAX_CHARACTERS + 1))


def test_words_that_the_detector_does_not_know_are_a_warning():
    assert Prompt(1, ("mug", "чашка", "杯子"), unknown=("чашка", "杯子")).warning == (
        "the detector knows no word of: чашка, 杯子"
    )
    assert Prompt(1, ("mug",)).warning == ""


@given(st.text(max_size=200) | st.text("ab:=|!.,01 ", max_size=30))
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
