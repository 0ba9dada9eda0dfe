"""Gaps between dimensions where the answer is known, and information against scikit-learn."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.disentanglement import discrete_information, disentanglement, equal_width_bins, mean_sharpness


def two_factors(n=4000, seed=0):
    """Two independent factors of four values, and a point whose axes they are but for a little noise."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, size=(n, 2))
    points = values - 1.5 + rng.normal(0, 0.03, size=(n, 2))
    return points, {"first": values[:, 0], "second": values[:, 1]}


def test_axes_that_are_factors():
    points, factors = two_factors()
    found = disentanglement(points, factors)
    assert found.gap > 0.95
    assert found.best_dimensions == (0, 1)
    assert min(found.disentanglement, found.completeness) > 0.9
    np.testing.assert_allclose(found.information, np.eye(2), atol=0.02)
    assert found.gap == pytest.approx(np.mean(found.gaps))
    assert found.n_texts == 4000


def test_a_rotation_hides_the_factors_from_single_dimensions():
    points, factors = two_factors()
    turned = disentanglement(points @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2), factors)
    assert turned.gap < 0.05
    assert max(turned.disentanglement, turned.completeness) < 0.1


def test_one_factor_in_two_dimensions_is_not_complete():
    points, factors = two_factors()
    found = disentanglement(np.column_stack([points[:, 0], points[:, 0], points[:, 1]]), factors)
    assert found.gaps[0] == pytest.approx(0, abs=0.01)
    assert found.gaps[1] > 0.95
    assert found.disentanglement > 0.9  # each dimension is still about one factor
    assert found.completeness == pytest.approx(0.5 * (1 - np.log(2) / np.log(3)) + 0.5, abs=0.03)


def test_a_numeric_factor_is_binned():
    z = np.random.default_rng(0).uniform(size=(5000, 2))
    found = disentanglement(z, {"amount": 3 * z[:, 1] - 1})
    assert found.gap > 0.95
    assert found.best_dimensions == (1,)


def test_unused_and_single_dimensions():
    points, factors = two_factors()
    with_unused = disentanglement(np.column_stack([points, np.zeros(len(points))]), factors)
    np.testing.assert_allclose(with_unused.information[2], 0, atol=1e-12)
    assert with_unused.gap > 0.95
    alone = disentanglement(points[:, :1], {"first": factors["first"]})
    assert alone.gap == pytest.approx(alone.information[0, 0])
    nothing = disentanglement(np.zeros((10, 2)), {"x": [0, 1] * 5})
    assert (nothing.gap, nothing.completeness) == (0, pytest.approx(0))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=60))
def test_information_against_scikit_learn(pairs):
    left, right = np.array(pairs).T
    assert discrete_information(left.copy(), right.copy()) == pytest.approx(max(mutual_info_score(left, right), 0), abs=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.integers(2, 20))
def test_bins_keep_the_order_and_the_range(values, n_bins):
    bins = equal_width_bins(np.array(values), n_bins)
    assert bins.min() >= 0
    assert bins.max() < n_bins
    assert (np.diff(bins[np.argsort(values)]) >= 0).all()


def test_bins_by_hand():
    assert equal_width_bins(np.array([0.0, 0.49, 0.51, 1.0]), 2).tolist() == [0, 0, 1, 1]
    assert equal_width_bins(np.full(3, 7.0), 5).tolist() == [0, 0, 0]
    assert equal_width_bins(np.array([0.0, 5e-324]), 20).tolist() == [0, 0]  # no width to divide by


def test_sharpness_by_hand():
    assert mean_sharpness(np.eye(3), weights=np.ones(3)) == pytest.approx(1)
    assert mean_sharpness(np.ones((2, 4)), weights=np.ones(2)) == pytest.approx(0)
    half = mean_sharpness(np.array([[1.0, 1, 0, 0], [5, 0, 0, 0]]), weights=np.array([3.0, 1.0]))
    assert half == pytest.approx((3 * 0.5 + 1) / 4)
    assert mean_sharpness(np.zeros((2, 2)), weights=np.zeros(2)) == 0
    assert mean_sharpness(np.ones((2, 1)), weights=np.ones(2)) == 1


def test_texts_without_a_factor_and_json():
    points, factors = two_factors(400)
    given = {"first": factors["first"].tolist(), "second": [value if row < 300 else None for row, value in enumerate(factors["second"])]}
    document = json.loads(json.dumps(disentanglement(points, given).to_dict()))
    assert document["n_texts"] == 300
    assert document["factors"] == ["first", "second"]


def test_bad_input():
    points = np.zeros((4, 2))
    with pytest.raises(InputError, match="n_bins is 1"):
        disentanglement(points, {"x": [0, 1, 0, 1]}, n_bins=1)
    with pytest.raises(InputError, match="0 texts have a value of every factor"):
        disentanglement(points, {"x": [0, 1, None, None], "y": [None, None, 0, 1]})
    with pytest.raises(InputError, match="'x' has one value in all texts that have every factor"):
        disentanglement(points, {"x": [0, 0, 0, 1], "y": [0, 1, 1, None]})
    with pytest.raises(DataError, match="different values"):
        disentanglement(points, {"x": [0, 0, 0, 0]})
