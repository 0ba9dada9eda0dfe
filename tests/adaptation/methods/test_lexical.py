"""n-grams and linear classifiers: the same numbers as scikit-learn's own steps, kept without a model, and never the model."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lexframe.adaptation import Adapter, EncodedTexts, Problem, adapt, compare, load_adapter, make_methods, require_savable
from lexframe.adaptation.draws import Draws, part_of_table
from lexframe.adaptation.methods.lexical import LexicalNBMethod, Tfidf
from lexframe.exceptions import InputError
from lexframe.spaces import ToySpace
from tests.planted import planted_space, planted_table

TEXTS = ("the cat sat", "a cat", "dogs bark", "a dog barked", "no cats", "the dog", "birds!", "?!")
LABELS = ("cat", "dog", "other")
METHODS = pytest.mark.parametrize("method", [Tfidf, LexicalNBMethod])


def problem(texts, rows, y, labels=LABELS):
    encoded = EncodedTexts(ToySpace({"cat": [1.0, 0.0]}), texts)
    return Problem(encoded, labels, {label: [label] for label in labels}, np.array(rows), np.array(y))


def test_it_is_tfidf_of_the_labeled_texts_with_logistic_regression():
    rows, y = [0, 1, 2, 3, 6, 7], [0, 0, 1, 1, 2, 2]
    texts = [TEXTS[row] for row in rows]
    parts = [
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]", sublinear_tf=True).fit(texts),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True).fit(texts),
    ]
    columns = scipy.sparse.hstack([part.transform(texts) for part in parts])
    fitted = Tfidf().fit(problem(TEXTS, rows, y))
    oracle = LogisticRegression(C=fitted.choices["strength"], max_iter=1000).fit(columns, y)
    expected = oracle.predict_proba(scipy.sparse.hstack([part.transform([TEXTS[4], TEXTS[5]]) for part in parts]))
    found = fitted.predict_proba(np.array([4, 5]))
    np.testing.assert_allclose(found, expected, atol=0.01)  # the solver stops earlier
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert fitted.n_parameters == 3 * (columns.shape[1] + 1)
    assert fitted.predict_proba(np.zeros(0, dtype=int)).shape == (0, 3)


@METHODS
def test_texts_that_are_not_labeled_change_nothing(method):
    rows, y = [0, 1, 2, 3], [0, 0, 1, 1]
    alone = method().fit(problem(TEXTS[:4], rows, y))
    among = method().fit(problem((*TEXTS[:4], "cat dog bird " * 9, "zzz"), rows, y))
    np.testing.assert_array_equal(alone.predict_proba(np.arange(4)), among.predict_proba(np.arange(4)))
    assert alone.n_parameters == among.n_parameters


@METHODS
def test_a_label_that_training_lacks_has_no_probability(method):
    found = method().fit(problem(TEXTS, [0, 2], [0, 1])).predict_proba(np.arange(8))
    assert not found[:, 2].any()
    np.testing.assert_allclose(found.sum(axis=1), 1)


@METHODS
@pytest.mark.parametrize("texts", [(" ", "\n", "\t"), ("", "", "")])
def test_texts_without_a_letter_leave_the_shares_of_the_labels(method, texts):
    found = method().fit(problem(texts, [0, 1, 2], [0, 0, 1])).predict_proba(np.arange(3))
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3, 0]] * 3)


@METHODS
@pytest.mark.parametrize(
    "texts", [("!", "?", ".", "!"), ("猫が好き", "犬が好き", "猫", "犬"), ("a", "b", "c", "a"), ("😀", "😢", "😢", "😀")]
)
def test_marks_single_letters_and_other_scripts_are_read(method, texts):
    rows = np.arange(3)
    predicted = method().fit(problem(texts, rows, [0, 1, 2])).predict_proba(rows).argmax(axis=1)
    assert predicted[:2].tolist() == [0, 1]


@METHODS
def test_a_class_a_text_gives_no_warning(method):  # warnings are errors here
    texts = tuple(f"word{number} here" for number in range(30))
    labels = tuple(f"{number:02}" for number in range(30))
    fitted = method().fit(problem(texts, np.arange(30), np.arange(30), labels))
    assert (fitted.predict_proba(np.arange(30)).argmax(axis=1) == np.arange(30)).all()


def test_others_are_held_against_them_and_none_is_chosen_beside_a_model():
    for method in make_methods("tfidf,lexical-nb"):
        assert (method.control, method.savable, method.is_quick, method.learns) == (True, True, True, True)
    result, adapter = adapt(planted_space(2), planted_table(40, 0), planted_table(30, 1), methods="n-grams,lda")
    assert result.methods["tfidf"].accuracy.value == 1 > result.methods["lda"].accuracy.value
    assert (result.best_control, result.chosen) == ("tfidf", "lda")
    assert "n-grams are enough here: use them (tfidf is better by" in result.summary()
    assert result.over_ngrams.value < 0
    assert adapter.space is not None
    require_savable(make_methods("n-grams,lda"))


def test_the_earlier_name_is_the_method():
    assert [method.name for method in make_methods("n-grams")] == ["tfidf"]


@pytest.mark.parametrize("name", ["tfidf", "lexical-nb"])
def test_an_adapter_of_n_grams_needs_no_model(name, tmp_path):
    test = planted_table(30, 1)
    result, adapter = adapt(planted_space(), planted_table(12, 0), test, methods=name)
    assert result.chosen == name
    assert adapter.space is None
    assert "enough" not in result.summary()  # nothing else was tried
    adapter.save(tmp_path)
    loaded = load_adapter(tmp_path)
    assert (loaded.space, loaded.predict([]).labels) == (None, ())
    found = loaded.predict(test.texts)
    np.testing.assert_allclose(found.probabilities, result.methods[name].probabilities, atol=1e-6)
    np.testing.assert_array_equal(found.probabilities, adapter.predict(test.texts).probabilities)
    assert found.provenance.space is None
    with pytest.raises(InputError, match=r"reads texts and needs no model\. Leave the model out"):
        load_adapter(tmp_path, model="gpt2")


def test_models_share_the_cells_of_n_grams(monkeypatch):
    fits = []
    monkeypatch.setattr(Tfidf, "fit", lambda self, problem, fit=Tfidf.fit: fits.append(1) or fit(self, problem))
    spaces = {"a": planted_space(2), "b": planted_space(4)}
    result = compare(spaces, planted_table(8, 0), planted_table(10, 1), methods="tfidf,lda", draws=Draws((2, "all"), (0, 1)))
    assert len(fits) == 3  # two draws of two labels, one of all
    assert [cell.model for cell in result.cells if cell.method == "tfidf"] == ["a"] * 3 + ["b"] * 3


def test_the_space_of_tfidf_learns_from_training_texts_alone_and_lies_in_the_adapter(tmp_path):
    train, test = planted_table(20, 0), planted_table(30, 1)
    result, adapter = adapt("tfidf", train, test, methods="lda")
    again, _ = adapt("tfidf", train, part_of_table(test, 30), methods="lda")
    assert again.provenance.space == result.provenance.space  # other test texts, the same space
    assert adapter.space.is_fitted
    adapter.save(tmp_path)
    loaded = load_adapter(tmp_path)
    np.testing.assert_array_equal(loaded.predict(test.texts).probabilities, adapter.predict(test.texts).probabilities)
    np.testing.assert_allclose(loaded.predict(test.texts).probabilities, result.methods["lda"].probabilities, atol=1e-5)
    assert Adapter.load(tmp_path).space.fingerprint.digest == loaded.space.fingerprint.digest


def test_a_comparison_keeps_the_points_of_its_training_texts(tmp_path):
    def run():
        return compare(
            ["tfidf"], planted_table(8, 0), planted_table(10, 1), methods="lda,posterior", draws=Draws((0, 2), (0,)), folder=tmp_path
        )

    assert run().to_frame().equals(run().to_frame())
    assert len(list(tmp_path.glob("points-*"))) == 1
