"""Intervals against the normal theory that they must agree with, and where there is nothing to draw."""

import itertools

import numpy as np
import pytest
import scipy.stats

from lexframe.exceptions import DataError
from lexframe.intervals import (
    Estimate,
    estimates,
    mean_estimate,
    mean_over_draws,
    mean_over_items,
    mean_over_seeds,
    mean_over_sets,
    product_estimates,
    ratio_estimate,
    ratio_over_items,
    resampled_sums,
    share_over_draws,
    share_over_items,
    t_interval,
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


def share_that_covers(make, truth, n_trials):
    """How often the intervals that `make` draws hold the truth."""
    found = [make() for _ in range(n_trials)]
    return np.mean([each.low <= truth <= each.high for each in found])


@pytest.mark.parametrize(("n", "bootstrap"), [(2, 0.50), (3, 0.74), (7, 0.87)])
def test_student_covers_what_it_says_at_few_sets_and_the_bootstrap_does_not(rng, n, bootstrap):
    assert share_that_covers(lambda: t_interval(rng.normal(1.0, 2.0, n)), 1.0, 1000) == pytest.approx(0.95, abs=0.022)
    assert share_that_covers(lambda: t_interval(rng.normal(1.0, 2.0, n), level=0.5), 1.0, 400) == pytest.approx(0.5, abs=0.08)
    drawn = share_that_covers(lambda: mean_estimate(rng.normal(1.0, 2.0, n), n_resamples=100), 1.0, 200)  # the control
    assert drawn == pytest.approx(bootstrap, abs=0.1)


def test_the_interval_of_student_is_scipys(rng):
    values = rng.normal(3, 2, 6)
    found = t_interval(values, unit="runs")
    theirs = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.value, found.unit, found.n_units, found.over) == (pytest.approx(values.mean()), "runs", 6, "6 runs")
    assert t_interval([1.0, 2.0, 6.0]) == t_interval(np.array([1.0, 2.0, 6.0]))


def test_one_set_leaves_no_interval_and_none_is_refused():
    found = t_interval([2.0])
    assert (found.value, found.interval, found.over) == (2.0, None, "1 sets")
    with pytest.raises(DataError, match="mean over seeds needs a number for each"):
        t_interval([], unit="seeds")


def test_texts_of_one_set_are_no_units_of_their_own(rng):
    """Four sets of a hundred texts that differ by set: over texts the interval would cover a third of the time."""
    set_of = np.repeat(list("abcd"), 100)

    def values():
        return np.repeat(rng.normal(0.0, 1.0, 4), 100) + rng.normal(0.0, 1.0, 400)

    assert share_that_covers(lambda: mean_over_sets(values(), set_of), 0.0, 800) == pytest.approx(0.95, abs=0.025)
    assert share_that_covers(lambda: t_interval(values(), unit="texts"), 0.0, 300) < 0.5


def test_every_set_counts_the_same():
    found = mean_over_sets([0.0, 0.0, 0.0, 4.0], ["long", "long", "long", "short"])
    assert found == t_interval([0.0, 4.0])
    assert mean_over_sets([1.0, 3.0, 5.0], ["a", "a", "b"]) == t_interval([2.0, 5.0])
    assert found.over == "2 sets"
    with pytest.raises(DataError, match="4 values and 3 names of sets"):
        mean_over_sets([1.0] * 4, list("abc"))


@pytest.mark.parametrize(("of_seeds", "of_texts"), [(1.0, 1.0), (1.0, 0.0), (0.1, 1.0), (0.0, 0.0)])
def test_seeds_and_texts_are_both_inside_the_interval(rng, of_seeds, of_texts):
    def table():
        seeds, texts = rng.normal(0, of_seeds, (3, 1)), rng.normal(0, of_texts, (1, 40))
        return 5 + seeds + texts + rng.normal(0, 0.5, (3, 40))

    share = share_that_covers(lambda: mean_over_seeds(table()), 5.0, 800)
    assert share > 0.925
    assert share < 0.975 or not (of_seeds and of_texts)
    if of_seeds == 1.0:  # the control: seeds averaged first
        assert share_that_covers(lambda: t_interval(table().mean(axis=0), unit="texts"), 5.0, 300) < 0.6


def test_the_interval_over_seeds_is_one_of_student_where_texts_are_all_alike(rng):
    of_seeds = rng.normal(size=4)
    table = np.repeat(of_seeds[:, np.newaxis], 30, axis=1)
    found, plain = mean_over_seeds(table), t_interval(of_seeds, unit="seeds")
    assert (found.value, found.low, found.high) == pytest.approx((plain.value, plain.low, plain.high))
    turned = mean_over_seeds(table.T, units=("texts", "seeds"))
    assert (turned.low, turned.high, turned.over) == (pytest.approx(plain.low), pytest.approx(plain.high), "30 texts")
    assert mean_over_seeds(table[:1]).interval is None
    with pytest.raises(DataError, match="seeds and texts needs a number for each"):
        mean_over_seeds(np.empty((0, 3)))


def test_an_estimate_keeps_what_it_is_over():
    found = t_interval([1.0, 2.0, 3.0], unit="seeds")
    assert found.mapped(np.exp).over == "3 seeds"
    assert Estimate(1.0, 0.5, 2.0).over == ""
    assert Estimate(1.0, 0.5, 2.0) == Estimate(1.0, 0.5, 2.0, "sets", 7)


def test_a_mean_over_draws_draws_both_draws_and_items(rng):
    """Where draws are all alike it is the interval over items, and where items are all alike that over draws."""
    items = (rng.random(80) < 0.5).astype(float)
    alike = mean_over_draws(np.tile(items, (4, 1)))
    plain = mean_estimate(items)
    assert (alike.value, alike.low, alike.high) == pytest.approx((plain.value, plain.low, plain.high), abs=0.03)
    draws = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    found, over_draws = mean_over_draws(np.tile(draws[:, np.newaxis], (1, 50))), mean_estimate(draws)
    assert (found.low, found.high) == pytest.approx((over_draws.low, over_draws.high), abs=0.05)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"), [(1.0, 3, 0.2924, 1.0), (0.0, 3, 0.0, 0.7076), (1.0, 1, 0.025, 1.0), (0.0, 40, 0.0, 0.0881)]
)
def test_a_share_of_all_or_none_keeps_its_width(right, n, low, high):
    """Clopper and Pearson's ends, as their tables have them; a bootstrap would give none."""
    exact = scipy.stats.binomtest(int(right * n), n).proportion_ci(method="exact")
    for found in (share_over_items(np.full(n, right)), share_over_draws(np.full((5, n), right))):
        assert (found.value, found.low, found.high) == pytest.approx((right, low, high), abs=1e-4)
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_a_share_between_is_the_bootstrap(rng):
    values = (rng.random((3, 40)) < 0.7).astype(float)
    assert share_over_items(values[0], seed=4) == mean_over_items(values[0], seed=4)
    assert share_over_draws(values, seed=4) == mean_over_draws(values, seed=4)
