"""The controls equal scikit-learn's own models on standardised points."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from lexframe.instruments import LogisticProbe, ShrinkageLDA


def planted(rng, *, n_classes, n=150, n_dims=6, distance=1.5):
    y = rng.integers(n_classes, size=n)
    scales = np.geomspace(0.01, 100, n_dims)  # standardisation matters
    return (distance * rng.normal(size=(n_classes, n_dims))[y] + rng.normal(size=(n, n_dims))) * scales + 3 * scales, np.array(
        list("abcde")
    )[y]


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("shrinkage", ["auto", 0.3])
def test_equal_to_scikit_learns_discriminant_analysis(rng, n_classes, shrinkage):
    X, y = planted(rng, n_classes=n_classes)
    scaler = StandardScaler().fit(X)
    expected = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(scaler.transform(X), y)
    model = ShrinkageLDA(shrinkage).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(scaler.transform(X)), atol=1e-6)
    margins, wanted = model.decision_function(X), expected.decision_function(scaler.transform(X))
    if n_classes > 2:  # a softmax fixes logits only up to a shift a row
        margins, wanted = (values - values.mean(1, keepdims=True) for values in (margins, wanted))
    np.testing.assert_allclose(margins, wanted, atol=1e-6, rtol=1e-6)
    assert model.coef_.shape == (n_classes, 6)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_equal_to_scikit_learns_logistic_regression(rng, n_classes):
    X, y = planted(rng, n_classes=n_classes)
    scaler = StandardScaler().fit(X)
    expected = LogisticRegression(C=0.1, max_iter=2000, tol=1e-3).fit(scaler.transform(X), y)
    model = LogisticProbe(strengths=(0.1,)).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(scaler.transform(X)), atol=1e-6)
    exact = LogisticRegression(C=0.1, max_iter=10_000, tol=1e-10).fit(scaler.transform(X), y)
    np.testing.assert_allclose(model.predict_proba(X), exact.predict_proba(scaler.transform(X)), atol=5e-3)


def test_the_penalty_is_the_one_a_grid_search_by_log_loss_takes(rng):
    X, y = planted(rng, n_classes=3, n=90, distance=0.7)
    strengths = (0.001, 0.01, 0.1, 1.0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(LogisticRegression(max_iter=2000, tol=1e-3), {"C": strengths}, cv=folds, scoring="neg_log_loss")
    search.fit(StandardScaler().fit_transform(X), y)
    assert LogisticProbe(strengths=strengths).fit(X, y).strength_ == search.best_params_["C"]


def test_noise_takes_a_stronger_penalty_than_signal(rng):
    X, y = planted(rng, n_classes=2, distance=2.0)
    assert LogisticProbe().fit(X, rng.permutation(y)).strength_ < LogisticProbe().fit(X, y).strength_


def test_classes_of_one_member_leave_no_folds(rng):
    X, _ = planted(rng, n_classes=2, n=2)
    assert LogisticProbe(strengths=(0.01, 0.1, 1.0)).fit(X, ["a", "b"]).strength_ == 0.1


def test_one_member_of_a_rare_class_changes_no_choice(rng):
    """Labels that have nothing to do with the points want the strongest penalty, with and without one text of a third class."""
    X, y = rng.normal(size=(120, 20)), np.array(["a", "b"] * 60)
    settings = {"strengths": (1e-4, 0.1, 1.0)}
    assert LogisticProbe(**settings).fit(X, y).strength_ == 1e-4
    assert LogisticProbe(**settings).fit(np.vstack([X, rng.normal(size=20)]), np.append(y, "c")).strength_ == 1e-4


@pytest.mark.parametrize("model", [ShrinkageLDA(), LogisticProbe()], ids=lambda model: type(model).__name__)
class TestBoth:
    def test_one_class_is_refused_in_words(self, model, rng):
        with pytest.raises(ValueError, match=rf"{type(model).__name__} needs two classes or more, but y has 1 class: \['a'\]"):
            model.fit(rng.normal(size=(5, 2)), ["a"] * 5)

    def test_shuffled_labels_give_chance_and_real_ones_do_not(self, model, rng):
        X, y = planted(rng, n_classes=2, n=800, distance=1.0)
        half = slice(0, 400), slice(400, 800)
        assert model.fit(X[half[0]], y[half[0]]).score(X[half[1]], y[half[1]]) > 0.7
        shuffled = rng.permutation(y)
        score = model.fit(X[half[0]], shuffled[half[0]]).score(X[half[1]], shuffled[half[1]])
        assert abs(score - 0.5) < 4 * np.sqrt(0.25 / 400)

    def test_shift_and_scale_of_a_feature_change_nothing(self, model, rng):
        X, y = planted(rng, n_classes=3)
        moved = X * np.array([1, 10, 1e-3, 1e3, 1, 1]) + np.array([0, 5, -3, 100, 0, 0])
        np.testing.assert_allclose(model.fit(X, y).predict_proba(X), model.fit(moved, y).predict_proba(moved), atol=1e-6)

    def test_a_constant_feature_plays_no_part(self, model, rng):
        X, y = planted(rng, n_classes=3)
        wider = np.hstack([X, np.full((len(X), 1), 7.7)])
        probabilities = model.fit(wider, y).predict_proba(wider)
        assert np.isfinite(probabilities).all()
        assert (model.fit(wider, y).predict(wider) == model.fit(X, y).predict(X)).mean() > 0.98
