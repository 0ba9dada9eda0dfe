"""BLEU against worked examples, one of them the paper's, and against a slow reference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import DataError, InputError
from lexframe.generative.texts.bleu import SMOOTHINGS, bleu, bleu_counts, sentence_bleu
from tests.reference import text_quality as slow

texts = st.lists(st.sampled_from(["a", "b", "c", "B"]), max_size=9).map(" ".join)
corpora = st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=5)
MATS = ["the cat is on the mat", "there is a cat on the mat"]


def test_a_repeated_word_counts_as_often_as_in_one_reference():
    # The example of the paper's section 2.1: seven times "the", and no reference has it more than twice.
    assert bleu([MATS], ["the the the the the the the"], max_n=1) == pytest.approx(2 / 7)
    counts = bleu_counts([MATS], ["the the the the the the the"], max_n=2)
    assert (counts.matches.tolist(), counts.totals.tolist()) == ([[2, 0]], [[7, 6]])


def test_two_references_make_one():
    # cat, is, on, the, mat and there match; so do "there is", "on the" and "the mat".
    counts = bleu_counts([MATS], ["there is the cat on the mat"], max_n=4)
    assert counts.matches.tolist() == [[7, 5, 2, 1]]  # + "the cat", "cat on"; "cat on the", "on the mat"; "cat on the mat"
    assert bleu([MATS], ["there is the cat on the mat"]) == pytest.approx((7 / 7 * 5 / 6 * 2 / 5 * 1 / 4) ** 0.25)


def test_a_text_that_is_too_short_pays_for_it():
    assert bleu(["a b c d e"], ["a b c d"]) == pytest.approx(math.exp(1 - 5 / 4))
    assert bleu(["a b c d"], ["a b c d e"]) == pytest.approx((4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25)  # too long costs nothing more
    nearest = bleu_counts([["a", "a b c d e f g", "a b c"], ["a b", "a b c d"]], ["a b c d e", "a b c"])
    assert nearest.reference_lengths.tolist() == [3, 2]  # of two that are as near the shorter


def test_a_corpus_adds_up_before_it_divides():
    # 4 + 1 of 4 + 4 words, 3 + 0 of 3 + 3 twos; the mean of the texts' own scores would be (1 + 0) / 2.
    assert bleu(["a b c d", "a x y z"], ["a b c d", "a p q r"], max_n=2) == pytest.approx(math.sqrt(5 / 8 * 3 / 6))


def test_no_match_of_some_length_is_zero_and_smoothing_helps():
    assert bleu(["a b c d"], ["d c b a"]) == 0
    one = [["a b c d"], ["a c b d"]]
    assert sentence_bleu(*one, smoothing="none").tolist() == [0]
    assert sentence_bleu(*one)[0] == pytest.approx((1 * 1 / 4 * 1 / 3 * 1 / 2) ** 0.25)
    assert sentence_bleu(*one, smoothing="epsilon")[0] == pytest.approx((1 * 0.1 / 3 * 0.1 / 2 * 0.1 / 1) ** 0.25)


def test_short_texts_against_themselves():
    for words in ("a", "a b", "a b c", "a b c d", "a b c d e"):
        assert sentence_bleu([words], [words]) == pytest.approx(1)
    assert sentence_bleu(["a b"], ["a b"], smoothing="epsilon")[0] == pytest.approx(0.1**0.5)
    assert sentence_bleu(["a b"], ["a b"], smoothing="none").tolist() == [0]
    assert sentence_bleu(["", "a"], ["", ""]).tolist() == [0, 0]


@given(corpora, st.integers(1, 5))
def test_a_corpus_against_the_slow_reference(corpus, max_n):
    candidates, references = [candidate for candidate, _ in corpus], [given for _, given in corpus]
    found = bleu(references, candidates, max_n=max_n)
    assert found == pytest.approx(slow.corpus_bleu(references, candidates, max_n))
    assert 0 <= found <= 1 + 1e-12
    assert bleu(references[::-1], candidates[::-1], max_n=max_n) == pytest.approx(found)


@given(corpora, st.integers(1, 5), st.sampled_from(SMOOTHINGS))
def test_each_text_against_the_slow_reference(corpus, max_n, smoothing):
    candidates, references = [candidate for candidate, _ in corpus], [given for _, given in corpus]
    expected = [slow.sentence_bleu(given, candidate, max_n, smoothing) for candidate, given in corpus]
    np.testing.assert_allclose(sentence_bleu(references, candidates, max_n=max_n, smoothing=smoothing), expected, atol=1e-12)


@given(st.lists(texts.filter(lambda text: len(text.split()) >= 4), min_size=1, max_size=4))
def test_a_corpus_is_like_itself(corpus):
    assert bleu(corpus, corpus) == pytest.approx(1)


def test_the_interval_covers_the_score_of_other_corpora(rng):
    vocabulary = [f"w{number}" for number in range(40)]

    def corpus(n):
        references = [" ".join(rng.choice(vocabulary, 8)) for _ in range(n)]
        kept = [[word if rng.random() < 0.8 else "other" for word in text.split()] for text in references]
        return references, [" ".join(words) for words in kept]

    truth = bleu(*corpus(4000))
    intervals = [bleu_counts(*corpus(60)).corpus_estimate(n_resamples=200, seed=seed) for seed in range(60)]
    assert np.mean([found.low <= truth <= found.high for found in intervals]) > 0.85
    counts = bleu_counts(*corpus(60))
    found = counts.corpus_estimate()
    assert found.low < counts.corpus() < found.high
    assert found.value == pytest.approx(counts.corpus())
    assert counts.corpus_estimate() == found != counts.corpus_estimate(seed=1)
    assert bleu_counts(["a"], ["a"]).corpus_estimate().interval is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bleu([], []), DataError, "no text to score"),
        (lambda: bleu(["a"], ["a", "b"]), InputError, "1 references for 2 candidates"),
        (lambda: bleu([["a"], []], ["a", "b"]), InputError, "Candidate number 1 has no reference"),
        (lambda: bleu(["a"], ["a"], max_n=0), InputError, "n-grams of 0 words"),
        (lambda: sentence_bleu(["a"], ["a"], smoothing="more"), InputError, "smoothing is 'more'; expected one of add-one, epsilon, none"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
