"""What the bundled detector finds depends on what is asked, and not on how it is typed."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsam_ros.boxes import box_iou
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.text import encode_text
from gsam_ros.instances import Detections
from gsam_ros.prompts import PromptError, parse_prompt
from gsam_ros.world.stills import Still, draw_still
from gsam_ros.world.vocabulary import SEEN, phrase_of

PHRASES = ("red mug", "blue ring", "purple ball", "orange star")
KNOWN = tuple(tuple(phrase.split()) for phrase in PHRASES)
SIZE = {"threshold": 0.1, "nms_iou": 0.6}


@pytest.fixture(scope="module")
def detector() -> GroundingDetector:
    return GroundingDetector("demo-detector", torch.device("cpu"))


@pytest.fixture(scope="module")
def still() -> Still:
    return draw_still(np.random.default_rng(10), 192, 256, KNOWN, max_objects=8)


def named(detector: GroundingDetector, image: np.ndarray, typed: str) -> dict[str, np.ndarray]:
    """[N, 5] boxes and scores, best first, of each phrase that is found in an image."""
    text = detector.encode(parse_prompt(typed))
    [found] = detector.detect([image], text, **SIZE)
    table = np.concatenate([found.boxes, found.scores[:, None]], 1)
    names = np.array([text.phrases[i] for i in found.phrase_index])
    return {name: table[names == name] for name in sorted(set(names.tolist()))}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Boxes within a hundredth of a pixel, scores within 1e-5."""
    assert one.keys() == other.keys()
    for name, table in one.items():
        np.testing.assert_allclose(table[:, :4], other[name][:, :4], atol=0.01)
        np.testing.assert_allclose(table[:, 4], other[name][:, 4], atol=1e-5)


@settings(max_examples=15)
@given(st.permutations(PHRASES))
def test_the_order_of_phrases_does_not_matter(detector, still, phrases):
    expected = named(detector, still.image, ". ".join(PHRASES))
    assert len(expected) >= 3
    assert_same(named(detector, still.image, ". ".join(phrases)), expected)


ARTICLES = st.sampled_from(["", "a ", "A  ", "the ", "An "])
MARKS = st.sampled_from([".", ". ", ",", "\n", ";\t", " . . ", "\u3002"])


@settings(max_examples=20)
@given(st.lists(st.tuples(ARTICLES, st.booleans(), MARKS), min_size=8, max_size=8))
def test_articles_capitals_marks_and_duplicates_do_not_matter(detector, still, ways):
    expected = named(detector, still.image, ". ".join(PHRASES))
    typed, labels = "", {}
    for phrase, (article, capitals, mark) in zip(PHRASES * 2, ways, strict=True):
        label = article + (phrase.upper() if capitals else phrase)
        typed += label + mark
        labels.setdefault(phrase, " ".join(label.split()))
    found = named(detector, still.image, typed)
    assert set(found) <= set(labels.values()), "the label is what was typed first"
    by_phrase = {phrase: found[label] for phrase, label in labels.items() if label in found}
    assert_same(by_phrase, expected)


LETTERS = st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1, max_size=12)


@settings(max_examples=25)
@given(
    st.lists(LETTERS | st.sampled_from(PHRASES) | st.sampled_from(["[SEP]", "?", "##s", "чашка"]))
)
def test_no_label_outside_the_prompt_is_ever_told(detector, still, phrases):
    typed = ". ".join(phrases)
    try:
        prompt = parse_prompt(typed)
    except PromptError:
        return
    text = detector.encode(prompt)
    [found] = detector.detect([still.image], text, threshold=0.0, nms_iou=1.0)
    assert text.phrases == tuple(phrase.name for phrase in prompt)
    assert ((found.phrase_index >= 0) & (found.phrase_index < len(text.phrases))).all()
    assert {text.phrases[i] for i in found.phrase_index} <= {
        " ".join(phrase.split()) for phrase in unicodedata.normalize("NFC", typed).split(".")
    }
    assert np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()


@pytest.fixture(scope="module")
def scenes() -> list[tuple[Still, tuple[str, ...]]]:
    """Pictures of known things, and the phrases for them."""
    made = []
    for seed in range(8):
        rng = np.random.default_rng([6, seed])
        pairs = [SEEN[int(i)] for i in rng.choice(len(SEEN), 3, replace=False)]
        made.append((draw_still(rng, 192, 256, pairs, max_objects=6), tuple(map(phrase_of, pairs))))
    return made


def agreement(detector, scenes, change) -> tuple[int, int, np.ndarray]:
    """Sure boxes, those that a changed prompt still finds, and by how much their scores moved."""
    sure, moved = 0, []
    for still, phrases in scenes:
        before, after = (
            detector.detect([still.image], detector.encode(prompt), 0.3)[0]
            for prompt in (phrases, change(phrases))
        )
        strong = before[before.scores >= 0.4]
        sure += len(strong)
        for row in range(len(strong)):
            same: Detections = after[after.phrase_index == strong.phrase_index[row]]
            overlap = box_iou(strong.boxes[row : row + 1], same.boxes)[0]
            if len(same) and overlap.max() > 0.7:
                moved.append(abs(float(same.scores[overlap.argmax()] - strong.scores[row])))
    return sure, len(moved), np.array(moved)


@pytest.mark.parametrize("absent", [("zebra",), ("zebra", "green umbrella", "police car")])
def test_absent_phrases_take_hardly_anything_away(detector, scenes, absent):
    """The model looks at all phrases at once: what nobody sees still moves scores a little."""
    sure, found, moved = agreement(detector, scenes, lambda phrases: phrases + absent)
    assert sure >= 15
    assert found >= 0.9 * sure
    assert np.median(moved) < 0.03
    assert np.quantile(moved, 0.9) < 0.15


def test_a_prompt_in_groups_finds_what_one_group_finds(detector, scenes, monkeypatch):
    """Phrases of another group are phrases that are absent: scores move a little."""
    config = detector.model.config

    def find(limit: int) -> tuple[list[int], list[Detections]]:
        monkeypatch.setattr(config, "max_text_len", limit)
        texts = [detector.encode(phrases) for _, phrases in scenes]
        counts = [len(text.groups) for text in texts]
        answers = [
            detector.detect([still.image], text, 0.3)[0]
            for (still, _), text in zip(scenes, texts, strict=True)
        ]
        return counts, answers

    (one, together), (several, apart) = find(256), find(6)
    assert set(one) == {1} and min(several) > 1
    sure, moved = 0, []
    for first, second in zip(together, apart, strict=True):
        strong = first[first.scores >= 0.4]
        sure += len(strong)
        overlap = box_iou(strong.boxes, second.boxes)
        overlap[strong.phrase_index[:, None] != second.phrase_index] = 0
        held = overlap.max(1, initial=0) > 0.7
        moved += np.abs(strong.scores - second.scores[overlap.argmax(1)])[held].tolist()
    assert sure >= 15
    assert len(moved) >= 0.9 * sure
    assert np.median(moved) < 0.1  # the card of the model tells of 0.068
    assert np.quantile(moved, 0.9) < 0.15


@pytest.fixture(scope="module")
def one_by_one() -> GroundingDetector:
    return GroundingDetector("demo-detector", torch.device("cpu"), phrases_at_once=1)


def test_phrases_read_one_by_one_do_not_know_of_each_other(one_by_one, scenes):
    """Boxes of a phrase are those it gets alone, but for those that another phrase takes."""
    for still, phrases in scenes:
        prompt = (*phrases, "zebra", "green umbrella", "!police car")
        text = one_by_one.encode(parse_prompt(". ".join(prompt)))
        assert len(text.groups) == len(prompt)
        [together] = one_by_one.detect([still.image], text, 0.1)
        for number, phrase in enumerate(phrases):
            [alone] = one_by_one.detect([still.image], one_by_one.encode([phrase]), 0.1)
            own = together[together.phrase_index == number]
            for box, score in zip(own.boxes, own.scores, strict=True):
                far = np.abs(alone.boxes - box).max(1)
                assert far.min() < 0.01
                assert alone.scores[far.argmin()] == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize(("at_once", "sizes"), [(0, [5]), (1, [1] * 5), (2, [2, 2, 1]), (9, [5])])
def test_a_prompt_is_cut_into_groups_of_so_many_phrases(detector, at_once, sizes):
    model = detector.model.model
    prompt = parse_prompt("red mug. blue ring. ball. star. cone.")
    text = encode_text(model, detector.tokenizer, prompt, at_once)
    assert [len(group.phrase_index) for group in text.groups] == sizes


def test_plurals_find_the_same_things(detector, scenes):
    sure, found, _ = agreement(detector, scenes, lambda phrases: tuple(f"{p}s" for p in phrases))
    assert found >= 0.9 * sure


@pytest.mark.parametrize("typed", ["red mug", "a red mug", "The  red mug"])
def test_an_article_costs_no_word_piece(detector, typed):
    [group] = detector.encode(parse_prompt(typed)).groups
    assert group.phrase_of_token.sum(1).tolist() == [0.0, 0.5, 0.5, 0.0, 0.0]
