"""The selection claim where it is planted: topics select their words and regions, order adds nothing, random heads select nothing."""

import json

import numpy as np
import pytest

from lexframe.exceptions import InputError
from lexframe.spaces import ToySpace
from lexframe.studies.selection import LabeledTexts, SelectionSize, measure_selection, topic_words
from lexframe.studies.selection_result import MEASURES
from tests.planted import LABELS, WORDS, planted_space, planted_table

ENDINGS = [" please the", " hello the"]


@pytest.fixture(scope="module")
def space():
    return planted_space()


def labeled(table):
    return LabeledTexts(table.texts, table.labels)


@pytest.fixture(scope="module")
def study(space: ToySpace):
    rng = np.random.default_rng(8)
    words = [word for listed in WORDS.values() for word in listed] + list(LABELS)
    random = {word: rng.normal(size=8).tolist() for word in words}
    other = ToySpace({word: random[word] for word in space.words}, unembedding=rng.normal(size=(len(space.words), 8)))
    train, test = labeled(planted_table(40, 0)), labeled(planted_table(30, 1))
    return measure_selection(space, train, test, controls={"random": other}, continuations=ENDINGS, size=SelectionSize(n_axes=2, n_words=4))


def test_the_words_of_a_topic_are_those_planted(space):
    table = planted_table(60, 0)
    assert {topic: set(words) for topic, words in topic_words(space, table.texts, table.labels, n_words=4).items()} == {
        label: set(WORDS[label]) for label in LABELS
    }


def test_planted_topics_select_their_words_and_their_subspace(study):
    for measure in MEASURES:
        score = study.score("prompt", measure)
        assert score.selection.low > 0
        assert score.selection.value == pytest.approx(score.own.value - score.other.value)


def test_words_that_stand_in_the_prompt_are_not_needed(study):
    plain, fresh = (study.score("prompt", measure).selection.value for measure in MEASURES[:2])
    assert 0 < fresh < plain  # a running mean raises the words it holds most


def test_a_space_without_order_has_no_margin_over_shuffled_words(study):
    for measure in MEASURES:
        margin = study.margins[measure]["shuffled"]
        assert [margin.value, margin.low, margin.high] == pytest.approx([0, 0, 0], abs=1e-5)


def test_a_random_head_selects_no_words_and_the_margin_says_so(study):
    score = study.score("random prompt", "words not in the prompt")
    assert score.selection.low < 0.2
    assert study.margins["words not in the prompt"]["random prompt"].low > 0


def test_topics_without_meaning_select_nothing(space):
    train, test = (labeled(planted_table(40, seed, shuffled=True)) for seed in (0, 1))
    found = measure_selection(space, train, test, continuations=ENDINGS, size=SelectionSize(n_axes=2, n_words=4))
    for measure in MEASURES:
        selection = found.score("prompt", measure).selection
        assert selection.low < 0 < selection.high


def test_the_same_seed_gives_the_same_study_in_plain_types(space, study):
    json.dumps(study.to_dict(), allow_nan=False)
    assert len(study.to_frame()) == 4 * len(MEASURES)
    assert set(study.margins["subspace"]) == {"shuffled", "random prompt", "random shuffled"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": [], "labels": []}, "0 prompts"),
        ({"continuations": []}, "0 continuations"),
        ({"labels": ["money"]}, "2 prompts but 1 labels"),
        ({"labels": ["money", "weather"]}, "'weather' has no training text"),
        ({"train_labels": ["money"] * 30}, "1 topics"),
        ({"train_texts": ["the hello"] * 30}, "No word of the vocabulary marks"),
        ({"n_axes": 99}, "99 axes were asked for"),
        ({"layer": 7}, "layer 7 does not exist"),
    ],
)
def test_bad_input_is_refused(space, change, message):
    table = planted_table(10, 0)
    arguments = {
        "train_texts": table.texts,
        "train_labels": table.labels,
        "prompts": ["card paid the", "bed the"],
        "labels": ["money", "room"],
        "continuations": ENDINGS,
        "n_axes": 2,
        "layer": -1,
    } | change
    with pytest.raises(InputError, match=message):
        measure_selection(
            space,
            LabeledTexts(arguments["train_texts"], arguments["train_labels"]),
            LabeledTexts(arguments["prompts"], arguments["labels"]),
            continuations=arguments["continuations"],
            layer=arguments["layer"],
            size=SelectionSize(n_axes=arguments["n_axes"]),
        )
