"""Directions between two poles: planted ones are found, and what must not change them does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.instruments import ConceptDirection
from lexframe.instruments.directions.concept_direction import (
    DIRECTION_METHODS,
    concept_direction,
    mean_difference,
    principal_axis,
    whitened_difference,
)
from tests.reference.concept_direction import axis_of_all_pairs
from tests.strategies import COSTLY

each = pytest.mark.parametrize("method", DIRECTION_METHODS)


def unit(vector):
    return vector / np.linalg.norm(vector)


def planted(seed, *, n=60, n_dims=8, size=3.0):
    """Points base ± c·u with a spread base, and u."""
    rng = np.random.default_rng(seed)
    u = unit(rng.normal(size=n_dims))
    base = rng.normal(size=(2 * n, n_dims))
    return base[:n] + size / 2 * u, base[n:] - size / 2 * u, u


@each
@pytest.mark.parametrize("seed", range(2))
def test_a_planted_concept_is_found(method, seed):
    positive, negative, u = planted(seed, n=200)
    assert unit(concept_direction(positive, negative, method=method)) @ u > 0.95


def test_pairs_find_what_the_spread_of_their_base_hides(rng):
    u = unit(rng.normal(size=8))
    base = rng.normal(size=(40, 8)) * [30, 1, 1, 1, 1, 1, 1, 1]
    positive, negative = base + 2 * u + 0.1 * rng.normal(size=(40, 8)), base
    assert concept_direction(positive, negative, method="pca", paired=True) @ u > 0.99
    assert concept_direction(positive, negative[rng.permutation(40)], method="pca") @ u < 0.9


def test_differences_that_pairs_share_are_not_centred_away(rng):
    u = unit(rng.normal(size=8))
    negative = rng.normal(size=(30, 8))
    assert principal_axis(negative + u, negative, paired=True) @ u > 1 - 1e-9  # centered, these differences would all be zero


def test_the_axis_is_that_of_all_pairs(rng):
    positive, negative = rng.normal(size=(7, 5)) + 0.4, rng.normal(size=(9, 5))
    np.testing.assert_allclose(principal_axis(positive, negative), axis_of_all_pairs(positive, negative), atol=1e-9)


def test_whitening_reads_the_concept_alone(rng):
    """Concepts that vary independently share no direction once the covariance is divided out; the mean difference mixes them."""
    mixing = rng.normal(size=(4, 4))
    hidden = rng.normal(size=(4000, 4))
    y = np.repeat([1, -1], 2000)
    hidden[:, 0] = y  # the concept; the other three vary freely
    points = (hidden + [0.0] * 4) @ mixing.T + 1e-3 * rng.normal(size=(4000, 4))
    for find, most in ((whitened_difference, 0.02), (mean_difference, np.inf)):
        answers = find(points[:2000], points[2000:]) @ mixing  # to a unit of each concept
        assert np.abs(answers[1:]).max() / answers[0] < most
    mixed = mean_difference(points[:2000], points[2000:]) @ mixing
    assert np.abs(mixed[1:]).max() / mixed[0] > 0.2


@each
@COSTLY
@given(seed=st.integers(0, 50), factor=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_swapping_negates_shifting_and_scaling_leave_alone(method, seed, factor, shift):
    positive, negative, _ = planted(seed, n=12, n_dims=4)
    first = unit(concept_direction(positive, negative, method=method))
    tolerance = 5e-2 if method == "probe" else 1e-5  # the solver of the probe stops early
    np.testing.assert_allclose(unit(concept_direction(negative, positive, method=method)), -first, atol=tolerance)
    moved = concept_direction(factor * (positive + shift), factor * (negative + shift), method=method)
    np.testing.assert_allclose(unit(moved), first, atol=tolerance)


@each
def test_the_estimator_projects_on_the_direction(method):
    positive, negative, _ = planted(0)
    X, y = np.vstack([positive, negative]), np.repeat(["yes", "no"], len(positive))
    fitted = ConceptDirection(method=method).fit(X, y)
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert np.isclose(np.linalg.norm(fitted.direction_), 1)
    places = fitted.transform(X)
    assert places.shape == (120, 1)
    assert ((places[:, 0] > 0) == (y == "yes")).mean() > 0.85
    step = fitted.transform(X + 2 * fitted.direction_) - places
    np.testing.assert_allclose(step, 2)
    assert abs(places[:60].mean() + places[60:].mean()) < 1e-9
    assert fitted.get_feature_names_out().tolist() == ["conceptdirection0"]


def test_poles_without_spread_have_their_mean_difference():
    high, low = np.tile([1.0, 2.0], (3, 1)), np.zeros((3, 2))
    np.testing.assert_allclose(whitened_difference(high, low), [1, 2])


@pytest.mark.parametrize(
    ("positive", "negative", "options", "message"),
    [
        (np.ones((1, 2)), np.zeros((3, 2)), {}, "one sample or none"),
        (np.ones((3, 2)), np.zeros((0, 2)), {}, "The negative pole"),
        (np.ones((3, 2)), np.ones((3, 2)), {}, "same mean point"),
        (np.ones((3, 2)), np.zeros((4, 2)), {"paired": True, "method": "pca"}, "as many positive as negative"),
        (np.ones((3, 2)), np.zeros((3, 2)), {"method": "umap"}, "expected one of mean_difference"),
    ],
)
def test_what_gives_no_direction_is_refused(positive, negative, options, message):
    with pytest.raises(InputError, match=message):
        concept_direction(positive, negative, **options)


@pytest.mark.parametrize("n_classes", [1, 3])
def test_two_poles_are_needed(n_classes):
    with pytest.raises(InputError, match=f"{n_classes} class"):
        ConceptDirection().fit(np.arange(12.0).reshape(6, 2), np.arange(6) % n_classes)
