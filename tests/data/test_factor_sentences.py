"""Samples of the factor grammar: uniform, distinct, split so that combinations are new, and in minimal pairs."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lexframe.data.factor_grammar import FACTORS, FactorSentence
from lexframe.data.factor_sentences import factor_table, n_sentences, pairs, sample_sentences, split_sentences
from lexframe.exceptions import InputError

MANY = pytest.mark.usefixtures("without_type_checks")  # which make each sentence cost a millisecond


def triple(sentence):
    return sentence.subject, sentence.verb, sentence.object


def test_the_size_of_the_grammar():
    assert n_sentences() == np.prod([len(values) for values in FACTORS.values()]) == 987_840
    assert n_sentences(slots=False) == 14**3 * 3 * 2 * 2


@MANY
def test_samples_are_distinct_and_depend_on_the_seed():
    first = sample_sentences(500, 3)
    assert len(set(first)) == len({sentence.text for sentence in first}) == 500
    assert sample_sentences(500, 3) == first
    assert sample_sentences(500, 4) != first
    assert sample_sentences(0) == ()
    bare = sample_sentences(200, slots=False)
    assert {(sentence.adjective, sentence.place) for sentence in bare} == {("none", "none")}
    assert len(set(sample_sentences(n_sentences(slots=False), slots=False))) == 32_928


@MANY
def test_repeats_happen_only_where_they_are_allowed():
    drawn = sample_sentences(3000, distinct=False, slots=False)
    # Of 32,928 equally likely sentences, 3,000 draws hit 1 - (1 - 1/N)^n of them.
    expected = 32_928 * (1 - (1 - 1 / 32_928) ** 3000)
    assert abs(len(set(drawn)) - expected) < 50
    assert len(sample_sentences(40_000, distinct=False, slots=False)) == 40_000


@pytest.mark.parametrize("distinct", [True, False])
@MANY
def test_every_factor_is_uniform_and_independent_of_the_others(distinct):
    table = factor_table(sample_sentences(8000, 1, distinct))
    assert list(table) == list(FACTORS)
    for factor, values in FACTORS.items():
        counts = [int(np.sum(table[factor] == value)) for value in values]
        assert sum(counts) == 8000
        assert stats.chisquare(counts).pvalue > 1e-4, factor
    for one, other in combinations(FACTORS, 2):
        crossed = Counter(zip(table[one].tolist(), table[other].tolist(), strict=True))
        counts = [[crossed[a, b] for b in FACTORS[other]] for a in FACTORS[one]]
        assert stats.chi2_contingency(counts).pvalue > 1e-4, (one, other)


@given(seed=st.integers(0, 2**32), n_held_out=st.integers(1, 13), slots=st.booleans())
def test_parts_share_no_combination_but_all_words(seed, n_held_out, slots):
    split = split_sentences(200, 100, seed, n_held_out=n_held_out, slots=slots)
    assert (len(set(split.train)), len(set(split.test))) == (200, 100)
    assert not set(map(triple, split.train)) & set(map(triple, split.test))
    for factor in ("tense", "number", "polarity"):
        assert {getattr(sentence, factor) for sentence in split.test} == set(FACTORS[factor])
    assert split == split_sentences(200, 100, seed, n_held_out=n_held_out, slots=slots)


@pytest.mark.parametrize("n_held_out", [1, 2, 5])
@MANY
def test_each_two_words_stand_together_equally_often_in_a_part(n_held_out):
    n_test = 14**2 * n_held_out * 12
    split = split_sentences(32_928 - n_test, n_test, 5, n_held_out=n_held_out, slots=False)  # all there are
    assert len({*split.train, *split.test}) == 32_928
    for part, n_thirds in ((split.train, 14 - n_held_out), (split.test, n_held_out)):
        triples = set(map(triple, part))
        for axes in ((0, 1), (0, 2), (1, 2)):
            counts = Counter(tuple(words[axis] for axis in axes) for words in triples)
            assert len(counts) == 14**2
            assert set(counts.values()) == {n_thirds}


def test_the_split_depends_on_the_seed():
    held_out = [set(map(triple, split_sentences(0, 4704, seed, slots=False).test)) for seed in (0, 1)]
    assert held_out[0] != held_out[1]


@given(st.sampled_from(sorted(FACTORS)), st.integers(0, 99), st.booleans(), st.data())
def test_pairs_differ_in_one_factor(factor, seed, slots, data):
    from_value, to_value = data.draw(st.permutations(FACTORS[factor]))[:2]
    made = pairs(factor, from_value, to_value, 6, seed, slots=slots)
    assert len(set(made)) == 6
    for one, other in made:
        assert (getattr(one, factor), getattr(other, factor)) == (from_value, to_value)
        assert all(getattr(one, name) == getattr(other, name) for name in FACTORS if name != factor)
    assert made == pairs(factor, from_value, to_value, 6, seed, slots=slots)


@MANY
def test_all_pairs_of_a_factor():
    made = pairs("tense", "past", "future", 32_928 // 3, slots=False)
    assert len(set(made)) == 10_976
    assert [one.text for one, _ in pairs("tense", "past", "present", 5)] == [one.text for one, _ in pairs("tense", "past", "future", 5)]


def test_the_table_of_nothing_and_of_two_sentences():
    assert {factor: column.shape for factor, column in factor_table([]).items()} == dict.fromkeys(FACTORS, (0,))
    table = factor_table([FactorSentence("king", "see", "cup"), FactorSentence("lady", "buy", "box", place="at home")])
    assert json.loads(json.dumps({factor: column.tolist() for factor, column in table.items()}))["place"] == ["none", "at home"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_sentences(-1), "-1 sentences are asked for"),
        (lambda: sample_sentences(987_841), "there are 987,840 different ones"),
        (lambda: sample_sentences(32_929, slots=False), "32,929 sentences are asked for; there are 32,928"),
        (lambda: split_sentences(1, 1, n_held_out=0), "n_held_out is 0; expected 1 to 13"),
        (lambda: split_sentences(1, 1, n_held_out=14), "n_held_out is 14"),
        (lambda: split_sentences(10, 4705, slots=False), "4,705 test sentences are asked for; there are 4,704"),
        (lambda: split_sentences(28_225, 10, slots=False), "28,225 train sentences are asked for; there are 28,224"),
        (lambda: pairs("mood", "a", "b", 1), "no factor 'mood'"),
        (lambda: pairs("tense", "past", "now", 1), "no tense 'now'"),
        (lambda: pairs("tense", "past", "past", 1), "Both values of tense are 'past'"),
        (lambda: pairs("tense", "past", "future", 10_977, slots=False), "sentences with tense past are asked for; there are 10,976"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
