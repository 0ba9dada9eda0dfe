"""Asking a latent-variable model for likelihoods, and refusing what is none."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.diagonal_gaussian import checked_moments
from lexframe.spaces.base import LatentVariableSpace, Posterior


def checked_posterior_of(
    posterior: Posterior, texts: Sequence[str], space: LatentVariableSpace
) -> tuple[Float[np.ndarray, "n_texts n_dims"], Float[np.ndarray, "n_texts n_dims"]]:
    """Means and log-variances in float64, of as many texts and dimensions as there are.

    Parameters
    ----------
    posterior : Posterior
        One Gaussian a text.
    texts : sequence of str
        What it is of.
    space : LatentVariableSpace
        Whose latent it lies in.

    Raises
    ------
    InputError
        If it is of another number of texts or dimensions.
    DataError
        If it holds numbers that describe no Gaussian.
    """
    means, log_variances = checked_moments(posterior)
    if means.shape != (len(texts), space.n_dims):
        raise InputError(
            f"The posterior is of {means.shape[0]} texts in {means.shape[1]} dimensions, but there are {len(texts)} texts and the "
            f"space has {space.n_dims} dimensions. Make it of these texts with the posterior() of this space."
        )
    return means, log_variances


def checked_likelihoods(
    space: LatentVariableSpace,
    texts: Sequence[str],
    points: Float32[np.ndarray, "n_texts n_samples n_dims"],
    *,
    first: int = 0,
    batch_size: int | None = None,
) -> Float[np.ndarray, "n_texts n_samples"]:
    """Log p(x | z) of every text at its points, all finite.

    Parameters
    ----------
    space : LatentVariableSpace
        The model.
    texts : sequence of str
        A block of them.
    points : ndarray of shape (n_texts, n_samples, n_dims), float32
        Some z a text.
    first : int
        Place of the first of them among all texts, for the message.
    batch_size : int, optional
        Pairs of text and z in one pass.

    Raises
    ------
    DataError
        If one is NaN or infinite.
    """
    found = space.log_likelihoods(texts, points, batch_size=batch_size)
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"The model gives text {first + row} ({texts[row][:40]!r}) a log-likelihood that is not finite. "
            "Look at its weights, or go back to a checkpoint from before the loss broke."
        )
    return found.astype(np.float64)
