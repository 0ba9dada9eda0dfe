"""KL to the prior against Monte Carlo, torch, and a loop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import DataError
from lexframe.generative.score.diagonal_gaussian import log_density
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.spaces.base import Posterior
from tests.generative.score.test_diagonal_gaussian import normal_posterior


def test_against_monte_carlo_at_four_standard_errors():
    posterior = normal_posterior(5, 3)
    z = posterior.means[:, np.newaxis] + np.exp(0.5 * posterior.log_variances)[:, np.newaxis] * np.random.default_rng(1).standard_normal(
        (5, 40_000, 3)
    )
    for dim in range(3):
        part = [array[:, np.newaxis, dim : dim + 1] for array in (posterior.means, posterior.log_variances)]
        terms = log_density(z[..., dim : dim + 1], *part) - log_density(z[..., dim : dim + 1], *(np.zeros((1, 1, 1)),) * 2)
        error = terms.std(axis=1) / np.sqrt(terms.shape[1])
        assert (np.abs(terms.mean(axis=1) - kl_per_dimension(posterior)[:, dim]) < 4 * error).all()


def test_against_torch():
    posterior = normal_posterior(20, 4)
    mean, deviation = torch.from_numpy(posterior.means).double(), torch.from_numpy(posterior.log_variances).double().mul(0.5).exp()
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, deviation), torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    )
    found = kl_per_dimension(posterior)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12)


@given(st.floats(-30, 30, width=32), st.floats(-60, 60, width=32))
def test_never_negative_and_zero_at_the_prior_only(mean, log_variance):
    found = kl_per_dimension(Posterior(np.full((1, 1), mean, np.float32), np.full((1, 1), log_variance, np.float32)))[0, 0]
    assert found >= 0
    assert found >= 0.5 * float(np.float32(mean)) ** 2


def test_digits_near_the_prior():
    """With ε the log-variance the KL is ε²/4 to third order; the textbook form loses all digits here."""
    posterior = Posterior(np.zeros((1, 1), np.float32), np.full((1, 1), 1e-7, np.float32))
    assert kl_per_dimension(posterior)[0, 0] == pytest.approx(float(np.float32(1e-7)) ** 2 / 4, rel=1e-3, abs=0)
    assert kl_per_dimension(Posterior(np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32))).max() == 0


def test_no_texts():
    assert kl_per_dimension(Posterior(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))).shape == (0, 3)


def test_nan_is_refused():
    with pytest.raises(DataError, match="text 0"):
        kl_per_dimension(Posterior(np.full((1, 1), np.nan, np.float32), np.zeros((1, 1), np.float32)))
