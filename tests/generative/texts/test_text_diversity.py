"""Distinct n-grams by hand, and self-BLEU against every text compared with all others one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.data.factor_sentences import sample_sentences
from lexframe.exceptions import DataError, InputError
from lexframe.generative.texts.text_diversity import distinct_n, self_bleu, self_bleu_scores
from tests.reference import text_quality as slow

texts = st.lists(st.sampled_from("abc"), max_size=8).map(" ".join)


def test_distinct_n_grams_by_hand():
    assert distinct_n(["a b a b", "a b"], 1) == 2 / 6
    assert distinct_n(["a b a b", "a b"]) == 2 / 4  # "a b" three times and "b a"; none from one text into the next
    assert distinct_n(["a b a b", "a b"], 3) == 1
    assert distinct_n(["  a\n", "", "b"], 1) == 1
    assert distinct_n(["a b c"] * 10, 3) == 0.1


@given(st.lists(texts, min_size=2, max_size=6), st.integers(1, 5), st.sampled_from(["add-one", "epsilon", "none"]))
def test_self_bleu_is_each_text_against_all_others(corpus, n, smoothing):
    expected = slow.self_bleu(corpus, n, smoothing)
    np.testing.assert_allclose(self_bleu_scores(corpus, n, smoothing=smoothing), expected, atol=1e-12)
    assert self_bleu(corpus, n, smoothing=smoothing) == pytest.approx(np.mean(expected))
    np.testing.assert_allclose(self_bleu_scores(corpus[::-1], n, smoothing=smoothing)[::-1], expected, atol=1e-12)


def test_self_bleu_of_sentences():
    corpus = [sentence.text for sentence in sample_sentences(40)]
    np.testing.assert_allclose(self_bleu_scores(corpus), slow.self_bleu(corpus))


def test_the_ends_of_the_scale():
    assert self_bleu(["a b c d e", "f g h i j", "k l m n o"]) == 0
    assert self_bleu(["a b c d e"] * 3) == pytest.approx(1)
    # One of the three stands alone; it shares no word with the rest.
    assert self_bleu(["a b c d e", "a b c d e", "f g h i j"]) == pytest.approx(2 / 3)


def test_a_sample_is_drawn_by_the_seed_and_compared_within_itself():
    corpus = [sentence.text for sentence in sample_sentences(60)]
    found = self_bleu(corpus, sample=20, seed=3)
    assert found == self_bleu(corpus, sample=20, seed=3) != self_bleu(corpus, sample=20, seed=4)
    chosen = [corpus[row] for row in np.random.default_rng(3).permutation(60)[:20]]
    assert found == pytest.approx(np.mean(slow.self_bleu(chosen)))
    assert self_bleu(corpus, sample=60) == pytest.approx(self_bleu(corpus))
    assert self_bleu(corpus) > found  # more texts, more matches


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: distinct_n(["a b"], 3), DataError, "None of the 1 texts has 3 words"),
        (lambda: distinct_n([]), DataError, "None of the 0 texts"),
        (lambda: distinct_n(["a"], 0), InputError, "n-grams of 0 words"),
        (lambda: self_bleu(["a"]), DataError, "there are 1. Give two or more"),
        (lambda: self_bleu(["a", "b"], 0), InputError, "n-grams of 0 words"),
        (lambda: self_bleu(["a", "b"], smoothing="x"), InputError, "smoothing is 'x'"),
        (lambda: self_bleu(["a", "b", "c"], sample=1), InputError, "A sample of 1 texts is asked for; expected 2 to 3"),
        (lambda: self_bleu(["a", "b", "c"], sample=4), InputError, "A sample of 4 texts"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
