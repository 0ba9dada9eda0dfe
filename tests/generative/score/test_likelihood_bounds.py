"""Perplexities of models whose likelihood is known."""

import json

import numpy as np
import pytest

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.likelihood_bounds import importance_weighted
from tests.generative.linear_gaussian import LinearGaussianSpace
from tests.generative.toy import ToyLatentSpace


def test_perplexities_of_the_toy():
    space = ToyLatentSpace([1.5], stop=0.2)
    texts = space.sample_texts(200, seed=1)
    found = importance_weighted(space, texts, n_samples=(100, 1, 10))
    nats = -space.exact_log_likelihood(texts)
    n_tokens = np.array([len(text.split()) + 1 for text in texts])
    last = found.bounds[-1]
    assert [bound.n_samples for bound in found.bounds] == [1, 10, 100]
    assert last.nats_per_text.value == pytest.approx(nats.mean(), abs=0.01)
    assert last.perplexity_per_token.value == pytest.approx(np.exp(nats.sum() / n_tokens.sum()), rel=0.01)
    assert last.perplexity_per_word == last.perplexity_per_token  # a word is a token here
    assert last.perplexity_per_token.low < last.perplexity_per_token.value < last.perplexity_per_token.high
    assert found.bounds[0].nats_per_text.value > last.nats_per_text.value
    assert (found.n_texts, found.n_tokens, found.n_words, found.n_cut) == (200, n_tokens.sum(), n_tokens.sum(), 0)
    assert found.log_likelihoods.shape == (200, 3)
    np.testing.assert_allclose(found.log_likelihoods[:, -1], -nats, atol=0.1)
    assert found.effective_samples.max() <= 100 + 1e-9
    assert found.dominated_share == 0


def test_all_bounds_agree_with_the_true_posterior():
    space = LinearGaussianSpace([1.0, 2.0])
    found = importance_weighted(space, space.sample_texts(30), n_samples=(1, 5))
    assert found.bounds[0].nats_per_text.value == pytest.approx(found.bounds[1].nats_per_text.value, abs=1e-4)
    np.testing.assert_allclose(found.effective_samples, 5, rtol=1e-4)


def test_a_hopeless_q_is_told():
    space = LinearGaussianSpace([3.0, 3.0], noise=0.1, shift=3.0)
    found = importance_weighted(space, space.sample_texts(30), n_samples=(50,))
    assert found.dominated_share > 0.9
    assert found.effective_samples.mean() < 2
    assert found.bounds[0].nats_per_text.value > -space.exact_log_likelihood(space.sample_texts(30)).mean() + 100


def test_given_token_counts_and_cut_texts():
    class Short(ToyLatentSpace):
        def truncated(self, texts):
            return np.array([len(text.split()) > 2 for text in texts])

    space = Short([1.0])
    found = importance_weighted(space, ["a", "b a", "a b a b"], n_samples=(5,), n_tokens=np.array([10, 10, 10]))
    assert (found.n_tokens, found.n_words, found.n_cut) == (30, 5, 1)
    total = -found.log_likelihoods[:, 0]
    assert found.bounds[0].perplexity_per_token.value == pytest.approx(np.exp(total.sum() / 30))
    assert found.bounds[0].perplexity_per_word.value == pytest.approx(np.exp(total[:2].sum() / 5))
    found = importance_weighted(space, ["a b a", "a b a b"], n_samples=(5,))
    assert found.bounds[0].perplexity_per_word is None
    assert json.loads(json.dumps(found.to_dict()))["bounds"][0]["perplexity_per_word"] is None


def test_identical_texts_have_an_interval_of_their_draws_only():
    space = LinearGaussianSpace([1.0])
    found = importance_weighted(space, ["0.5", "0.5", "0.5"], n_samples=(2,)).bounds[0].nats_per_text
    assert found.high - found.low < 1e-5


def test_to_dict_is_json():
    space = ToyLatentSpace([1.0])
    document = json.loads(json.dumps(importance_weighted(space, ["a", "b"], n_samples=(3,)).to_dict()))
    assert document["effective_samples"]["least"] <= document["effective_samples"]["mean"] <= 3
    assert document["bounds"][0]["n_samples"] == 3


def test_bad_input():
    space = ToyLatentSpace([1.0])
    with pytest.raises(DataError, match="1 text to weigh; expected 2"):
        importance_weighted(space, ["a"])
    for counts in ((), (0, 10)):
        with pytest.raises(InputError, match="expected numbers of 1 or more"):
            importance_weighted(space, ["a", "b"], n_samples=counts)
    for n_tokens in (np.array([1]), np.array([1, 0])):
        with pytest.raises(InputError, match="1 or more for each of 2 texts"):
            importance_weighted(space, ["a", "b"], n_tokens=n_tokens)
