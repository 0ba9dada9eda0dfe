"""Intervals against the normal theory that they must agree with, and where there is nothing to draw."""

import numpy as np
import pytest

from lexframe.exceptions import DataError
from lexframe.intervals import Estimate, bootstrap_ratio, estimates, mean_estimate, ratio_estimate, resampled_sums


def test_bootstrap_of_a_mean_covers_as_the_normal_distribution_does(rng):
    values = rng.normal(size=400)
    low, high = bootstrap_ratio(values, np.ones(400))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.25 * half)
    assert bootstrap_ratio(values, np.ones(400)) == (low, high)
    assert bootstrap_ratio(values, np.ones(400), seed=1) != (low, high)
    assert bootstrap_ratio(3 * rng.random(9), np.ones(9)) != (3.0, 3.0)
    assert bootstrap_ratio(2 * np.arange(1.0, 9), np.arange(1.0, 9)) == (2, 2)
    assert bootstrap_ratio(np.ones(1), np.ones(1)) is None


def test_resampled_sums_are_sums_of_drawn_rows():
    table = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    sums = resampled_sums(table, n_resamples=200, seed=3)
    possible = {a + b + c for a in (1, 2, 4) for b in (1, 2, 4) for c in (1, 2, 4)}
    assert set(sums[:, 0]) <= possible
    assert len(set(sums[:, 0])) > 5
    np.testing.assert_allclose(sums[:, 1], 10 * sums[:, 0])
    assert np.array_equal(sums, resampled_sums(table, n_resamples=200, seed=3))


def test_the_interval_of_a_mean_is_that_of_the_normal_theory(rng):
    values = rng.normal(3, 2, size=2000)
    found = mean_estimate(values)
    error = values.std() / np.sqrt(len(values))
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx([values.mean() - 1.96 * error, values.mean() + 1.96 * error], abs=0.15 * error)


def test_the_interval_of_a_ratio_follows_its_parts(rng):
    counts = rng.integers(1, 20, size=500).astype(float)
    found = ratio_estimate(3 * counts, counts)
    assert (found.value, found.low, found.high) == pytest.approx((3, 3, 3))


def test_the_interval_of_a_ratio_is_that_of_the_delta_method(rng):
    counts = rng.integers(1, 20, size=3000).astype(float)
    totals = 2 * counts + rng.normal(0, 3, size=3000)
    found = ratio_estimate(totals, counts)
    error = (totals - found.value * counts).std() / counts.mean() / np.sqrt(3000)
    assert [found.low, found.high] == pytest.approx([found.value - 1.96 * error, found.value + 1.96 * error], abs=0.15 * error)


def test_several_statistics_share_their_draws_and_pass_over_what_is_undefined(rng):
    values = rng.normal(size=(100, 1))
    first, second = estimates(values, lambda sums: np.concatenate([sums, np.where(sums > 0, sums, np.nan)], axis=1))
    assert first == estimates(values, lambda sums: sums)[0]
    assert second.low > 0


def test_units_that_are_not_finite_make_the_interval_nan_and_warn_nobody():
    found = mean_estimate(np.array([1.0, np.nan, 3.0]))
    assert np.isnan([found.value, found.low, found.high]).all()


def test_one_text_leaves_no_interval():
    with pytest.raises(DataError, match="needs 2 units or more, such as texts; there is 1"):
        mean_estimate(np.ones(1))


def test_how_it_is_shown():
    found = Estimate(1.0, 0.5, 1.25)
    assert found.to_dict() == {"value": 1.0, "interval": [0.5, 1.25]}
    assert str(found) == "1.000 [0.500, 1.250]"
