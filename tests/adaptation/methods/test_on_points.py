"""The choice of representation and estimator: on labels that were held out, for the smallest loss, whatever rare classes there are."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from lexframe.adaptation import EncodedTexts, Problem, make_methods
from lexframe.adaptation.adaptation import held_out_accuracy
from lexframe.adaptation.methods import on_points
from lexframe.adaptation.methods.on_points import cross_validated_log_loss, fit_on_points
from lexframe.exceptions import DataError
from lexframe.instruments.classifiers.linear_probe import LogisticProbe, ShrinkageLDA
from lexframe.linalg import folds_by_class
from lexframe.spaces import ToySpace

LABELS = ("a", "b", "c", "d")


class Blocks(EncodedTexts):
    """Texts with any blocks of points."""

    def __init__(self, *blocks):
        super().__init__(ToySpace({"word": [1.0, 0.0]}), [f"text {number}" for number in range(len(blocks[0]))])
        self.given = [block.astype(np.float32) for block in blocks]

    @property
    def block_names(self):
        return tuple(f"block {number}" for number in range(len(self.given)))

    def blocks(self):
        return self.given


class Memory(ClassifierMixin, BaseEstimator):
    """Sure of the label of the nearest point that it has seen: right on its own rows, and only there."""

    def fit(self, X, y):
        self.classes_, self.X_, self.y_ = np.unique(y), X, np.asarray(y)
        return self

    def predict_proba(self, X):
        nearest = ((X[:, None] - self.X_[None]) ** 2).sum(2).argmin(1)
        return np.where(self.y_[nearest][:, None] == self.classes_[None], 1.0, 0.0)


class NotANumber(Memory):
    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)


def problem_of(y, *blocks, n=None):
    rows = np.arange(len(y) if n is None else n)
    return Problem(Blocks(*blocks), LABELS, {label: [label] for label in LABELS}, rows, y[rows])


def planted(rng, y, spread=1.0):
    return np.eye(4)[y] * 3 + spread * rng.normal(size=(len(y), 4))


def no_parameters(estimator):
    return 0


def test_the_representation_with_the_smallest_loss_is_taken(rng):
    y = np.arange(80) % 4
    noise = [rng.normal(size=(80, 4)) for _ in range(3)]
    fitted = fit_on_points(problem_of(y, noise[0], noise[1], planted(rng, y), noise[2]), {"lda": ShrinkageLDA}, no_parameters)
    assert fitted.choices == {"representation": "block 2"}
    assert fitted.block == 2
    assert np.mean(fitted.predict_proba(np.arange(80)).argmax(1) == y) > 0.9


def test_what_only_remembers_its_own_rows_is_not_chosen(rng):
    y = np.arange(120) % 4
    problem = problem_of(y, planted(rng, y, spread=2.0))
    assert fit_on_points(problem, {"memory": Memory, "lda": ShrinkageLDA}, no_parameters).choices["estimator"] == "lda"


def test_every_row_is_judged_by_an_estimator_that_has_not_seen_it(rng):
    y = np.arange(30) % 3
    X = np.arange(30.0)[:, None]
    seen = []

    class Recorder(Memory):
        def predict_proba(self, X):
            seen.append((self.X_[:, 0].astype(int), X[:, 0].astype(int)))
            return np.tile([0.5, 0.3, 0.2], (len(X), 1))

    loss = cross_validated_log_loss(Recorder, X, y, folds_by_class(y, 4, seed=0))
    assert loss == pytest.approx(-np.log([0.5, 0.3, 0.2]).mean())
    assert np.array_equal(np.sort(np.concatenate([asked for _, asked in seen])), np.arange(30))
    assert not any(set(fitted) & set(asked) for fitted, asked in seen)


@pytest.mark.parametrize("method", ["lda", "logistic", "class-mean", "knn", "lda-all", "logistic-all", "posterior-without-prior"])
def test_one_label_of_a_rare_class_changes_no_choice(method, rng):
    y = np.append(np.arange(90) % 3, 3)
    problem = problem_of(y, rng.normal(size=(91, 4)), planted(rng, y))
    (made,) = make_methods(method)
    without = problem_of(y, *problem.encoded.blocks(), n=90)
    before, after = made.fit(without), made.fit(problem)
    weights = [made.choices.pop("weights", []) for made in (after, before)]
    assert after.choices == before.choices
    assert weights[0] == pytest.approx(weights[1], rel=0.15)
    assert held_out_accuracy(made, problem) == pytest.approx(held_out_accuracy(made, without), abs=0.05)
    assert held_out_accuracy(made, problem) > 0.7


def test_many_classes_are_chosen_for_too(rng, monkeypatch):
    """Four of each class where ten rows are looked at: three of each are."""
    monkeypatch.setattr(on_points, "MOST_ROWS_TO_CHOOSE", 10)
    y = np.arange(16) % 4
    fitted = fit_on_points(problem_of(y, rng.normal(size=(16, 4)), planted(rng, y, 0.3)), {"lda": ShrinkageLDA}, no_parameters)
    assert fitted.block == 1


def test_a_loss_that_is_no_number_never_wins(rng):
    y = np.arange(40) % 4
    problem = problem_of(y, planted(rng, y))
    assert fit_on_points(problem, {"broken": NotANumber, "lda": ShrinkageLDA}, no_parameters).choices["estimator"] == "lda"
    with pytest.raises(DataError, match="No representation gave finite probabilities"):
        fit_on_points(problem, {"broken": NotANumber, "too": NotANumber}, no_parameters)


def test_with_one_label_a_class_the_first_candidate_is_taken(rng):
    y = np.arange(4)
    fitted = fit_on_points(problem_of(y, rng.normal(size=(4, 4)), planted(rng, y)), {"memory": Memory}, no_parameters)
    assert fitted.block == 0


def test_all_representations_together_are_their_columns_side_by_side(rng):
    y = np.arange(60) % 4
    blocks = [rng.normal(size=(60, 4)), planted(rng, y)]
    problem = problem_of(y, *blocks)
    (method,) = make_methods("lda-all")
    fitted = method.fit(problem)
    expected = ShrinkageLDA().fit(np.concatenate(problem.encoded.blocks(), axis=1), problem.names())
    np.testing.assert_allclose(
        fitted.predict_proba(problem.rows), expected.predict_proba(np.concatenate(problem.encoded.blocks(), axis=1)), atol=1e-6
    )
    assert fitted.choices == {"representation": "all"}
    assert fitted.fitted().views[0].reading == problem.encoded.reading
    (logistic,) = make_methods("logistic-all")
    found = logistic.fit(problem)
    strength = float(found.choices["estimator"].removeprefix("strength "))
    oracle = LogisticProbe(strengths=(strength,)).fit(np.concatenate(problem.encoded.blocks(), axis=1), problem.names())
    np.testing.assert_allclose(
        found.predict_proba(problem.rows), oracle.predict_proba(np.concatenate(problem.encoded.blocks(), axis=1)), atol=1e-6
    )
