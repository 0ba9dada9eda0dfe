"""n-grams and logistic regression: the same numbers as scikit-learn's own steps, and never the model."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lexframe.adaptation import EncodedTexts, Problem, adapt, make_methods, require_savable
from lexframe.adaptation.methods.ngrams import NGrams
from lexframe.exceptions import InputError
from lexframe.spaces import ToySpace
from tests.planted import planted_space, planted_table

TEXTS = ("the cat sat", "a cat", "dogs bark", "a dog barked", "no cats", "the dog", "birds!", "?!")
LABELS = ("cat", "dog", "other")


def problem(texts, rows, y, labels=LABELS):
    encoded = EncodedTexts(ToySpace({"cat": [1.0, 0.0]}), texts)
    return Problem(encoded, labels, {label: [label] for label in labels}, np.array(rows), np.array(y))


def test_it_is_tfidf_of_words_and_characters_with_logistic_regression():
    rows, y = [0, 1, 2, 3, 6, 7], [0, 0, 1, 1, 2, 2]
    texts = [TEXTS[row] for row in rows]
    parts = [
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]", sublinear_tf=True).fit(texts),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True).fit(texts),
    ]
    columns = scipy.sparse.hstack([part.transform(texts) for part in parts])
    oracle = LogisticRegression(C=10, max_iter=1000).fit(columns, y)
    expected = oracle.predict_proba(scipy.sparse.hstack([part.transform([TEXTS[4], TEXTS[5]]) for part in parts]))
    fitted = NGrams().fit(problem(TEXTS, rows, y))
    found = fitted.predict_proba(np.array([4, 5]))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert fitted.n_parameters == 3 * (columns.shape[1] + 1)
    assert fitted.predict_proba(np.zeros(0, dtype=int)).shape == (0, 3)


def test_a_label_that_training_lacks_has_no_probability():
    found = NGrams().fit(problem(TEXTS, [0, 2], [0, 1])).predict_proba(np.arange(8))
    assert not found[:, 2].any()
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("texts", [(" ", "\n", "\t"), ("", "", "")])
def test_texts_without_a_letter_leave_the_shares_of_the_labels(texts):
    found = NGrams().fit(problem(texts, [0, 1, 2], [0, 0, 1])).predict_proba(np.arange(3))
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3, 0]] * 3)


@pytest.mark.parametrize(
    "texts", [("!", "?", ".", "!"), ("猫が好き", "犬が好き", "猫", "犬"), ("a", "b", "c", "a"), ("😀", "😢", "😢", "😀")]
)
def test_marks_single_letters_and_other_scripts_are_read(texts):
    rows = np.arange(3)
    predicted = NGrams().fit(problem(texts, rows, [0, 1, 2])).predict_proba(rows).argmax(axis=1)
    assert predicted[:2].tolist() == [0, 1]


def test_a_class_a_text_gives_no_warning():  # warnings are errors here
    texts = tuple(f"word{number} here" for number in range(30))
    labels = tuple(f"{number:02}" for number in range(30))
    fitted = NGrams().fit(problem(texts, np.arange(30), np.arange(30), labels))
    assert (fitted.predict_proba(np.arange(30)).argmax(axis=1) == np.arange(30)).all()


def test_others_are_held_against_it_and_it_is_never_saved():
    method = make_methods("n-grams")[0]
    assert (method.control, method.savable, method.is_quick, method.learns) == (True, False, True, True)
    result, adapter = adapt(planted_space(2), planted_table(40, 0), planted_table(30, 1), methods="n-grams,lda")
    assert result.methods["n-grams"].accuracy.value == 1 > result.methods["lda"].accuracy.value
    assert result.best_control == "n-grams"
    assert result.chosen == "lda"
    assert adapter is not None
    require_savable(make_methods("n-grams,lda"))
    alone, nothing = adapt(planted_space(), planted_table(12, 0), methods="n-grams")
    assert (alone.chosen, nothing) == ("n-grams", None)
    with pytest.raises(InputError, match="cannot be saved of n-grams"):
        require_savable(make_methods("zero-shot,n-grams"))
