"""Rate and distortion where both are closed forms, and frontiers by hand."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.kl_divergence import kl_per_dimension
from lexframe.generative.score.rate_distortion import WEIGHTS, RateDistortion, RatePoint, pareto_frontier, rate_distortion, tempered
from lexframe.intervals import Estimate
from lexframe.spaces.base import Posterior
from tests.generative.linear_gaussian import LinearGaussianSpace
from tests.generative.score.test_diagonal_gaussian import normal_posterior
from tests.generative.toy import ToyLatentSpace


def expected_distortion(space, texts, posterior):
    """E -log p(x | z) over q of a linear-Gaussian model, mean over texts."""
    mean, variance = posterior.means.astype(float), np.exp(posterior.log_variances.astype(float))
    gap = np.square(space.numbers(texts) - space.scales * mean) + space.scales**2 * variance
    return float((0.5 * (gap / space.noise**2 + np.log(2 * np.pi * space.noise**2))).sum(axis=1).mean())


def test_the_ends_of_the_path():
    posterior = normal_posterior(20, 3)
    prior = tempered(posterior, 0.0)
    assert np.abs(prior.means).max() == 0
    np.testing.assert_allclose(prior.log_variances, 0, atol=1e-6)
    own = tempered(posterior, 1.0)
    np.testing.assert_allclose(own.means, posterior.means, rtol=1e-6)
    np.testing.assert_allclose(own.log_variances, posterior.log_variances, atol=1e-6)
    sharp = tempered(posterior, 1e6)
    np.testing.assert_array_equal(sharp.means, posterior.means)
    wide = np.exp(posterior.log_variances) > 1
    np.testing.assert_allclose(sharp.log_variances[wide], posterior.log_variances[wide], atol=1e-6)
    assert sharp.log_variances[posterior.log_variances < -0.1].max() < -10


@given(st.floats(-90, 5, width=32), st.floats(-5, 5, width=32), st.floats(0, 1), st.floats(0, 1))
def test_the_rate_rises_with_the_weight_up_to_one(log_variance, mean, first, second):
    posterior = Posterior(np.full((1, 1), mean, np.float32), np.full((1, 1), log_variance, np.float32))
    low, high = (float(kl_per_dimension(tempered(posterior, weight))[0, 0]) for weight in sorted((first, second)))
    assert low <= high * (1 + 1e-4) + 1e-5


@given(st.floats(-90, 0, width=32), st.floats(1, 1e4), st.floats(1, 1e4))
def test_the_rate_rises_above_one_as_well(log_variance, first, second):
    posterior = Posterior(np.ones((1, 1), np.float32), np.full((1, 1), log_variance, np.float32))
    low, high = (float(kl_per_dimension(tempered(posterior, weight))[0, 0]) for weight in sorted((first, second)))
    assert low <= high * (1 + 1e-4) + 1e-5


def test_an_unused_dimension_stays_unused():
    posterior = Posterior(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32))
    for weight in WEIGHTS:
        assert kl_per_dimension(tempered(posterior, weight)).max() == 0


def test_it_is_the_product_of_prior_and_likelihood_to_the_weight():
    """log q_β - log p(z) - β log p(x|z) does not depend on z."""
    space = LinearGaussianSpace([2.0, 0.4])
    texts = space.sample_texts(5)
    z = np.random.default_rng(0).normal(size=(5, 6, 2)).astype(np.float32)
    for weight in (0.2, 0.7):
        q = tempered(space.posterior(texts), weight)
        mean, variance = q.means[:, np.newaxis], np.exp(q.log_variances)[:, np.newaxis]
        logs = -0.5 * ((z - mean) ** 2 / variance).sum(-1) + 0.5 * (z**2).sum(-1) - weight * space.log_likelihoods(texts, z)
        np.testing.assert_allclose(logs, np.broadcast_to(logs[:, :1], logs.shape), atol=1e-3)


def test_no_gaussian_channel_beats_the_path_of_the_true_posterior():
    space = LinearGaussianSpace([2.0, 0.4])
    texts = space.sample_texts(50)
    rng = np.random.default_rng(1)
    for weight in (0.1, 0.5, 1.0):
        q = tempered(space.posterior(texts), weight)
        cost = kl_per_dimension(q).sum(axis=1).mean() + weight * expected_distortion(space, texts, q)
        for _ in range(20):
            other = Posterior(
                q.means + rng.normal(0, 0.1, q.means.shape).astype(np.float32),
                q.log_variances + rng.normal(0, 0.3, q.means.shape).astype(np.float32),
            )
            assert cost < kl_per_dimension(other).sum(axis=1).mean() + weight * expected_distortion(space, texts, other)


def test_points_of_a_linear_model_against_closed_forms():
    space = LinearGaussianSpace([2.0, 0.4, 0.0])
    texts = space.sample_texts(300)
    points = rate_distortion(space, texts, n_samples=20)
    posterior = space.posterior(texts)
    for weight, point in zip(WEIGHTS, points, strict=True):
        q = tempered(posterior, weight)
        assert (point.model, point.weight) == ("linear", weight)
        assert point.rate.value == pytest.approx(kl_per_dimension(q).sum(axis=1).mean())
        distortion = expected_distortion(space, texts, q)
        assert point.distortion.value == pytest.approx(distortion, rel=0.03)
        assert point.total.value == pytest.approx(point.rate.value + point.distortion.value)
    assert points[WEIGHTS.index(1.0)].total.value == pytest.approx(-space.exact_log_likelihood(texts).mean(), rel=0.02)
    assert points[0].rate.value == pytest.approx(0, abs=1e-9)
    assert min(points, key=lambda point: point.total.value).weight == 1.0  # the ELBO is best at the true posterior
    assert RateDistortion(points).frontier == points


def test_the_same_noise_along_the_path():
    space = ToyLatentSpace([2.0])
    texts = space.sample_texts(50)
    first, second = rate_distortion(space, texts, weights=(1.0, 1.0))
    assert first == second
    assert first.model == space.fingerprint.model
    assert rate_distortion(space, texts, weights=(1.0,), seed=1)[0].distortion != first.distortion


def _point(rate, distortion):
    return RatePoint("m", 1.0, *(Estimate(value, value, value) for value in (rate, distortion, rate + distortion)))


def test_a_frontier_by_hand():
    rates, distortions = np.array([0.0, 1, 1, 2, 3, 0]), np.array([5.0, 3, 4, 3, 1, 5])
    assert pareto_frontier(rates, distortions).tolist() == [True, True, False, False, True, True]
    curve = RateDistortion((_point(3.0, 1.0), _point(2.0, 3.0), _point(1.0, 3.0)), Estimate(4.5, 4.0, 5.0))
    assert [point.rate.value for point in curve.frontier] == [1, 3]
    document = json.loads(json.dumps(curve.to_dict()))
    assert [point["on_frontier"] for point in document["points"]] == [True, False, True]
    assert document["plain_language_model"]["value"] == 4.5
    nothing = RateDistortion(()).to_dict()
    assert nothing["points"] == []
    assert nothing["plain_language_model"] is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_a_frontier_against_a_loop(pairs):
    rates, distortions = np.array(pairs, dtype=float).T
    expected = [not any(r <= rate and d <= loss and (r, d) != (rate, loss) for r, d in pairs) for rate, loss in pairs]
    assert pareto_frontier(rates.copy(), distortions.copy()).tolist() == expected


def test_bad_input():
    space = ToyLatentSpace([1.0])
    for weight in (-1.0, float("nan")):
        with pytest.raises(InputError, match="expected a number of 0"):
            rate_distortion(space, ["a", "b"], weights=(weight,))
    with pytest.raises(DataError, match="1 text; expected 2"):
        rate_distortion(space, ["a"])
    for options in ({"weights": ()}, {"n_samples": 0}):
        with pytest.raises(InputError, match="expected 1 or more of both"):
            rate_distortion(space, ["a", "b"], **options)
    with pytest.raises(InputError, match="posterior is of 1 texts"):
        rate_distortion(space, ["a", "b"], posterior=space.posterior(["a"]))
    with pytest.raises(InputError, match="NaN or infinite, so there is no frontier"):
        pareto_frontier(np.array([np.nan]), np.array([1.0]))
