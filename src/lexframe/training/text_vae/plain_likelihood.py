"""What a plain language model, trained beside a text VAE, needs for each text."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from lexframe.exceptions import InputError
from lexframe.spaces.base import Progress
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.text_vae.files import TextVAEModel
from lexframe.spaces.text_vae.network import token_log_probabilities


def plain_nats(
    model: TextVAEModel, texts: Sequence[str], *, batch_size: int = 100, progress: Progress = iter
) -> Float[np.ndarray, " n_texts"]:
    """Minus the log-probability of each text with its end, in nats, under a decoder without a latent.

    Their mean is the ``bound`` that :func:`~lexframe.training.text_vae.validation.measure` gives.

    Parameters
    ----------
    model : TextVAEModel
        With ``n_latent`` 0.
    texts : sequence of str
        Any number, none included. A text longer than the model takes is cut.
    batch_size : int
        Texts in one pass.
    progress : callable
        Wraps the iteration over batches.

    Raises
    ------
    InputError
        If the model has a latent.
    """
    network = model.network
    if network.shape.n_latent:
        raise InputError(
            f"The model has a latent of {network.shape.n_latent} dimensions; a plain language model has none. Train one with n_latent 0."
        )
    read, device = model.texts(texts), next(network.parameters()).device
    rows = sorted(range(len(read)), key=lambda row: len(read[row]))
    nats = np.zeros(len(read))
    with evaluation_mode(network), torch.no_grad():
        for start in progress(range(0, len(rows), batch_size)):
            chosen = rows[start : start + batch_size]
            batch = model.texts.batch([read[row] for row in chosen]).to(device)
            logits = network.decoder(batch.inputs, batch.mask, None)
            nats[chosen] = -token_log_probabilities(logits, batch.targets, batch.mask).sum(1).double().cpu().numpy()
    return nats
