"""Importance-weighted bounds where log p(x) is known: a linear-Gaussian model, and words by quadrature."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.importance_weighted import (
    effective_sample_size,
    grouped_log_likelihood,
    importance_weighted_log_likelihood,
    largest_weight_share,
    log_weights,
)
from lexframe.spaces.base import Posterior
from tests.generative.linear_gaussian import LinearGaussianSpace
from tests.generative.toy import ToyLatentSpace

tables = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.floats(-800, 800))


@given(tables)
def test_log_mean_exp_against_scipy(weights):
    found = importance_weighted_log_likelihood(weights)
    np.testing.assert_allclose(found, logsumexp(weights, axis=1) - np.log(weights.shape[1]), rtol=1e-12, atol=1e-12)
    assert (found >= weights.mean(axis=1) - 1e-9).all()


@given(tables, st.data())
def test_bounds_of_one_set_of_samples_rise_where_groups_nest(weights, data):
    """Jensen: the log of a mean over groups is above the mean of logs, whatever the weights are."""
    size = data.draw(st.sampled_from([k for k in range(1, weights.shape[1] + 1) if weights.shape[1] % k == 0]))
    parts = grouped_log_likelihood(weights, size)
    assert (parts <= importance_weighted_log_likelihood(weights) + 1e-9).all()
    assert (grouped_log_likelihood(weights, 1) <= parts + 1e-9).all()


def test_groups_by_hand():
    weights = np.log(np.array([[1.0, 3.0, 5.0, 7.0, 1000.0]]))
    assert grouped_log_likelihood(weights, 2)[0] == pytest.approx((np.log(2) + np.log(6)) / 2)  # the fifth fills no group
    assert grouped_log_likelihood(weights, 1)[0] == pytest.approx(weights.mean())


def test_effective_samples_by_hand():
    weights = np.log(np.array([[1.0, 1.0, 1.0, 1.0], [1e-300, 1e-300, 1.0, 1e-300], [3.0, 1.0, 1e-300, 1e-300]]))
    np.testing.assert_allclose(effective_sample_size(weights), [4, 1, 16 / 10])
    np.testing.assert_allclose(largest_weight_share(weights), [0.25, 1, 0.75])


def test_a_text_without_a_chance():
    weights = np.array([[-np.inf, -np.inf], [-np.inf, 0.0]])
    np.testing.assert_allclose(importance_weighted_log_likelihood(weights), [-np.inf, -np.log(2)])
    np.testing.assert_allclose(effective_sample_size(weights), [1, 1])
    np.testing.assert_allclose(largest_weight_share(weights), [1, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_none(value):
    with pytest.raises(DataError, match=r"text 1 hold NaN or plus infinity \(1 of 2 texts\)"):
        importance_weighted_log_likelihood(np.array([[0.0, 0.0], [0.0, value]]))


def test_no_weights_and_too_few():
    with pytest.raises(InputError, match="no weights"):
        importance_weighted_log_likelihood(np.zeros((2, 0)))
    for count in (0, 4):
        with pytest.raises(InputError, match=f"bound of {count} samples was asked for, but there are 3"):
            grouped_log_likelihood(np.zeros((2, 3)), count)


def test_the_bound_is_exact_with_the_true_posterior():
    space = LinearGaussianSpace([2.0, 0.5, 0.0], noise=0.6)
    texts = space.sample_texts(20)
    for n_samples in (1, 7):
        found = importance_weighted_log_likelihood(log_weights(space, texts, space.posterior(texts), n_samples=n_samples))
        np.testing.assert_allclose(found, space.exact_log_likelihood(texts), atol=1e-4)  # the model sees float32 points


def test_narrow_posteriors_keep_their_exactness():
    """Deviations near the step of float32 at the mean: the density is taken where the model saw the point."""
    space = LinearGaussianSpace([1000.0], noise=1e-3)
    texts = space.sample_texts(20)
    posterior = space.posterior(texts)
    wide = Posterior(posterior.means, posterior.log_variances + 4)
    found = log_weights(space, texts, wide, n_samples=200)
    truth = space.exact_log_likelihood(texts)
    assert np.median(np.abs(importance_weighted_log_likelihood(found) - truth)) < 1.0


def test_it_converges_from_below_where_q_is_off():
    space = LinearGaussianSpace([2.0, 0.5], noise=0.6, shift=0.2, widen=1.5)
    texts = space.sample_texts(60)
    truth = space.exact_log_likelihood(texts).mean()
    weights = log_weights(space, texts, space.posterior(texts), n_samples=4000)
    bounds = [grouped_log_likelihood(weights, count).mean() for count in (1, 10, 100, 1000, 4000)]
    assert np.diff(bounds[:4]).min() > 0
    assert truth - bounds[0] > 0.5
    assert abs(truth - bounds[-1]) < 0.01


def test_the_elbo_is_the_closed_form():
    """One dimension: E log p(x|z) and KL are known, and one sample each, averaged, is their difference at four standard errors."""
    space = LinearGaussianSpace([1.5], noise=0.8, shift=0.1, widen=1.3)
    texts = space.sample_texts(3)
    posterior = space.posterior(texts)
    weights = log_weights(space, texts, posterior, n_samples=20_000)
    mean, variance = posterior.means[:, 0].astype(float), np.exp(posterior.log_variances[:, 0].astype(float))
    gap = space.numbers(texts)[:, 0] - 1.5 * mean
    expected = -0.5 * ((gap**2 + 1.5**2 * variance) / 0.64 + np.log(0.64) + np.log(2 * np.pi))
    elbo = expected - 0.5 * (mean**2 + variance - 1 - np.log(variance))
    error = weights.std(axis=1) / np.sqrt(20_000)
    assert (np.abs(grouped_log_likelihood(weights, 1) - elbo) < 4 * error).all()


@pytest.mark.parametrize("w", [[1.5], [2.0, 0.0], [1.0, -1.5]])
def test_words_against_quadrature(w):
    """In the last case the true posterior has a covariance that q lacks."""
    space = ToyLatentSpace(w)
    texts = [*space.sample_texts(30, seed=3), ""]
    weights = log_weights(space, texts, space.posterior(texts), n_samples=20_000)
    exact = space.exact_log_likelihood(texts)
    np.testing.assert_allclose(importance_weighted_log_likelihood(weights), exact, atol=0.1)
    assert abs((importance_weighted_log_likelihood(weights) - exact).mean()) < 0.01
    assert exact[-1] == pytest.approx(np.log(0.1))


def test_blocks_samples_and_other_texts_change_nothing(monkeypatch):
    space = ToyLatentSpace([1.0, 0.5])
    texts = space.sample_texts(11, seed=2)
    posterior = space.posterior(texts)
    whole = log_weights(space, texts, posterior, n_samples=6, seed=4)
    np.testing.assert_array_equal(log_weights(space, texts, posterior, n_samples=3, seed=4), whole[:, :3])
    few = log_weights(space, texts[:4], Posterior(posterior.means[:4], posterior.log_variances[:4]), n_samples=6, seed=4)
    np.testing.assert_array_equal(few, whole[:4])
    for pairs in (1, 4, 13):
        monkeypatch.setattr(sys.modules["lexframe.generative.score.importance_weighted"], "PAIRS_A_BLOCK", pairs)
        np.testing.assert_allclose(log_weights(space, texts, posterior, n_samples=6, seed=4), whole, rtol=1e-12)
    assert not np.allclose(whole, log_weights(space, texts, posterior, n_samples=6, seed=5))


def test_no_texts_and_progress():
    space = ToyLatentSpace([1.0])
    assert log_weights(space, [], space.posterior([]), n_samples=3).shape == (0, 3)
    seen = []
    log_weights(space, ["a"], space.posterior(["a"]), progress=lambda blocks: seen.extend(blocks) or iter(blocks))
    assert seen == [0]


def test_a_posterior_of_other_texts_or_another_space():
    space = ToyLatentSpace([1.0])
    with pytest.raises(InputError, match="posterior is of 1 texts in 1 dimensions, but there are 2 texts"):
        log_weights(space, ["a", "b"], space.posterior(["a"]))
    with pytest.raises(InputError, match="in 2 dimensions"):
        log_weights(space, ["a"], ToyLatentSpace([1.0, 2.0]).posterior(["a"]))
    with pytest.raises(InputError, match="n_samples is 0"):
        log_weights(space, ["a"], space.posterior(["a"]), n_samples=0)


def test_a_model_that_answers_nan_is_named():
    class Broken(ToyLatentSpace):
        def log_likelihoods(self, texts, points, *, batch_size=None, progress=iter):
            found = super().log_likelihoods(texts, points)
            found[[text == "b b" for text in texts]] = np.nan
            return found

    space = Broken([1.0])
    with pytest.raises(DataError, match=r"text 2 \('b b'\) a log-likelihood that is not finite"):
        log_weights(space, ["a", "b", "b b"], space.posterior(["a", "b", "b b"]))
