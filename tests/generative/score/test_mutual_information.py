"""Mutual information of Gaussian channels, whose value is known, and its two bounds."""

import json
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.diagonal_gaussian import log_density
from lexframe.generative.score.mutual_information import log_sum_of_others, mutual_information
from lexframe.spaces.base import Posterior
from tests.generative.score.test_diagonal_gaussian import normal_posterior


def channel(n_texts, ratios, seed=0):
    """A text is x ~ N(0, I), and z = a x + noise with a / deviation = ratio, scaled so that z ~ N(0, I): ½ Σ ln(1 + ratio²) nats."""
    variances = 1 / (1 + np.square(ratios))
    means = np.random.default_rng((seed, 1)).normal(size=(n_texts, len(ratios))) * np.sqrt(1 - variances)
    posterior = Posterior(means.astype(np.float32), np.broadcast_to(np.log(variances), means.shape).astype(np.float32))
    return posterior, 0.5 * float(np.log1p(np.square(ratios)).sum())


@pytest.mark.parametrize("ratios", [[0.5], [1.0, 0.0, 2.0], [0.7] * 4])
def test_a_known_channel_far_below_the_ceiling(ratios):
    posterior, truth = channel(3000, np.array(ratios))
    found = mutual_information(posterior, n_samples=3)
    half = (found.nats.high - found.nats.low) / 2
    assert abs(found.nats.value - truth) < 2 * half + 0.01  # four standard errors, and what the bound from below is short of
    assert found.nats.value <= found.upper
    assert found.upper - found.nats.value < 0.05
    assert abs(found.aggregate_kl) < 2 * half + 0.05  # the aggregate is the prior
    assert found.mean_kl == pytest.approx(found.nats.value + found.aggregate_kl)
    assert not found.at_ceiling


def test_the_truth_lies_between_the_bounds_on_average():
    """One set of texts may fall on either side; the mean over sets does not."""
    found = [(mutual_information(channel(20, np.array([3.0, 3.0]), seed)[0], seed=seed)) for seed in range(60)]
    truth = np.log(10)
    below, above = (np.array(values) for values in zip(*((result.nats.value, result.upper) for result in found), strict=True))
    assert below.mean() + 3 * below.std() / np.sqrt(60) < truth < above.mean() - 3 * above.std() / np.sqrt(60)


def test_the_interval_holds_the_truth_where_the_bounds_agree():
    """Coverage of a nominal 95% over 60 sets of texts: at least 50 hits have a chance above 99.9%."""
    results = [mutual_information(channel(300, np.array([0.8]), seed)[0], seed=seed) for seed in range(60)]
    truth = 0.5 * np.log1p(0.64)
    assert sum(result.nats.low <= truth <= result.nats.high for result in results) >= 50


def test_it_saturates_at_the_logarithm_of_the_number_of_texts():
    values = [mutual_information(channel(200, np.full(3, ratio))[0]) for ratio in (0.1, 1.0, 10.0, 1e3, 1e6)]
    assert [result.at_ceiling for result in values] == [False, False, True, True, True]
    assert all(result.nats.value <= result.ceiling + 1e-12 for result in values)
    assert values[-1].nats.value == pytest.approx(np.log(200), abs=1e-6)
    assert values[-1].upper > 1e6
    assert values[-1].at_most == values[-1].mean_kl < 50  # what is charged for the latent bounds what it tells
    assert "at its ceiling ln 200 = 5.30: the truth may be higher" in str(values[-1])
    assert "; ceiling ln 200" in str(values[0])


def test_the_exact_value_of_a_mixture_of_two():
    """Two texts in one dimension: the information is an integral."""
    posterior = Posterior(np.array([[-1.0], [0.5]], np.float32), np.log(np.array([[0.5], [2.0]])).astype(np.float32))
    grid = np.linspace(-15, 15, 20_001)[:, np.newaxis]
    parts = np.stack([log_density(grid, posterior.means[row], posterior.log_variances[row]) for row in range(2)])
    mixture = logsumexp(parts, axis=0) - np.log(2)
    truth = 0.5 * np.trapezoid((np.exp(parts) * (parts - mixture)).sum(axis=0), grid[:, 0])
    assert mutual_information(posterior, n_samples=4000).nats.value == pytest.approx(truth, abs=0.02)  # four standard errors


@given(st.integers(2, 12), st.integers(1, 5), st.integers(0, 2**32 - 1), st.booleans())
def test_sums_against_a_loop_by_product_and_by_differences(n_texts, n_dims, seed, narrow):
    posterior = normal_posterior(n_texts, n_dims, seed % 1000)
    means, log_variances = (array.astype(np.float64) for array in (posterior.means, posterior.log_variances))
    log_variances = log_variances - 30 * narrow  # past the ratio where the product form would lose digits
    points = means + np.exp(0.5 * log_variances) * np.random.default_rng(seed).normal(size=means.shape)
    rows = np.arange(n_texts)
    expected = [
        logsumexp([log_density(points[[row]], means[other], log_variances[other])[0] for other in rows if other != row]) for row in rows
    ]
    np.testing.assert_allclose(log_sum_of_others(points, means, log_variances, own=rows), expected, rtol=1e-9, atol=1e-7)


def test_blocks_change_nothing(monkeypatch):
    posterior = normal_posterior(50, 3)
    whole = mutual_information(posterior)
    monkeypatch.setattr(sys.modules["lexframe.generative.score.mutual_information"], "CELLS_A_BLOCK", 7 * 50)
    assert mutual_information(posterior).nats.value == pytest.approx(whole.nats.value, rel=1e-12)


def test_narrow_twins_are_told_from_narrow_neighbours():
    """Posteriors of an autoencoder: deviations of 1e-9 far from the origin. Equal texts share a Gaussian, so half of ln 4 is lost."""
    means = np.array([[3.0, 1.0], [3.0, 1.0], [3.0001, 1.0], [3.0001, 1.0]], np.float32)
    found = mutual_information(Posterior(means, np.full_like(means, 2 * np.log(1e-9))))
    assert found.nats.value == pytest.approx(np.log(2), abs=1e-9)


def test_the_order_of_texts_does_not_matter():
    posterior, _ = channel(2000, np.array([1.0, 0.5]))
    order = np.random.default_rng(1).permutation(2000)
    other = mutual_information(Posterior(posterior.means[order], posterior.log_variances[order]))
    first = mutual_information(posterior)
    assert abs(first.nats.value - other.nats.value) < 2 * (first.nats.high - first.nats.low)  # the draws differ
    assert first.mean_kl == pytest.approx(other.mean_kl)
    assert mutual_information(posterior) == first


def test_identical_texts_tell_nothing():
    found = mutual_information(Posterior(np.full((20, 2), 3.0, np.float32), np.zeros((20, 2), np.float32)))
    assert found.nats.value == pytest.approx(0, abs=1e-12)
    assert found.upper == pytest.approx(0, abs=1e-12)
    assert found.aggregate_kl == pytest.approx(9.0)


def test_a_collapsed_posterior_tells_nothing():
    found = mutual_information(Posterior(np.zeros((20, 2), np.float32), np.zeros((20, 2), np.float32)))
    assert (found.nats.value, found.mean_kl) == (pytest.approx(0, abs=1e-12), 0.0)


def test_ten_thousand_texts_in_seconds():
    posterior, truth = channel(10_000, np.full(32, 0.4))
    start = time.process_time()
    found = mutual_information(posterior)
    assert time.process_time() - start < 20
    assert found.nats.value == pytest.approx(truth, abs=0.2)


def test_to_dict_is_json():
    document = json.loads(json.dumps(mutual_information(normal_posterior(10, 2)).to_dict()))
    assert document["ceiling"] == pytest.approx(np.log(10))
    numbers = {"value", "interval", "upper", "at_most", "ceiling", "at_ceiling", "mean_kl", "aggregate_kl"}
    assert set(document) == numbers | {"n_texts", "n_samples", "provenance"}


def test_bad_input():
    with pytest.raises(DataError, match="of 1 texts; expected 2"):
        mutual_information(normal_posterior(1, 2))
    with pytest.raises(InputError, match="n_samples is 0"):
        mutual_information(normal_posterior(3, 2), n_samples=0)
    posterior = normal_posterior(3, 2)
    posterior.means[2, 1] = np.nan
    with pytest.raises(DataError, match="means of text 2"):
        mutual_information(posterior)
