"""Every part of the objective against its closed form."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lexframe.training.text_vae.objective import (
    bag_of_words_loss,
    cyclical_weight,
    dropped_words,
    free_bits,
    gaussian_kl,
    information_bound,
    linear_between,
    log_mean_exp,
)


def gaussians(n=4, d=3, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator), torch.randn(n, d, generator=generator) * 0.5


def test_kl_is_that_of_torch_and_of_a_monte_carlo_mean():
    mean, log_variance = gaussians()
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    torch.testing.assert_close(gaussian_kl(mean, log_variance), torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)))
    torch.manual_seed(0)
    z = q.sample((200_000,))
    draws = q.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z)
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - gaussian_kl(mean, log_variance)).abs() < 4 * error + 1e-6).all()


def test_the_reparameterised_gradient_is_the_finite_difference():
    mean, log_variance = (part.double().requires_grad_() for part in gaussians(2, 2))
    noise = torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def value(mean, log_variance):
        return torch.sin(mean + torch.exp(0.5 * log_variance) * noise).sum() + gaussian_kl(mean, log_variance).sum()

    assert torch.autograd.gradcheck(value, (mean, log_variance))


def test_free_bits_look_at_the_mean_of_the_batch_not_at_each_text():
    kl = torch.tensor([[0.0, 0.2], [1.0, 0.4]])  # means of 0.5 and 0.3
    assert free_bits(kl, 0.5).item() == pytest.approx(0.5 + 0.5)  # text by text the first would come to 0.75
    assert free_bits(kl, 0.0).item() == pytest.approx(0.8)


def test_free_bits_have_no_gradient_below_the_threshold_and_all_of_it_above():
    mean = torch.tensor([[0.1, 2.0], [-0.1, -2.0]], requires_grad=True)
    log_variance = torch.zeros(2, 2, requires_grad=True)
    total = free_bits(gaussian_kl(mean, log_variance), 0.5)
    assert total.item() == pytest.approx(0.5 + 2.0)  # dimension 0 has 0.005 nats and is lifted; dimension 1 has 2
    total.backward()
    assert torch.equal(mean.grad[:, 0], torch.zeros(2))
    assert torch.equal(log_variance.grad[:, 0], torch.zeros(2))
    torch.testing.assert_close(mean.grad[:, 1], torch.tensor([1.0, -1.0]))


def test_what_all_texts_share_tells_nothing():
    mean, log_variance = gaussians(500)
    together = torch.distributions.Normal(mean.mean(0), (mean.var(0, correction=0) + log_variance.exp().mean(0)).sqrt())
    kl = torch.distributions.kl_divergence(torch.distributions.Normal(mean, (0.5 * log_variance).exp()), together)
    torch.testing.assert_close(information_bound(mean, log_variance), kl.mean(0))
    moved = information_bound(3 * mean - 7, log_variance + 2 * math.log(3))
    torch.testing.assert_close(moved, information_bound(mean, log_variance))
    same = torch.full((5, 2), 4.0), torch.full((5, 2), -1.0)
    assert gaussian_kl(*same).mean() > 7
    torch.testing.assert_close(information_bound(*same), torch.zeros(2))


def test_the_hinge_is_on_the_batch_mean_and_not_on_each_text():
    mean = torch.tensor([[0.0], [2.0]], requires_grad=True)
    free_bits(gaussian_kl(mean, torch.zeros(2, 1)), 0.5).backward()
    assert mean.grad[1].item() == pytest.approx(1.0)  # the mean, 1 nat, is above although text 0 has none
    assert free_bits(gaussian_kl(*gaussians()), 0.0) == pytest.approx(gaussian_kl(*gaussians()).sum(1).mean().item())


def test_the_cycles_are_those_of_the_plan():
    weights = [cyclical_weight(step / 20 + 1e-9, warm_share=0.2, n_cycles=2, rise_share=0.5) for step in range(21)]
    expected = [0, 0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    assert cyclical_weight(0.0, warm_share=0.0, n_cycles=0, rise_share=0.5) == 1.0
    assert cyclical_weight(0.9, warm_share=0.1, n_cycles=4, rise_share=0.5, top=0.0) == 0.0


@given(st.floats(0, 1), st.floats(0, 0.9), st.integers(0, 6), st.floats(0, 1), st.floats(0, 2))
def test_a_weight_is_never_outside_its_range(fraction, warm_share, n_cycles, rise_share, top):
    assert 0 <= cyclical_weight(fraction, warm_share=warm_share, n_cycles=n_cycles, rise_share=rise_share, top=top) <= top


def test_words_are_dropped_at_their_rate_and_never_the_beginning_or_padding():
    mask = torch.ones(400, 50, dtype=torch.int64)
    mask[:, 40:] = 0
    hidden = dropped_words(mask, 0.3, torch.Generator().manual_seed(0))
    assert not hidden[:, 0].any()
    assert not hidden[:, 40:].any()
    share = hidden[:, 1:40].float().mean().item()
    assert abs(share - 0.3) < 4 * math.sqrt(0.3 * 0.7 / (400 * 39))
    assert torch.equal(hidden, dropped_words(mask, 0.3, torch.Generator().manual_seed(0)))
    assert not dropped_words(mask, 0.0, torch.Generator()).any()


def test_the_bag_of_words_is_a_multinomial_without_order_or_padding():
    logits = torch.randn(2, 6)
    targets = torch.tensor([[1, 4, 4], [2, 0, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    log_p = logits.log_softmax(-1)
    expected = -torch.stack([log_p[0, 1] + 2 * log_p[0, 4], log_p[1, 2]])
    torch.testing.assert_close(bag_of_words_loss(logits, targets, mask), expected)
    torch.testing.assert_close(bag_of_words_loss(logits, targets.flip(1), mask.flip(1)), expected)


def test_the_importance_weighted_bound_is_a_mean_of_weights():
    log_weights = torch.randn(5, 7)
    torch.testing.assert_close(log_mean_exp(log_weights), log_weights.exp().mean(1).log())
    torch.testing.assert_close(log_mean_exp(log_weights[:, :1]), log_weights[:, 0])
    assert torch.isfinite(log_mean_exp(torch.full((1, 3), -2000.0))).all()


def test_the_bound_is_exact_for_a_linear_gaussian_model_and_rises_with_the_samples():
    # z ~ N(0, 1), x | z ~ N(a z, 1), so log p(x) = log N(x; 0, a² + 1) and q = N(a x / (a² + 1), 1 / (a² + 1)) is exact.
    a, x = 1.5, torch.tensor([0.3, -2.0])
    exact = torch.distributions.Normal(0.0, math.sqrt(a * a + 1)).log_prob(x)
    prior = torch.distributions.Normal(0.0, 1.0)

    def weights(q, n):
        torch.manual_seed(0)
        z = q.sample((n,)).T
        return torch.distributions.Normal(a * z, 1.0).log_prob(x[:, None]) + prior.log_prob(z) - q.log_prob(z.T).T

    posterior = torch.distributions.Normal(a * x / (a * a + 1), math.sqrt(1 / (a * a + 1)))
    torch.testing.assert_close(log_mean_exp(weights(posterior, 1)), exact, atol=1e-5, rtol=0)
    wrong = torch.distributions.Normal(torch.zeros(2), 1.0)
    draws = weights(wrong, 200_000)
    bounds = [log_mean_exp(draws.reshape(-1, n)).reshape(2, -1).mean(1) for n in (1, 10, 100, 10_000)]
    assert all((later > earlier).all() for earlier, later in itertools.pairwise(bounds))
    torch.testing.assert_close(bounds[-1], exact, atol=0.02, rtol=0)


def test_linear_between_stays_between():
    assert [linear_between(1.0, 0.2, fraction) for fraction in (-1.0, 0.0, 0.5, 1.0, 2.0)] == pytest.approx([1, 1, 0.6, 0.2, 0.2])
