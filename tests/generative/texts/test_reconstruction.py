"""Shares of words that come back, by hand and against the distance over words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.generative.texts.reconstruction import exact_match, word_accuracy
from tests.reference import text_quality as slow

texts = st.lists(st.sampled_from("abcd"), max_size=8).map(" ".join)
PAIRS = [
    ("", "", 0, 1.0),
    ("", "a b", 2, 0.0),
    ("the king sees the cup", "the king sees the cup", 0, 1.0),
    ("the king sees the cup", "the king saw the cup", 1, 0.8),
    ("the king sees the cup", "the king did not see the cup", 3, 2 / 7),
    ("the king sees the cup", "king sees the cup", 1, 0.0),
    (" a  b\n", "a b", 0, 1.0),
    ("a", "A", 1, 0.0),
]


def test_worked_examples():
    one, other, distances, accuracies = zip(*PAIRS, strict=True)
    assert word_accuracy(one, other) == pytest.approx(accuracies)
    assert exact_match(one, other).tolist() == [distance == 0 for distance in distances]


@given(st.lists(st.tuples(texts, texts), max_size=8))
def test_places_are_one_way_to_edit(batch):
    one, other = [pair[0] for pair in batch], [pair[1] for pair in batch]
    accuracy = word_accuracy(one, other)
    assert ((accuracy == 1) == exact_match(one, other)).all()
    for value, a, b in zip(accuracy, one, other, strict=True):
        assert value <= 1 - slow.edit_distance(a, b) / max(len(a.split()), len(b.split()), 1) + 1e-12


@pytest.mark.parametrize("measure", [exact_match, word_accuracy])
def test_no_pair_and_a_text_without_a_partner(measure):
    assert measure([], []).shape == (0,)
    with pytest.raises(InputError, match="2 texts on one side and 1 on the other"):
        measure(["a", "b"], ["a"])
