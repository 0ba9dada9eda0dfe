"""The instruments over points keep scikit-learn's contract."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from lexframe.instruments import (
    ConceptDirection,
    LabelBases,
    LogisticProbe,
    NearestBasis,
    PosteriorCalibration,
    SemanticCalibration,
    ShrinkageLDA,
)

ESTIMATORS = [
    NearestBasis(),
    ShrinkageLDA(),
    LogisticProbe(n_folds=2, strengths=(0.01, 1.0)),
    SemanticCalibration(max_epochs=3),
    PosteriorCalibration(),
]
each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)


DIRECTIONS = [ConceptDirection(method=method) for method in ("mean_difference", "whitened", "pca", "probe")]


@parametrize_with_checks([*ESTIMATORS, *DIRECTIONS])
def test_scikit_learns_own_checks(estimator, check, without_type_checks):  # some pass nonsense on purpose
    check(estimator)


@pytest.fixture
def clusters(rng):
    y = np.repeat(["left", "right", "up"], 30)
    centers = {"left": [-3, 0, 0, 1], "right": [3, 0, 0, 1], "up": [0, 3, 0, 1]}
    return np.array([centers[label] for label in y]) + rng.normal(size=(90, 4)), y


@each
def test_cross_validation_in_a_pipeline(estimator, clusters):
    X, y = clusters
    assert cross_val_score(clone(estimator), X, y, cv=3).mean() > 0.85
    assert cross_val_score(make_pipeline(StandardScaler(), clone(estimator)), X, y, cv=3).mean() > 0.85


@each
def test_probabilities_add_up_and_agree_with_the_labels(estimator, clusters):
    X, y = clusters
    fitted = clone(estimator).fit(X, y)
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert probabilities.min() >= 0
    assert (fitted.classes_[probabilities.argmax(1)] == fitted.predict(X)).all()
    assert fitted.classes_.tolist() == ["left", "right", "up"]


@each
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_nothing_is_answered_before_fit(estimator, method):
    with pytest.raises(NotFittedError):
        getattr(clone(estimator), method)(np.zeros((1, 4)))


@each
def test_points_of_another_width_are_refused(estimator, clusters):
    fitted = clone(estimator).fit(*clusters)
    with pytest.raises(ValueError, match="expecting 4 features"):
        fitted.predict(np.zeros((1, 5)))


@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        (NearestBasis(), {"temperature": np.array([0.05, 0.5])}),
        (ShrinkageLDA(), {"shrinkage": ["auto", 0.5]}),
        (LogisticProbe(), {"strengths": [(0.01,), (1.0,)]}),
        (SemanticCalibration(), {"max_epochs": np.array([1, 3])}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_grid_search(estimator, grid, clusters):
    search = GridSearchCV(estimator, grid, cv=2).fit(*clusters)
    assert search.best_score_ > 0.85


def test_bases_survive_cloning_and_grid_search(clusters):
    X, y = clusters
    bases = LabelBases(("up", "right", "left"), np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [-1, 0, 0, 0]]), ((0,), (1,), (2,)))
    for estimator in (NearestBasis(bases), SemanticCalibration(bases, max_epochs=3)):
        copy = clone(estimator).fit(X, y)
        assert (copy.predict(X) == clone(estimator).fit(X, y).predict(X)).all()
        assert copy.score(X, y) > 0.8
        assert GridSearchCV(estimator, {"temperature": [0.05, 0.1]}, cv=2).fit(X, y).best_score_ > 0.8


def test_calibration_as_a_step_of_a_pipeline(clusters):
    X, y = clusters
    calibration = SemanticCalibration(max_epochs=3)
    assert make_pipeline(calibration, ShrinkageLDA()).fit(X, y).score(X, y) > 0.85
    assert calibration.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]
