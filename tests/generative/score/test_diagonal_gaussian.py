"""Densities against scipy, and what is no table of Gaussians."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.diagonal_gaussian import checked_moments, log_density
from lexframe.spaces.base import Posterior


def normal_posterior(n_texts, n_dims, seed=0):
    rng = np.random.default_rng(seed)
    return Posterior(rng.normal(size=(n_texts, n_dims)).astype(np.float32), rng.normal(-1, 1, size=(n_texts, n_dims)).astype(np.float32))


def test_log_density_against_scipy(rng):
    posterior = normal_posterior(6, 3)
    points = rng.normal(size=(6, 4, 3))
    found = log_density(points, posterior.means[:, np.newaxis], posterior.log_variances[:, np.newaxis])
    assert found.dtype == np.float64
    for row in range(6):
        oracle = multivariate_normal(posterior.means[row], np.diag(np.exp(posterior.log_variances[row].astype(np.float64))))
        np.testing.assert_allclose(found[row], oracle.logpdf(points[row]), rtol=1e-6)


def test_moments_come_in_float64():
    means, log_variances = checked_moments(normal_posterior(4, 2))
    assert means.dtype == log_variances.dtype == np.float64
    assert checked_moments(Posterior(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)))[0].shape == (0, 3)


@pytest.mark.parametrize("which", ["means", "log_variances"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_named(which, value):
    arrays = {"means": np.zeros((3, 2), np.float32), "log_variances": np.zeros((3, 2), np.float32)}
    arrays[which][1, 0] = value
    with pytest.raises(DataError, match=r"text 1 hold NaN or infinity \(1 of 3 texts\)"):
        checked_moments(Posterior(**arrays))


@pytest.mark.parametrize("log_variance", [-101, 101])
def test_a_gaussian_that_is_a_point_or_nothing_is_refused(log_variance):
    with pytest.raises(DataError, match="log-variance of text 0 lies beyond ±100"):
        checked_moments(Posterior(np.zeros((1, 1), np.float32), np.full((1, 1), log_variance, np.float32)))


@pytest.mark.usefixtures("without_type_checks")
def test_two_widths_are_refused():
    with pytest.raises(InputError, match=r"means of shape \(3, 2\) and log-variances of shape \(3, 4\)"):
        checked_moments(Posterior(np.zeros((3, 2), np.float32), np.zeros((3, 4), np.float32)))
    with pytest.raises(InputError, match=r"expected both to be \(n_texts, n_dims\)"):
        checked_moments(Posterior(np.zeros(3, np.float32), np.zeros(3, np.float32)))


def test_too_few_texts():
    with pytest.raises(DataError, match="of 1 texts; expected 2 or more"):
        checked_moments(normal_posterior(1, 2), least_texts=2)
