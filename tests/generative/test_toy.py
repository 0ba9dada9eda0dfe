"""The spaces that measures are tested on are what they say they are."""

import itertools

import numpy as np
import pytest

from lexframe.exceptions import InputError
from tests.generative.linear_gaussian import LinearGaussianSpace
from tests.generative.toy import ToyLatentSpace


def test_the_toys_texts_have_probabilities_that_sum_to_one():
    """All texts up to four words, and longer ones by their chance of not having ended."""
    for n_driven in (None, 1):
        space = ToyLatentSpace([1.5, -1.0], n_driven=n_driven, stop=0.3)
        texts = [" ".join(words) for length in range(5) for words in itertools.product("ab", repeat=length)]
        assert np.exp(space.exact_log_likelihood(texts)).sum() + 0.7**5 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("space", [ToyLatentSpace([1.0, 2.0], n_driven=2), LinearGaussianSpace([1.0, 0.0])])
def test_tokens_sum_to_the_text_and_samples_are_read_alone(space):
    texts = space.sample_texts(7, seed=1)
    points = np.random.default_rng(0).normal(size=(7, 3, 2)).astype(np.float32)
    found = space.log_likelihoods(texts, points)
    for sample in range(3):
        tokens = space.token_log_likelihoods(texts, points[:, sample])
        np.testing.assert_allclose(found[:, sample], [row.sum() for row in tokens], rtol=1e-6)
        assert [len(row) for row in tokens] == [len(text.split()) + 1 for text in texts]


def test_the_toy_decodes_what_its_points_say():
    space = ToyLatentSpace([3.0])
    assert space.decode(np.array([[2.0], [-2.0]], np.float32)) == ["a a a a a", "b b b b b"]
    assert space.decode(np.array([[9.0]], np.float32), temperature=1.0, seed=1) == space.decode(
        np.array([[9.0]], np.float32), temperature=1.0, seed=1
    )
    with pytest.raises(InputError, match="expected numbers in 1 dim"):
        space.decode(np.zeros((1, 2), np.float32))
    assert space.encode([]).shape == (0, 1)


def test_the_linear_posterior_is_bayes_rule():
    """log p(x|z) + log p(z) - log q(z|x) is the same at every z."""
    space = LinearGaussianSpace([2.0, 0.3], noise=0.7)
    texts = space.sample_texts(4)
    posterior = space.posterior(texts)
    z = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    mean, variance = posterior.means[:, np.newaxis], np.exp(posterior.log_variances)[:, np.newaxis]
    logs = space.log_likelihoods(texts, z) - 0.5 * (z**2).sum(-1) + 0.5 * ((z - mean) ** 2 / variance + np.log(variance)).sum(-1)
    np.testing.assert_allclose(logs, np.broadcast_to(space.exact_log_likelihood(texts)[:, np.newaxis], logs.shape), rtol=1e-4)
