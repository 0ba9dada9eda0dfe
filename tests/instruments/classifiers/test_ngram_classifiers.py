"""Classifiers of n-grams: naive Bayes ratios by hand, penalties by held-out loss, folders, and what cannot be fitted."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from lexframe.exceptions import InputError
from lexframe.instruments import LexicalNB, TfidfClassifier, load_instrument
from lexframe.instruments.classifiers.ngram_classifiers import log_ratio
from lexframe.ngrams import tfidf

EACH = pytest.mark.parametrize("estimator", [TfidfClassifier(), LexicalNB()], ids=["tfidf", "lexical-nb"])


def planted(n, seed, labels=("cold", "hot", "wet"), share=0.9):
    """Texts with a word of their class among noise, for a share of them."""
    rng = np.random.default_rng(seed)
    y = np.array(labels)[np.arange(n) % len(labels)]
    noise = rng.choice([f"noise{number}" for number in range(30)], size=(n, 6))
    said = np.where(rng.random(n) < share, y, rng.choice(labels, n))
    return [" ".join([*words, f"{word}ish"]) for words, word in zip(noise, said, strict=True)], y


@EACH
def test_the_word_of_a_class_is_found(estimator):
    fitted = clone(estimator).fit(*planted(150, 0))
    texts, y = planted(150, 1, share=1.0)
    assert (fitted.predict(texts) == y).mean() > 0.95
    probabilities = fitted.predict_proba(texts)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == fitted.predict(texts)).all()


@EACH
def test_labels_without_a_word_leave_guessing(estimator):
    rng = np.random.default_rng(0)
    texts, y = planted(300, 0)
    fitted = clone(estimator).fit(texts, rng.permutation(y))
    others, truth = planted(300, 1)
    assert (fitted.predict(others) == truth).mean() < 0.45
    assert fitted.strength_ == min(fitted.strengths)  # held-out loss says that nothing is to be learnt
    assert fitted.predict_proba(others).max() < 0.6


@EACH
def test_two_classes_are_one_regression(estimator):
    texts, y = planted(60, 0, ("cold", "hot"))
    fitted = clone(estimator).fit(texts, y)
    np.testing.assert_allclose(fitted.coef_[0], -fitted.coef_[1])
    turned = clone(estimator).fit(texts, np.where(y == "hot", "a", "b"))  # the other way around
    np.testing.assert_allclose(fitted.predict_proba(texts), turned.predict_proba(texts)[:, ::-1], atol=0.01)


@EACH
def test_it_comes_back_from_its_folder(estimator, tmp_path):
    texts, y = planted(60, 0)
    fitted = clone(estimator).fit(texts, y)
    fitted.save(tmp_path)
    loaded = load_instrument(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(["a cold day", "", "猫"]), fitted.predict_proba(["a cold day", "", "猫"]))
    assert (loaded.strength_, loaded.get_params()) == (fitted.strength_, fitted.get_params())


@EACH
def test_what_it_cannot_be_fitted_on(estimator):
    with pytest.raises(InputError, match="2 texts and 3 classes"):
        clone(estimator).fit(["a", "b"], ["x", "y", "x"])
    with pytest.raises(InputError, match="0 texts and 0 classes"):
        clone(estimator).fit([], [])
    with pytest.raises(NotFittedError):
        clone(estimator).predict(["a"])
    assert clone(estimator).fit(["a", "b"], ["x", "x"]).predict_proba(["a", "zz"]).tolist() == [[1.0], [1.0]]


@EACH
def test_the_same_fit_gives_the_same_bits(estimator):
    texts, y = planted(90, 0)
    np.testing.assert_array_equal(clone(estimator).fit(texts, y).coef_, clone(estimator).fit(texts, y).coef_)


def test_ratios_by_hand():
    # One more than counted: 4 and 1 of 5 inside, 2 and 2 of 4 outside.
    found = log_ratio(np.array([3.0, 0.0]), np.array([1.0, 1.0]), 1.0)
    np.testing.assert_allclose(found, [np.log((4 / 5) / (2 / 4)), np.log((1 / 5) / (2 / 4))])


def test_naive_bayes_weights_are_the_features_of_the_regression():
    texts, y = planted(80, 0, ("cold", "hot"))
    fitted = LexicalNB(strengths=(1.0,)).fit(texts, y)
    present = (fitted.vocabulary_.counts(texts).toarray() > 0).astype(float)
    inside = y == "cold"
    ratio = np.log((1 + present[inside].sum(0)) / (1 + present[inside].sum(0)).sum())
    ratio -= np.log((1 + present[~inside].sum(0)) / (1 + present[~inside].sum(0)).sum())
    oracle = LogisticRegression(C=1.0, solver="liblinear", tol=1e-6, max_iter=5000).fit(present * ratio, inside)
    np.testing.assert_allclose(fitted.predict_proba(texts)[:, 0], oracle.predict_proba(present * ratio)[:, 1], atol=0.02)


def test_how_often_an_n_gram_stands_in_a_text_makes_no_difference_to_naive_bayes():
    fitted = LexicalNB().fit(*planted(60, 0))
    once, twice = fitted.vocabulary_.counts(["coldish"]), fitted.vocabulary_.counts(["coldish"])
    twice.data = twice.data * 2
    np.testing.assert_array_equal(fitted.counts_proba(once), fitted.counts_proba(twice))


def test_the_fit_of_many_n_grams_is_at_its_minimum():
    texts, y = planted(240, 0)
    fitted = TfidfClassifier(strengths=(10.0,)).fit(texts, y)
    features = tfidf(fitted.vocabulary_.counts(texts), fitted.rarity_, len(fitted.vocabulary_.words))
    oracle = LogisticRegression(C=10.0, max_iter=5000, tol=1e-9).fit(features, y)
    others = tfidf(fitted.vocabulary_.counts(planted(60, 1)[0]), fitted.rarity_, len(fitted.vocabulary_.words))
    np.testing.assert_allclose(fitted.counts_proba(fitted.vocabulary_.counts(planted(60, 1)[0])), oracle.predict_proba(others), atol=0.02)


def test_penalties_are_tried_on_rows_with_the_same_products():
    texts, y = planted(90, 0)
    fitted = TfidfClassifier().fit([*texts, *texts[:5]], [*y, *y[:5]])  # some stand twice
    counts = fitted.vocabulary_.counts(texts)
    features, rows = fitted._features(counts), fitted._rows(counts)
    assert rows.shape == (90, 90)
    np.testing.assert_allclose(rows @ rows.T, (features @ features.T).toarray(), atol=1e-4)


def test_many_texts_of_the_same_few_words_have_a_root_too():
    rng = np.random.default_rng(0)
    words = [first + rest for first in "blmr" for rest in ("ade", "int", "ow", "und")]
    texts = [" ".join(rng.choice(words, 9)) for _ in range(400)]
    y = rng.integers(2, size=400)
    assert np.isfinite(TfidfClassifier().fit(texts, y).predict_proba(texts)).all()
