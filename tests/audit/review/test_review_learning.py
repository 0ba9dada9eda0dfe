"""What decisions teach: nothing where the probabilities hold, and the correction where they do not."""

import numpy as np
from scipy.optimize import minimize

from lexframe.audit.review.review_learning import CATEGORY_SPREAD, COMMON_SPREAD, PAIR_SPREAD, SLOPE_SPREAD, SUREST, corrected_probability


def items(rng, n=4_000, k=5, shift=0.0):
    odds = rng.normal(size=n) * 1.5
    given, suggested = rng.integers(0, k, n), rng.integers(0, k, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-(odds + shift * (given == 0))))
    return 1 / (1 + np.exp(-odds)), given, suggested, truth


def test_few_decisions_change_nothing(rng):
    probability, given, suggested, _ = items(rng)
    same = corrected_probability(probability, given, suggested, 5, np.arange(3), np.ones(3, bool))
    np.testing.assert_allclose(same, probability, atol=1e-8)


def test_probabilities_that_hold_stay(rng):
    probability, given, suggested, truth = items(rng)
    found = corrected_probability(probability, given, suggested, 5, np.arange(1_000), truth[:1_000])
    assert np.abs(found - probability).mean() < 0.05


def test_a_category_that_is_worse_than_thought_rises(rng):
    probability, given, suggested, truth = items(rng, shift=2.0)
    found = corrected_probability(probability, given, suggested, 5, np.arange(600), truth[:600])
    rest = np.arange(600, 4_000)
    hit = given[rest] == 0
    before, after = (abs(values[rest][hit].mean() - truth[rest][hit].mean()) for values in (probability, found))
    assert after < 0.75 * before
    assert np.abs(found - probability)[rest][~hit].mean() < 0.06


def test_it_is_the_most_probable_correction(rng):
    """One category and one pair for all: the objective written out, minimised without its gradient."""
    n = 400
    odds = np.clip(rng.normal(size=n), -SUREST, SUREST)
    truth = rng.random(n) < 1 / (1 + np.exp(-(0.5 * odds - 0.7)))
    zeros = np.zeros(n, int)
    found = corrected_probability(1 / (1 + np.exp(-odds)), zeros, zeros, 1, np.arange(n), truth)
    spreads = np.array([SLOPE_SPREAD, COMMON_SPREAD, CATEGORY_SPREAD, PAIR_SPREAD])

    def objective(weights):
        score = odds + weights[0] * odds + weights[1:].sum()
        return -np.sum(np.where(truth, -np.logaddexp(0, -score), -np.logaddexp(0, score))) + 0.5 * np.sum((weights / spreads) ** 2)

    best = minimize(objective, np.zeros(4), method="Powell", options={"xtol": 1e-8, "ftol": 1e-12}).x
    np.testing.assert_allclose(np.log(found / (1 - found)), odds + best[0] * odds + best[1:].sum(), atol=2e-3)
