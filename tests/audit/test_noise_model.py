"""How wrong labels come about: the fit, against simulated labels with known noise."""

import numpy as np
import pytest

from lexframe.audit import noise_model as module
from lexframe.audit.noise_model import fit_noise


def simulated(rng, n=20_000, k=6, rate=0.1, similar=0.0, sharpness=8.0):
    """A calibrated posterior, true categories drawn from it, and given ones with noise of a known kind."""
    scores = rng.normal(size=(n, k)) * 0.5
    home = rng.integers(0, k, n)
    scores[np.arange(n), home] += sharpness
    scores[np.arange(n), (home + 1) % k] += sharpness - 4  # neighbors in a ring are confused
    posterior = np.exp(scores - scores.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    truth = (posterior.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    given = truth.copy()
    moved = rng.random(n) < rate
    near = rng.random(n) < similar
    step = np.where(rng.random(n) < 0.5, 1, -1)
    given = np.where(moved, np.where(near, (truth + step) % k, (truth + rng.integers(1, k, n)) % k), given)
    candidates = np.tile(np.arange(k), (n, 1))
    return posterior, candidates, given, truth


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("similar", [0.0, 1.0])
def test_the_share_of_errors_is_found(rng, rate, similar):
    posterior, candidates, given, _ = simulated(rng, rate=rate, similar=similar)
    found = fit_noise(posterior, candidates, given, 6)
    assert found.error_rate == pytest.approx(rate, abs=0.02)
    near = found.given_probability(np.array([1]), np.array([[0]]))[0, 0]  # the next category in the ring
    far = found.given_probability(np.array([3]), np.array([[0]]))[0, 0]
    if similar:
        assert near > 4 * far  # in truth half of the errors against none
    else:
        assert near < 2 * far  # in truth as many


def test_bayes_rule_with_it_is_calibrated(rng):
    posterior, candidates, given, truth = simulated(rng, rate=0.2, similar=1.0, sharpness=5.0)
    model = fit_noise(posterior, candidates, given, 6)
    joint = posterior * model.given_probability(given, candidates)
    wrong = 1 - joint[np.arange(len(given)), given] / joint.sum(axis=1)
    bins = np.minimum((wrong * 10).astype(int), 9)
    gaps = np.bincount(bins, weights=(given != truth) - wrong, minlength=10)
    assert np.abs(gaps).sum() / len(wrong) < 0.03


def test_given_categories_are_a_distribution_for_each_true_one(rng):
    posterior, candidates, given, _ = simulated(rng, n=2_000, similar=0.5)
    model = fit_noise(posterior, candidates, given, 6)
    table = np.stack([model.given_probability(np.full(6, g), np.arange(6)[:, np.newaxis])[:, 0] for g in range(6)], axis=1)
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-6)


def test_drawn_errors_are_of_the_kind_that_was_fitted(rng):
    posterior, candidates, given, _ = simulated(rng, rate=0.2, similar=1.0)
    model = fit_noise(posterior, candidates, given, 6)
    true = rng.integers(0, 6, 20_000)
    drawn = model.draw(true, rng)
    assert (drawn != true).all()
    step = (drawn - true) % 6
    assert np.isin(step, (1, 5)).mean() > 0.7  # anywhere would be two in five


def test_candidates_may_leave_categories_out(rng):
    posterior, _, given, _ = simulated(rng, k=30, n=3_000)
    ranked = posterior.copy()
    ranked[np.arange(len(given)), given] = 2  # the given category comes first, whatever its probability
    kept = np.argsort(-ranked, axis=1)[:, :6]
    some = np.take_along_axis(posterior, kept, axis=1)
    some /= some.sum(axis=1, keepdims=True)
    assert fit_noise(some, kept, given, 30).error_rate == pytest.approx(0.1, abs=0.04)


def test_no_errors_and_one_item_of_doubt():
    posterior = np.array([[0.99, 0.01]] * 60 + [[0.5, 0.5]])
    given = np.zeros(61, int)
    found = fit_noise(posterior, np.tile([0, 1], (61, 1)), given, 2)
    assert found.error_rate < 0.02


def test_items_in_doubt_do_not_move_the_rate(rng):
    """Where the posterior is in doubt it is a little off as well, which would be taken for wrong labels."""
    posterior, candidates, given, _ = simulated(rng, n=4_000, rate=0.1)
    sure = posterior.max(axis=1) > 0.9
    alone = fit_noise(posterior[sure], candidates[sure], given[sure], 6)
    doubt = np.zeros((3_000, 6))
    doubt[:, :2] = 0.7, 0.3
    both = fit_noise(
        np.concatenate([posterior[sure], doubt]),
        np.concatenate([candidates[sure], np.tile(np.arange(6), (3_000, 1))]),
        np.concatenate([given[sure], np.ones(3_000, dtype=given.dtype)]),
        6,
    )
    assert both.error_rate == pytest.approx(alone.error_rate, abs=0.01)


def test_the_interval_of_the_rate_is_twice_the_width_of_the_binomial_one():
    """Ten wrong labels among a hundred items beyond doubt: 0.1, and a standard error of 0.03."""
    wrong = np.arange(100) < 10
    right, moved = np.where(wrong, 1e-12, 1.0), np.where(wrong, 1.0, 1e-12)
    low, high = module._rate_interval(0.1, right, moved)
    logs = [10 * np.log(rate / 0.1) + 90 * np.log((1 - rate) / 0.9) for rate in (low, high)]
    assert 0.015 < low < 0.03
    assert 0.24 < high < 0.28
    assert np.all(np.array(logs) > -7.7)
