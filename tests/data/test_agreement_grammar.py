"""The planted grammar against its rules read off the words of sentences, and what must not give a group away."""

from collections import Counter, defaultdict
from itertools import combinations

import numpy as np
import pytest

from lexframe.data.agreement_grammar import MARKERS, SPLITS, AgreementGrammar
from lexframe.exceptions import InputError

ONE_SIDE = {
    "agreement": {"ro", "si", "tu", "va"},
    "government": {"mi", "ne", "tu", "va"},
    "order": {"lo", "ne", "si", "va"},
    "licensing": {"lo", "mi", "ro", "va"},
}
"""Markers that go with class 1, or with a place after the adverb."""


@pytest.fixture(scope="module", params=[False, True], ids=["disjoint", "shared"])
def grammar(request):
    return AgreementGrammar(shared_words=request.param)


@pytest.fixture(scope="module")
def text(grammar):
    """Sentences to learn from, as words, by paradigm."""
    by_opener = {paradigm.opener: paradigm for paradigm in grammar.paradigms}
    found = defaultdict(list)
    for sentence in grammar.sentences(6000, np.random.default_rng(0)):
        words = sentence.split()
        found[by_opener[words[0]].name].append(words)
    return found


@pytest.fixture(scope="module")
def pairs(grammar):
    return grammar.tasks(200, seed=3)


@pytest.fixture(scope="module")
def every_pair():
    return AgreementGrammar().tasks(1728)


def rules_kept(paradigm, words):
    """Which of the four rules a sentence keeps, word by word; the sentence must have the form of its paradigm."""
    opener, particle, noun, verb, *between, fourth, last = words
    sets = paradigm.words
    adverb, marker = (last, fourth) if fourth in MARKERS else (fourth, last)
    assert opener == paradigm.opener
    assert adverb in sets.adverbs
    assert marker in MARKERS
    allowed = {"near": [()], "filler": [(word,) for word in sets.fillers], "attractor": [(word,) for word in sets.nouns if word != noun]}
    assert tuple(between) in allowed[paradigm.form]
    follows_from = {
        "agreement": sets.nouns.index(noun) >= 3,
        "government": sets.verbs.index(verb) >= 3,
        "order": last == marker,
        "licensing": sets.particles.index(particle) >= 3,
    }
    return {rule: (marker in ONE_SIDE[rule]) == source for rule, source in follows_from.items()}


def test_four_groups_of_three_paradigms(grammar):
    assert Counter(paradigm.group for paradigm in grammar.paradigms) == dict.fromkeys(ONE_SIDE, 3)
    assert [paradigm.name for paradigm in grammar.paradigms][:4] == [
        *("agreement near", "agreement filler", "agreement attractor", "government near")
    ]
    assert len(grammar.vocabulary) == len(set(grammar.vocabulary)) == (8 + 12 + 3 * 24 if grammar.shared_words else 8 + 12 * 25)
    assert len({word for paradigm in grammar.paradigms for word in paradigm.words.all} - set(grammar.vocabulary)) == 0


def test_words_stand_in_one_paradigm_or_in_one_of_every_group(grammar, text):
    places = defaultdict(set)
    for name, sentences in text.items():
        for word in {word for words in sentences for word in words} - set(MARKERS):
            places[word].add(tuple(name.split()))
    openers = {paradigm.opener for paradigm in grammar.paradigms}
    for word, found in places.items():
        if word in openers or not grammar.shared_words:
            assert len(found) == 1
        else:
            assert {group for group, _ in found} <= set(ONE_SIDE)
            assert len({group for group, _ in found}) == len(found)  # never twice in a group
    if grammar.shared_words:
        words = {paradigm.name: set(paradigm.words.all) for paradigm in grammar.paradigms}
        shared = [(one.split(), other.split()) for one, other in combinations(words, 2) if words[one] & words[other]]
        assert len(shared) == 18
        assert sum(one[1] == other[1] for one, other in shared) == 6  # of one form: a third, as of all 54 pairs of different groups


def test_text_keeps_the_rule_of_its_paradigm_and_is_free_in_the_others(grammar, text):
    for paradigm in grammar.paradigms:
        kept = [rules_kept(paradigm, words) for words in text[paradigm.name]]
        assert 400 < len(kept) < 600
        for rule in ONE_SIDE:
            share = np.mean([each[rule] for each in kept])
            assert share == 1.0 if rule == paradigm.group else abs(share - 0.5) < 0.1, (paradigm.name, rule)


def test_pairs_differ_in_the_marker_and_the_bad_one_breaks_the_rule_of_its_group(grammar, pairs):
    by_name = {paradigm.name: paradigm for paradigm in grammar.paradigms}
    assert Counter(pair.paradigm for pair in pairs) == dict.fromkeys(by_name, 200)
    for pair in pairs:
        good, bad = pair.good.split(), pair.bad.split()
        exchanged = [(one, other) for one, other in zip(good, bad, strict=True) if one != other]
        assert len(exchanged) == 1
        assert set(exchanged[0]) <= set(MARKERS)
        assert by_name[pair.paradigm].group == pair.group
        assert rules_kept(by_name[pair.paradigm], good)[pair.group]
        assert not rules_kept(by_name[pair.paradigm], bad)[pair.group]


def test_markers_do_not_give_a_group_away(grammar, text, pairs):
    for one, other in combinations(SPLITS, 2):
        assert set(Counter(zip(one, other, strict=True)).values()) == {2}
    for sentences in text.values():
        counts = Counter(word for words in sentences for word in words if word in MARKERS)
        assert all(abs(counts[marker] / len(sentences) - 1 / 8) < 0.06 for marker in MARKERS)
    for paradigm in {pair.paradigm for pair in pairs}:
        sides = [
            next(word for word in pair.good.split() if word in MARKERS) in ONE_SIDE[pair.group]
            for pair in pairs
            if pair.paradigm == paradigm
        ]
        assert sides == [False, True] * 100
        wrong = {word for pair in pairs if pair.paradigm == paradigm for word in pair.bad.split()} & set(MARKERS)
        assert wrong == set(MARKERS)


def test_pairs_have_nouns_with_adverbs_that_the_text_never_has(grammar, text, pairs):
    for paradigm in grammar.paradigms:

        def seen(sentences, sets=paradigm.words):
            return {(words[2], next(word for word in words if word in sets.adverbs)) for words in sentences}

        learned = seen(text[paradigm.name])
        asked = seen([pair.good.split() for pair in pairs if pair.paradigm == paradigm.name])
        assert not learned & asked
        assert len(learned) == 6 * 3
        assert len(asked) == 6


def test_seeds_decide_everything(grammar):
    again = AgreementGrammar(shared_words=grammar.shared_words)
    assert again == grammar
    assert again.tasks(20, seed=1) == grammar.tasks(20, seed=1) != grammar.tasks(20, seed=2)
    draws = [each.sentences(50, np.random.default_rng(5)) for each in (again, grammar)]
    assert draws[0] == draws[1] != grammar.sentences(50, np.random.default_rng(6))
    other = AgreementGrammar(seed=1).vocabulary
    assert len(other) == 308  # by chance alone two words of this seed are equal
    assert len(set(other[8:]) & set(grammar.vocabulary)) < 5


def test_every_marker_is_right_equally_often_and_no_sentence_comes_twice(every_pair):
    near = [pair for pair in every_pair if pair.paradigm.endswith("near")]  # of which these are all
    right = Counter((pair.paradigm, word) for pair in near for word in pair.good.split() if word in MARKERS)
    assert set(right.values()) == {216}
    assert len({pair.good for pair in every_pair}) == len(every_pair) == 12 * 1728


@pytest.mark.parametrize("n_pairs", [0, 1729])
def test_pairs_that_are_not_there_are_refused(grammar, n_pairs):
    with pytest.raises(InputError, match=f"n_pairs is {n_pairs}; expected from 1 to 1728"):
        grammar.tasks(n_pairs)
