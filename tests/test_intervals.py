"""Intervals against the normal theory that they must agree with, and where there is nothing to draw."""

import itertools

import numpy as np
import pytest

from lexframe.exceptions import DataError
from lexframe.intervals import (
    Estimate,
    estimates,
    mean_estimate,
    product_estimates,
    ratio_estimate,
    ratio_over_items,
    resampled_sums,
)


def test_bootstrap_of_a_mean_covers_as_the_normal_distribution_does(rng):
    values = rng.normal(size=400)
    found = ratio_over_items(values, np.ones(400))
    half = 1.96 * values.std() / 20
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.25 * half)
    assert ratio_over_items(values, np.ones(400)) == found == mean_estimate(values)
    assert ratio_over_items(values, np.ones(400), seed=1) != found
    assert ratio_over_items(2 * np.arange(1.0, 9), np.arange(1.0, 9)) == Estimate(2.0, 2.0, 2.0)


def test_one_item_has_a_value_and_no_interval():
    found = ratio_over_items(np.array([3.0]), np.array([2.0]))
    assert found.value == 1.5
    assert found.interval is None
    assert found.to_dict() == {"value": 1.5, "interval": None}
    assert str(found) == "1.500"


def test_a_rising_function_maps_value_and_ends():
    assert Estimate(0.0, -1.0, 2.0).mapped(np.exp) == Estimate(1.0, float(np.exp(-1)), float(np.exp(2)))


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


def test_products_draw_their_units():
    """One odd pair of 20 spoils 38 of 380 questions: over questions the interval would look four times too sure."""
    pairs = np.array(list(itertools.permutations(range(20), 2)))
    values = np.array([float(0 not in pair) for pair in pairs])
    by_group, total = product_estimates(values, np.zeros(380, dtype=int), pairs)
    assert by_group == [total]
    assert total.value == pytest.approx(0.9)
    assert total.high - total.low > 0.2
    ones = product_estimates(np.ones(380), np.zeros(380, dtype=int), pairs)[1]
    assert ones == Estimate(1.0, 1.0, 1.0)
    single = product_estimates(np.array([1.0, 0.0]), np.array([0, 1]), np.array([[0, 1], [0, 1]]))
    assert single[1].value == 0.5


def test_the_interval_of_products_covers_the_truth():
    """Pairs are good or bad by a coin; a question is right if both of its pairs are good."""
    rng, covered = np.random.default_rng(0), 0
    pairs = np.array(list(itertools.permutations(range(25), 2)))
    for seed in range(60):
        good = rng.random(25) < 0.8
        _, found = product_estimates(good[pairs].all(axis=1).astype(float), np.zeros(600, dtype=int), pairs, n_resamples=200, seed=seed)
        covered += found.low <= 0.64 <= found.high
    assert covered >= 52
