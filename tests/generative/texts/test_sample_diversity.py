"""Diversity of texts that can be counted by hand, and that both sides are of equal size."""

import pytest

from lexframe.exceptions import InputError
from lexframe.generative.texts.sample_diversity import compare_diversity, diversity
from lexframe.generative.texts.text_diversity import distinct_n, self_bleu

TEXTS = ["a b c", "A  b c", "a b d", "e"]


def test_every_figure_is_that_of_its_measure():
    found = diversity(TEXTS)
    assert found.distinct_texts == 3 / 4
    assert found.distinct_1 == distinct_n(TEXTS, 1) == 6 / 10
    assert found.distinct_2 == distinct_n(TEXTS, 2) == 4 / 6
    assert found.self_bleu == self_bleu(TEXTS)


def test_as_many_of_both():
    found = compare_diversity(["x"] * 10, TEXTS)
    assert (found.samples.n_texts, found.real.n_texts) == (4, 4)
    assert found.samples.distinct_texts == 1 / 4
    assert found.real == diversity(TEXTS)
    assert found.to_dict()["samples"]["distinct_texts"] == 1 / 4


def test_what_is_too_short_has_no_figure():
    found = diversity(["", ""])
    assert (found.distinct_1, found.distinct_2) == (None, None)
    assert diversity(["one two"]).self_bleu is None
    with pytest.raises(InputError, match="empty"):
        diversity([])
