"""Counts and TF-IDF against scikit-learn's own vectorizers; vocabularies as bytes and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from lexframe.ngrams import WORDS_AND_MARKS, NGramCounts, NGramVocabulary, inverse_document_frequencies, tfidf

TEXTS = ["The cat sat, the cat", "a Dog\nbarked", "", "naïve café ☕ 日本語", "?!"]


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_tfidf_is_that_of_scikit_learn(kind):
    options = (
        {"ngram_range": (1, 2), "token_pattern": WORDS_AND_MARKS} if kind == "words" else {"analyzer": "char_wb", "ngram_range": (2, 5)}
    )
    oracle = TfidfVectorizer(sublinear_tf=True, **options)
    expected = oracle.fit_transform(TEXTS).toarray()
    found = NGramCounts.of(TEXTS)
    n_words = len(found.vocabulary.words)
    columns = tfidf(found.counts, inverse_document_frequencies(found.counts), n_words).toarray()
    part = columns[:, :n_words] if kind == "words" else columns[:, n_words:]
    assert getattr(found.vocabulary, kind) == tuple(oracle.get_feature_names_out())
    np.testing.assert_allclose(part, expected, atol=1e-6)


def test_other_texts_are_counted_in_the_same_columns():
    found = NGramCounts.of(TEXTS)
    np.testing.assert_array_equal(found.vocabulary.counts(TEXTS).toarray(), found.counts.toarray())
    assert found.vocabulary.counts(["zebra"]).shape == (1, len(found.vocabulary))
    assert found.vocabulary.counts([]).shape == (0, len(found.vocabulary))


def test_the_vocabulary_of_some_texts_is_what_they_alone_would_give():
    whole, alone = NGramCounts.of(TEXTS), NGramCounts.of(TEXTS[:2])
    columns = whole.found_in(np.array([0, 1]))
    assert whole.vocabulary.only(columns) == alone.vocabulary
    np.testing.assert_array_equal(whole.counts[[0, 1]][:, columns].toarray(), alone.counts.toarray())


def test_texts_without_a_letter_have_no_n_grams():
    found = NGramCounts.of(["", " \n"])
    assert (len(found.vocabulary), found.counts.shape) == (0, (2, 0))
    assert found.vocabulary.counts(["a"]).shape == (1, 0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_vocabulary_comes_back_from_its_bytes(texts):
    vocabulary = NGramCounts.of(texts).vocabulary
    assert NGramVocabulary.from_arrays(vocabulary.to_arrays()) == vocabulary


def test_lone_surrogates_come_back_too():
    vocabulary = NGramCounts.of(["\udc80 x"]).vocabulary
    assert NGramVocabulary.from_arrays(vocabulary.to_arrays()) == vocabulary
