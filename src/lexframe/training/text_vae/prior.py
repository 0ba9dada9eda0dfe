"""Laying the latent of a trained text VAE where its prior is."""

from collections.abc import Sequence

import numpy as np
import torch

from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.text_vae.files import TextVAEModel
from lexframe.spaces.text_vae.texts import VAEText

N_TEXTS = 5000
_SMALLEST_SCALE = 1e-4


def fit_prior(model: TextVAEModel, texts: Sequence[VAEText], *, device: torch.device, batch_size: int = 100) -> None:
    """Move the coordinates of the latent so that the texts, taken together, have mean 0 and variance 1 in every dimension.

    Of all Gaussian priors with a variance a dimension, the one with the moments of the aggregate posterior has the smallest mean KL.
    That prior in today's coordinates is the standard normal one in the moved coordinates, so the model changes in nothing but its
    prior, and these texts cost fewer nats by its evidence lower bound. It matters where a free-bits hinge was on: a dimension can pay its
    share by a mean that is the same for all texts, and draws from the prior then land beside it, where nothing was ever written
    (compare the ex-post density of Ghosh et al., 2020 [1]_).

    Parameters
    ----------
    model : TextVAEModel
        Changed in place.
    texts : sequence of VAEText
        Of the training; 5,000 of them, drawn at random, are read.
    device : torch.device
        Of the network.
    batch_size : int
        Texts in one pass.

    References
    ----------
    .. [1] Ghosh et al. (2020), From Variational to Deterministic Autoencoders, ICLR, section 4.
    """
    drawn = np.random.default_rng(0).permutation(len(texts))[:N_TEXTS].tolist()  # a file may be sorted by what its texts are
    rows = sorted(drawn, key=lambda row: len(texts[row]))
    means, variances = [], []
    with evaluation_mode(model.network), torch.no_grad():
        for start in range(0, len(rows), batch_size):
            batch = model.texts.batch([texts[row] for row in rows[start : start + batch_size]]).to(device)
            mean, log_variance = model.network.posterior(batch.encoder_ids, batch.encoder_mask)
            means.append(mean.double())
            variances.append(log_variance.double().exp())
    points = torch.cat(means)
    variance = points.var(0, correction=0) + torch.cat(variances).mean(0)
    model.network.move_latent(points.mean(0).float(), variance.sqrt().clamp_min(_SMALLEST_SCALE).float())
