"""The best of many: equal methods stay equal, a worse one is called, and the figure is not too large."""

import numpy as np
import pytest
from scipy.stats import norm, t

from lexframe.best_of_many import cross_fitted_best, gaps_to_best


def right(seed, shares, *, n_draws=1, n_items=500, shared=0.0):
    """1 and 0 of methods that are right on those shares; `shared` of what makes a text hard is common to all."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(len(shares), n_draws, n_items))
    hard = np.sqrt(shared) * rng.normal(size=n_items) + np.sqrt(1 - shared) * own
    return (hard < norm.ppf(shares)[:, np.newaxis, np.newaxis]).astype(float)


def test_twelve_equal_methods_are_called_different_in_one_run_of_twenty_and_the_best_is_as_good_as_it_is():
    n_runs, called, honest, largest = 200, 0, [], []
    for seed in range(n_runs):
        tables = right(seed, np.full(12, 0.85))
        called += any(gap.low > 0 for gap in gaps_to_best(tables)[1])
        honest.append(cross_fitted_best(tables) - 0.85)
        largest.append(tables.mean(axis=(1, 2)).max() - 0.85)
    assert called <= 0.05 * n_runs + 3 * np.sqrt(0.05 * 0.95 * n_runs)
    assert np.mean(largest) > 0.02  # what is put right here
    assert abs(np.mean(honest)) < 0.005


@pytest.mark.parametrize(("n_items", "shared", "least"), [(2000, 0.0, 0.9), (500, 0.7, 0.5)])
def test_a_method_that_is_five_points_worse_is_called(n_items, shared, least):
    shares = np.array([0.80] + [0.85] * 11)
    called = [gaps_to_best(right(seed, shares, n_items=n_items, shared=shared))[1][0].low > 0 for seed in range(40)]
    assert np.mean(called) >= least


def test_two_methods_are_a_paired_t_test():
    tables = right(3, np.array([0.6, 0.7]), shared=0.3)
    best, gaps = gaps_to_best(tables)
    difference = (tables[1] - tables[0])[0]
    reach = t.ppf(0.975, 120) * difference.std(ddof=1) / np.sqrt(500)  # degrees of freedom are rounded down
    assert best == 1
    assert gaps[0].low == pytest.approx(difference.mean() - reach, rel=1e-3)
    assert (gaps[1].value, gaps[1].low) == (0, 0)


def test_draws_that_differ_widen_the_interval():
    rng = np.random.default_rng(0)
    shares = 0.7 + 0.1 * rng.normal(size=(2, 3, 1))
    apart = (rng.random((2, 3, 2000)) < shares).astype(float)
    alike = (rng.random((2, 3, 2000)) < np.array([0.6, 0.7])[:, np.newaxis, np.newaxis]).astype(float)
    widths = [max(gap.high - gap.low for gap in gaps_to_best(tables)[1]) for tables in (apart, alike)]
    assert widths[0] > 3 * widths[1]


def test_a_handful_of_texts_calls_nothing():
    _, gaps = gaps_to_best(np.stack([np.ones((1, 4)), np.zeros((1, 4))]))
    assert (gaps[1].value, gaps[1].interval) == (1, None)


def test_a_method_far_ahead_loses_nothing_and_one_alone_is_itself():
    tables = right(0, np.array([0.95, 0.5, 0.4]))
    assert cross_fitted_best(tables) == pytest.approx(tables[0].mean())
    assert cross_fitted_best(tables[1:2]) == tables[1].mean()
    several = right(0, np.array([0.95, 0.5]), n_draws=3)
    assert cross_fitted_best(several) == pytest.approx(several[0].mean())
