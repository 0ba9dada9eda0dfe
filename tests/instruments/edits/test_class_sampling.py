"""Class Gaussians against a known mixture, scipy's densities, and scikit-learn's discriminant analyses."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis

from lexframe.exceptions import InputError
from lexframe.instruments.edits.class_sampling import ClassGaussians


def mixture(rng, n):
    """Two classes with covariances of their own."""
    factors = {"left": np.array([[1.0, 0.0], [0.8, 0.5]]), "right": np.array([[0.3, 0.0], [-0.2, 1.5]])}
    means = {"left": np.array([-2.0, 0.0]), "right": np.array([2.0, 1.0])}
    points = np.concatenate([means[label] + rng.normal(size=(n, 2)) @ factors[label].T for label in means])
    return points, ["left"] * n + ["right"] * n, means, {label: factor @ factor.T for label, factor in factors.items()}


def test_a_known_mixture_is_found_and_drawn_again(rng):
    points, labels, means, covariances = mixture(rng, 4000)
    fitted = ClassGaussians().fit(points, labels)
    for number, label in enumerate(fitted.classes_):
        np.testing.assert_allclose(fitted.means_[number], means[label], atol=0.1)
        np.testing.assert_allclose(fitted.covariances_[number], covariances[label], atol=0.12)
        drawn = fitted.sample(label, 20_000, seed=1)
        assert drawn.dtype == np.float32
        np.testing.assert_allclose(drawn.mean(axis=0), fitted.means_[number], atol=0.05)
        np.testing.assert_allclose(np.cov(drawn.T), fitted.covariances_[number], atol=0.07)
        assert (fitted.predict_proba(drawn).argmax(axis=1) == number).mean() > 0.95
    np.testing.assert_array_equal(fitted.sample("left", 5, seed=3), fitted.sample("left", 5, seed=3))
    assert (fitted.sample("left", 5, seed=3) != fitted.sample("left", 5, seed=4)).any()
    assert fitted.sample("left", 0).shape == (0, 2)


def test_densities_are_scipys(rng):
    points, labels, *_ = mixture(rng, 30)
    fitted = ClassGaussians().fit(points, labels)
    for number in range(2):
        expected = multivariate_normal(fitted.means_[number], fitted.covariances_[number]).logpdf(points)
        np.testing.assert_allclose(fitted.log_densities(points)[:, number], expected)
    np.testing.assert_allclose(fitted.predict_proba(points).sum(axis=1), 1)


def test_one_shared_covariance_is_linear_discriminant_analysis(rng):
    labels = rng.choice(["a", "b", "c"], p=[0.5, 0.3, 0.2], size=200).tolist()
    points = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)) + np.array([{"a": 0, "b": 1, "c": 2}[label] for label in labels])[:, None]
    ours = ClassGaussians(prior_count=float("inf"), shrinkage=0.0).fit(points, labels)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", store_covariance=True).fit(points, labels)
    np.testing.assert_allclose(ours.covariances_[1], theirs.covariance_, atol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(points), theirs.predict_proba(points), atol=1e-8)


def test_a_covariance_each_is_quadratic_discriminant_analysis(rng):
    points, labels, *_ = mixture(rng, 500)
    points, labels = points[:800], labels[:800]  # classes of unequal size
    ours = ClassGaussians(prior_count=0.0).fit(points, labels)
    theirs = QuadraticDiscriminantAnalysis(store_covariance=True).fit(points, labels)
    np.testing.assert_allclose(ours.covariances_, theirs.covariance_)
    np.testing.assert_allclose(ours.predict_proba(points), theirs.predict_proba(points), atol=1e-9)


def test_between_both_the_covariance_is_the_stated_mean(rng):
    points, labels, *_ = mixture(rng, 20)
    table, numbers = points, np.array([label == "right" for label in labels]).astype(int)
    means = np.stack([table[numbers == number].mean(axis=0) for number in (0, 1)])
    residuals = table - means[numbers]
    shared = ledoit_wolf(residuals, assume_centered=True)[0]
    fitted = ClassGaussians(prior_count=7.0).fit(points, labels)
    for number in (0, 1):
        own = np.cov(table[numbers == number].T, ddof=0)
        np.testing.assert_allclose(fitted.covariances_[number], (20 * own + 7 * shared) / 27)


def test_posterior_variances_are_added(rng):
    points, labels, *_ = mixture(rng, 200)
    variances = np.where(np.array(labels)[:, np.newaxis] == "left", [0.5, 2.0], [0.1, 0.3]) * rng.uniform(0.9, 1.1, size=(400, 1))
    without = ClassGaussians(prior_count=0.0).fit(points, labels)
    fitted = ClassGaussians(prior_count=0.0).fit(points, labels, log_variances=np.log(variances))
    for number, label in enumerate(fitted.classes_):
        mean = variances[np.array(labels) == label].mean(axis=0)
        np.testing.assert_allclose(fitted.covariances_[number] - without.covariances_[number], np.diag(mean), atol=1e-12)


def test_classes_of_few_texts_in_many_dimensions(rng):
    points = rng.normal(size=(66, 32))
    points[60:, 0] += 12
    labels = ["many"] * 60 + ["few"] * 6
    fitted = ClassGaussians().fit(points, labels)
    assert np.linalg.cond(fitted.covariances_[0]) < 100
    drawn = fitted.sample("few", 500)
    assert (fitted.predict_proba(drawn).argmax(axis=1) == fitted.classes_.index("few")).mean() > 0.95
    two = ClassGaussians().fit(points[58:62], ["a", "a", "b", "b"])
    assert np.isfinite(two.sample("a", 10)).all()


def test_one_class_for_all(rng):
    points = rng.normal(size=(300, 3)) + 5
    fitted = ClassGaussians().fit(points, ["all"] * 300)
    assert fitted.predict_proba(points[:2]).tolist() == [[1.0], [1.0]]
    np.testing.assert_allclose(fitted.sample("all", 5000).mean(axis=0), points.mean(axis=0), atol=0.1)


def test_bad_input(rng, without_type_checks):
    points, labels, *_ = mixture(rng, 10)
    fitted = ClassGaussians().fit(points, labels)
    with pytest.raises(InputError, match="'up' is no class here; the classes are 'left', 'right'"):
        fitted.sample("up", 3)
    with pytest.raises(InputError, match="n is -1"):
        fitted.sample("left", -1)
    with pytest.raises(InputError, match="3 dimensions, but 2"):
        fitted.predict_proba(np.ones((4, 3)))
    with pytest.raises(InputError, match="not finite"):
        fitted.predict_proba(np.full((1, 2), np.nan))
    with pytest.raises(InputError, match="'right' has one text"):
        ClassGaussians().fit(points[:11], labels[:11])
    with pytest.raises(InputError, match="but 3 labels"):
        ClassGaussians().fit(points, labels[:3])
    with pytest.raises(InputError, match="log_variances of 3 texts"):
        ClassGaussians().fit(points, labels, log_variances=np.zeros((3, 2)))
    with pytest.raises(InputError, match="log_variances has 5 dimensions"):
        ClassGaussians().fit(points, labels, log_variances=np.zeros((20, 5)))
    with pytest.raises(InputError, match=r"'left' .* is singular"):
        ClassGaussians(prior_count=0.0).fit(points * [1, 0], labels)
    for all_equal in (ClassGaussians(), ClassGaussians(shrinkage=0.5)):
        with pytest.raises(InputError, match="is singular"):
            all_equal.fit(np.ones((4, 2)), [0, 0, 1, 1])
    for options in ({"prior_count": -1.0}, {"prior_count": float("nan")}, {"shrinkage": 1.5}, {"shrinkage": "most"}):
        with pytest.raises(InputError, match=next(iter(options))):
            ClassGaussians(**options)
