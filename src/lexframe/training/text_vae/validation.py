"""How good a text VAE is on texts held out, while it is trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lexframe.spaces.text_vae.files import TextVAEModel
from lexframe.spaces.text_vae.network import token_log_probabilities
from lexframe.spaces.text_vae.texts import VAEText
from lexframe.training.text_vae.objective import gaussian_kl, information_bound, log_mean_exp

ACTIVE = 0.01
"""Variance of a posterior mean over texts above which a dimension is active (Burda et al., 2016)."""


def measure(
    model: TextVAEModel, texts: Sequence[VAEText], n_samples: int, *, seed: int, device: torch.device, batch_size: int = 100
) -> dict[str, Any]:
    """Reconstruction, KL, importance-weighted bound (all nats a text), what the latent tells, and active units on some texts.

    `information` is that of :func:`~lexframe.training.text_vae.objective.information_bound` over all of the texts, nats a text. For a
    decoder without latent all of its likelihood stands under both `reconstruction` and `bound`.
    """
    network, n_latent = model.network, model.network.shape.n_latent
    generator = torch.Generator().manual_seed(seed)
    sums, bounds, means, log_variances = np.zeros(2), [], [], []
    rows = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    for start in range(0, len(rows), batch_size):
        batch = model.texts.batch([texts[row] for row in rows[start : start + batch_size]]).to(device)
        if not n_latent:
            log_p = token_log_probabilities(network.decoder(batch.inputs, batch.mask, None), batch.targets, batch.mask).sum(1)
            sums += [-log_p.sum().item(), 0.0]
            bounds.append(log_p)
            continue
        mean, log_variance = network.posterior(batch.encoder_ids, batch.encoder_mask)
        log_weights = []
        for _ in range(n_samples):
            noise = torch.randn(mean.shape, generator=generator).to(device)
            z = mean + torch.exp(0.5 * log_variance) * noise
            log_p = token_log_probabilities(network.decoder(batch.inputs, batch.mask, z), batch.targets, batch.mask).sum(1)
            log_weights.append(log_p + 0.5 * (noise.square() + log_variance - z.square()).sum(1))
            sums[0] -= log_p.sum().item() / n_samples
        sums[1] += gaussian_kl(mean, log_variance).sum().item()
        bounds.append(log_mean_exp(torch.stack(log_weights, 1)))
        means.append(mean)
        log_variances.append(log_variance)
    active = int((torch.cat(means).var(0) > ACTIVE).sum()) if n_latent else 0
    information = information_bound(torch.cat(means), torch.cat(log_variances)).sum().item() if n_latent else 0.0
    return {
        "reconstruction": float(sums[0] / len(texts)),
        "kl": float(sums[1] / len(texts)),
        "bound": -torch.cat(bounds).mean().item(),
        "information": information,
        "active": active,
    }
