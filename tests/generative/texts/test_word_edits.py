"""Word edit distance against the recursion of its definition, and what counts as a word."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.generative.texts.word_edits import edit_distance, edit_distances, word_distance, word_overlap, words_of

SEQUENCES = st.lists(st.sampled_from("abcd"), max_size=7)


def slow_distance(first, second):
    """As it is defined: the cheapest way to make the ends agree."""

    @cache
    def cost(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(cost(i - 1, j) + 1, cost(i, j - 1) + 1, cost(i - 1, j - 1) + (first[i - 1] != second[j - 1]))

    return cost(len(first), len(second))


@given(first=SEQUENCES, others=st.lists(SEQUENCES, min_size=1, max_size=5))
def test_all_distances_at_once_are_those_of_the_definition(first, others):
    longest = max(map(len, others))
    table = np.full((len(others), longest), 0, dtype=np.int64)  # filled up with a word that may stand in the text
    for row, other in enumerate(others):
        table[row, : len(other)] = [ord(word) - 97 for word in other]
    words = np.array([ord(word) - 97 for word in first], dtype=np.int64)
    found = edit_distances(words, table, np.array([len(other) for other in others]))
    expected = [slow_distance(tuple(first), tuple(other)) for other in others]
    assert found.tolist() == expected
    assert [edit_distance(first, other) for other in others] == expected


@given(first=SEQUENCES, second=SEQUENCES, third=SEQUENCES)
def test_it_is_a_metric_and_above_the_bound_that_the_index_uses(first, second, third):
    distance = edit_distance(first, second)
    assert distance == edit_distance(second, first)
    assert (distance == 0) == (first == second)
    assert distance <= edit_distance(first, third) + edit_distance(third, second)
    assert distance >= max(len(first), len(second)) - (Counter(first) & Counter(second)).total()


def test_known_distances():
    assert word_distance("a dog runs", "a cat runs") == pytest.approx(1 / 3)
    assert word_distance("A dog, runs.", "a dog  runs") == 0
    assert word_distance("one two", "one two three four") == pytest.approx(1 / 2)
    assert word_distance("", "word") == 1
    assert word_distance("", "...") == 0


def test_known_overlaps():
    assert word_overlap("she sang loudly", "she spoke loudly") == pytest.approx(2 / 3)
    assert word_overlap("a b", "b a") == 1
    assert word_overlap("a a b", "a c") == pytest.approx(2 / 5)  # the second a has no partner
    assert word_overlap("", "!") == 1
    assert word_overlap("", "x") == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The dog's  bone.", ("the", "dog's", "bone")),
        ("well-known – (really)", ("well-known", "really")),
        ("STRASSE straße", ("strasse", "strasse")),
        ("猫は好き。ok", ("猫", "は", "好", "き", "ok")),
        ("हिन्दी भाषा।", ("हिन्दी", "भाषा")),
        ("… - !", ()),
    ],
)
def test_what_a_word_is(text, words):
    assert words_of(text) == words
