"""The prior where the texts are: nothing is written differently, and texts cost fewer nats."""

import numpy as np
import torch

from lexframe.spaces.text_vae.space import TextVAESpace
from lexframe.training.text_vae import prior as vae_prior
from lexframe.training.text_vae.objective import gaussian_kl
from lexframe.training.text_vae.prior import fit_prior
from lexframe.training.text_vae.validation import measure
from tests.spaces.text_vae.test_space import tiny_vae

ENDS = ("sat on the mat", "three", "five six", "dog cat")
TEXTS = [f"{first} {second}" for first in ("the cat", "a dog", "one two", "no") for second in ENDS]
CPU = torch.device("cpu")


def displaced():
    """A model whose latent lies off the prior, and is too narrow in one dimension."""
    model = tiny_vae(seed=1)
    with torch.no_grad():
        model.network.to_posterior[-1].bias[:4] += torch.tensor([3.0, -2.0, 0.0, 0.5])
        model.network.to_posterior[-1].weight[0] *= 0.1
        model.network.to_posterior[-1].bias[4:] -= 2
    return model


def test_moments_are_those_of_the_prior_and_nothing_is_written_differently():
    model = displaced()
    space = TextVAESpace(model)
    before = space.posterior(TEXTS)
    likelihoods = np.concatenate(space.token_log_likelihoods(TEXTS, before.means))
    written = space.decode(before.means)
    fit_prior(model, model.texts(TEXTS), device=CPU)
    after = space.posterior(TEXTS)
    np.testing.assert_allclose(after.means.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(after.means.var(axis=0) + np.exp(after.log_variances).mean(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(np.concatenate(space.token_log_likelihoods(TEXTS, after.means)), likelihoods, atol=1e-4)
    assert space.decode(after.means) == written


def test_texts_cost_fewer_nats():
    model = displaced()
    read = model.texts(TEXTS)
    before = measure(model, read, 3, seed=0, device=CPU)
    fit_prior(model, read, device=CPU)
    after = measure(model, read, 3, seed=0, device=CPU)
    assert after["kl"] < before["kl"] - 1
    np.testing.assert_allclose(after["reconstruction"], before["reconstruction"], rtol=1e-4)
    assert after["bound"] < before["bound"] - 1


def test_it_is_the_best_of_all_gaussian_priors_with_a_variance_a_dimension():
    model = displaced()
    fit_prior(model, model.texts(TEXTS), device=CPU)
    posterior = TextVAESpace(model).posterior(TEXTS)
    means, log_variances = torch.tensor(posterior.means), torch.tensor(posterior.log_variances)
    least = gaussian_kl(means, log_variances).sum()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):  # any further move of the coordinates costs
        center, scale = 0.1 * torch.randn(4, generator=generator), torch.exp(0.1 * torch.randn(4, generator=generator))
        assert gaussian_kl((means - center) / scale, log_variances - 2 * torch.log(scale)).sum() > least


def test_texts_are_drawn_and_not_the_first_of_a_sorted_file(monkeypatch):
    monkeypatch.setattr(vae_prior, "N_TEXTS", 8)
    read = displaced()
    seen = []
    monkeypatch.setattr(read.network, "posterior", lambda ids, mask, real=read.network.posterior: seen.append(len(ids)) or real(ids, mask))
    moved = displaced()
    fit_prior(read, read.texts(sorted(TEXTS)), device=CPU)
    fit_prior(moved, moved.texts(sorted(TEXTS)[:8]), device=CPU)
    assert sum(seen) == 8
    assert not np.allclose(TextVAESpace(read).posterior(TEXTS).means, TextVAESpace(moved).posterior(TEXTS).means, atol=1e-3)
