"""Vocabulary, prompts and batches of the demo detector."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsam_ros.training.detector.data import DetectorBatches
from gsam_ros.training.detector.prompts import (
    MAX_PHRASES,
    Phrase,
    draw_phrases,
    draw_test_phrases,
    is_fair,
    join,
)
from gsam_ros.training.detector.refine import MIX
from gsam_ros.training.detector.words import (
    FIXED_IDS,
    absent_words,
    build_tokenizer,
    build_vocabulary,
    world_words,
)
from gsam_ros.training.together import Team
from gsam_ros.world.vocabulary import HELD_OUT, PAIRS, SEEN, phrases_of

WORDS = ("red", "mug", "blue", "ball", "x")


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def test_separators_have_the_ids_that_transformers_takes_for_granted(tokenizer):
    ids = tokenizer("red mug. blue ball? x").input_ids
    words = {word: tokenizer.convert_tokens_to_ids(word) for word in WORDS}
    assert ids == [
        101, words["red"], words["mug"], 1012, words["blue"], words["ball"], 1029, words["x"], 102
    ]  # fmt: skip
    assert tokenizer.pad_token_id == 0
    assert tokenizer.unk_token_id == FIXED_IDS["[UNK]"]


def test_vocabulary_has_an_id_for_every_row():
    vocabulary = build_vocabulary()
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert len(vocabulary) >= 1030


def test_words_of_the_world_are_whole_and_come_back(tokenizer):
    for pair in PAIRS:
        for phrase in phrases_of(pair):
            ids = tokenizer(phrase, add_special_tokens=False).input_ids
            assert len(ids) == 2
            assert tokenizer.decode(ids) == phrase


def test_any_text_can_be_tokenised(tokenizer):
    text = "Xylophone-42 (very_old) & qu'est-ce que c'est"
    assert tokenizer.unk_token_id not in tokenizer(text).input_ids


def test_absent_words_name_nothing_in_the_world():
    assert not set(absent_words()) & set(world_words())


@pytest.mark.parametrize(
    ("phrase", "named"),
    [
        (Phrase("red mug", "red", "mug"), [True, False, False]),
        (Phrase("cup", None, "mug"), [True, True, False]),
        (Phrase("crimson", "red", None), [True, False, True]),
        (Phrase("red dog", nonsense=True), [False, False, False]),
    ],
)
def test_what_a_phrase_names(phrase, named):
    objects = [("red", "mug"), ("white", "mug"), ("red", "ball")]
    assert [phrase.names(pair) for pair in objects] == named


def test_training_prompts_never_name_a_held_out_pair():
    forbidden = {phrase for pair in HELD_OUT for phrase in phrases_of(pair)}
    rng = np.random.default_rng(0)
    named, empty = 0, 0
    for _ in range(400):
        present = [SEEN[i] for i in rng.integers(len(SEEN), size=rng.integers(1, 9))]
        phrases = draw_phrases(rng, present)
        assert 1 <= len(phrases) <= MAX_PHRASES
        assert not forbidden & {phrase.text for phrase in phrases}
        assert not {(phrase.colour, phrase.shape) for phrase in phrases} & set(HELD_OUT)
        hits = [any(phrase.names(pair) for pair in present) for phrase in phrases]
        named, empty = named + sum(hits), empty + (len(hits) - sum(hits))
    assert 0.3 < named / (named + empty) < 0.7  # both kinds are learnt


def test_refining_asks_mostly_for_what_is_not_there_and_close_to_it():
    rng = np.random.default_rng(0)
    about_nothing, alone, near = 0, 0, 0
    for _ in range(400):
        present = [SEEN[i] for i in rng.integers(len(SEEN), size=3)]
        phrases = draw_phrases(rng, present, MIX)
        wrong = [p for p in phrases if not any(p.names(pair) for pair in present)]
        assert all(is_fair(p.colour, p.shape, present) for p in phrases)
        if len(wrong) < len(phrases):
            continue
        about_nothing += 1
        assert len(phrases) <= MIX.most_of_nothing
        alone += any(not p.nonsense and None in (p.colour, p.shape) for p in wrong)
        near += any(p.colour == c or p.shape == s for p in wrong for c, s in present)
    assert 0.4 < about_nothing / 400 < 0.6
    assert alone > 0.25 * about_nothing
    assert near > 0.5 * about_nothing


def test_processes_of_a_team_get_pictures_of_one_size_that_differ():
    alone = DetectorBatches(3, 2)[5]
    first, second = (DetectorBatches(3, 2, team=Team(place, 2))[5] for place in (0, 1))
    assert torch.equal(first.images, alone.images)
    assert first.images.shape == second.images.shape
    assert not torch.equal(first.images, second.images)


def test_measuring_prompts_ask_for_all_that_is_there_and_more():
    present = [("red", "mug"), ("red", "mug"), ("blue", "ball")]
    phrases = draw_test_phrases(np.random.default_rng(0), present, PAIRS, count=6)
    texts = [phrase.text for phrase in phrases]
    assert len(set(texts)) == 6
    assert {"red mug", "blue ball"} <= set(texts)
    assert join(phrases[:2]) == f"{texts[0]}. {texts[1]}."


def test_a_batch_depends_only_on_seed_and_number():
    first, again = DetectorBatches(3, 2)[5], DetectorBatches(3, 2)[5]
    other = DetectorBatches(3, 2)[6]
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.input_ids, again.input_ids)
    assert first.images.shape != other.images.shape or not torch.equal(first.images, other.images)


def test_targets_are_the_objects_that_the_prompt_names(tokenizer):
    batch = DetectorBatches(1, 6)[0]
    for image, boxes in enumerate(batch.targets.boxes):
        assert len(boxes) == len(batch.targets.phrases[image])
        assert batch.targets.phrases[image].any(1).all()
        assert (boxes > 0).all()
        assert (boxes[:, :2] < 1).all()
        lit = batch.targets.tokens_of(image)
        assert not lit[:, batch.input_ids[image] == FIXED_IDS["."]].any()
        assert not lit[:, ~batch.targets.text_mask[image]].any()
