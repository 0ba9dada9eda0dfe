"""Importance weights of samples from q, and the bound on a text's likelihood that they give."""

import numpy as np
from jaxtyping import Float

from lexframe.checks import texts_in
from lexframe.exceptions import DataError, InputError
from lexframe.generative.score.diagonal_gaussian import LOG_2_PI, log_density
from lexframe.generative.score.likelihoods import checked_likelihoods, checked_posterior_of
from lexframe.spaces.base import LatentVariableSpace, Posterior, Progress
from lexframe.typing import ModelName, Texts

PAIRS_A_BLOCK = 2**16  # of text and z that are held at once


def importance_weighted_log_likelihood(log_weights: Float[np.ndarray, "n_texts n_samples"]) -> Float[np.ndarray, " n_texts"]:
    r"""Bound on log p(x) from the weights of all samples: :math:`\ln \frac1K \sum_k w_k`, in nats.

    Parameters
    ----------
    log_weights : ndarray of shape (n_texts, n_samples)
        :math:`\ln w_k = \ln p(x|z_k) + \ln p(z_k) - \ln q(z_k|x)` with z_k from q; minus infinity where the model gives the text no chance.

    Returns
    -------
    ndarray of shape (n_texts,), float64
        In expectation below log p(x), rising with K.

    Raises
    ------
    InputError
        If there is no sample.
    DataError
        If a weight is NaN or infinite.

    References
    ----------
    Burda et al. (2016), Importance Weighted Autoencoders, arXiv:1509.00519, eq. 8.
    """
    highest, scaled = _scaled(log_weights)
    with np.errstate(divide="ignore"):  # a text without a chance has the logarithm of nothing
        return highest + np.log(scaled.mean(axis=1))


def grouped_log_likelihood(log_weights: Float[np.ndarray, "n_texts n_samples"], n_samples: int) -> Float[np.ndarray, " n_texts"]:
    """The bound from `n_samples` samples, averaged over as many disjoint groups as the weights hold.

    Parameters
    ----------
    log_weights : ndarray of shape (n_texts, n_weights)
        See :func:`importance_weighted_log_likelihood`.
    n_samples : int
        K, at most n_weights. What does not fill a group is left out.

    Raises
    ------
    InputError
        If there are not so many weights.
    """
    n_texts, n_weights = log_weights.shape
    if not 1 <= n_samples <= n_weights:
        raise InputError(f"A bound of {n_samples} samples was asked for, but there are {n_weights} a text. Draw more, or ask for fewer.")
    n_groups = n_weights // n_samples
    groups = log_weights[:, : n_groups * n_samples].reshape(n_texts * n_groups, n_samples)
    return importance_weighted_log_likelihood(groups).reshape(n_texts, n_groups).mean(axis=1)


def effective_sample_size(log_weights: Float[np.ndarray, "n_texts n_samples"]) -> Float[np.ndarray, " n_texts"]:
    r"""How many equal weights would be as good as these: :math:`(\sum w)^2 / \sum w^2`, from 1 to n_samples.

    Parameters
    ----------
    log_weights : ndarray of shape (n_texts, n_samples)
        See :func:`importance_weighted_log_likelihood`.

    Returns
    -------
    ndarray of shape (n_texts,)
        1 where all weights are zero. A large size does not prove that nothing is missing: q may miss where the weight lies.

    References
    ----------
    Kong (1992), A note on importance sampling using standardized weights.
    """
    _, scaled = _scaled(log_weights)
    squares = np.square(scaled).sum(axis=1)
    return np.where(squares > 0, np.square(scaled.sum(axis=1)) / np.where(squares > 0, squares, 1.0), 1.0)


def largest_weight_share(log_weights: Float[np.ndarray, "n_texts n_samples"]) -> Float[np.ndarray, " n_texts"]:
    """Share of a text's weight that its heaviest sample has; 1 where all weights are zero.

    Parameters
    ----------
    log_weights : ndarray of shape (n_texts, n_samples)
        See :func:`importance_weighted_log_likelihood`.
    """
    return 1.0 / np.maximum(_scaled(log_weights)[1].sum(axis=1), 1.0)  # the heaviest is scaled to 1


def log_weights(
    space: LatentVariableSpace | ModelName,
    texts: Texts,
    posterior: Posterior,
    *,
    n_samples: int = 100,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress = iter,
) -> Float[np.ndarray, "n_texts n_samples"]:
    """Log importance weights: log p(x | z) + log p(z) - log q(z | x) at samples of q, in nats.

    Every text has draws of its own, told by the seed and its place: the first of many samples are those of few, and what is computed
    together changes nothing. Only so many z are held at once.

    Parameters
    ----------
    space : LatentVariableSpace or str
        The model.
    texts : sequence of str
        Any number, none included.
    posterior : Posterior
        The q of these texts, such as ``space.posterior(texts)``.
    n_samples : int
        Draws a text.
    seed : int
        Of the draws.
    batch_size : int, optional
        Pairs of text and z in one pass of the model.
    progress : callable
        Wraps the iteration over blocks of pairs.

    Returns
    -------
    ndarray of shape (n_texts, n_samples), float64

    Raises
    ------
    InputError, DataError
        If `n_samples` is below 1, the posterior is of other texts or another space, or the model gives NaN.
    """
    space = LatentVariableSpace.of(space)
    texts = texts_in(texts)
    if n_samples < 1:
        raise InputError(f"n_samples is {n_samples}; expected 1 draw a text or more.")
    means, log_variances = checked_posterior_of(posterior, texts, space)
    width = min(n_samples, PAIRS_A_BLOCK)
    n_rows = max(1, PAIRS_A_BLOCK // width)
    result = np.empty((len(texts), n_samples))
    for first in progress(range(0, len(texts), n_rows)):
        rows = range(first, min(first + n_rows, len(texts)))
        generators = [np.random.default_rng((seed, row)) for row in rows]
        own_means, own_log_variances = means[rows, np.newaxis], log_variances[rows, np.newaxis]
        for start in range(0, n_samples, width):
            count = min(width, n_samples - start)
            noise = np.stack([generator.standard_normal((count, space.n_dims), dtype=np.float32) for generator in generators])
            points = (own_means + np.exp(0.5 * own_log_variances) * noise).astype(np.float32)
            likelihoods = checked_likelihoods(space, [texts[row] for row in rows], points, first=first, batch_size=batch_size)
            # Densities at the point as the model saw it, rounding included, not at the noise it was made of.
            prior = -0.5 * (np.square(points.astype(np.float64)) + LOG_2_PI).sum(axis=-1)
            result[rows, start : start + count] = likelihoods + prior - log_density(points, own_means, own_log_variances)
    return result


def _scaled(log_weights: Float[np.ndarray, "n_texts n_samples"]) -> tuple[np.ndarray, np.ndarray]:
    """The heaviest log-weight of each text (0 if it has no weight), and the weights over it."""
    weights = np.asarray(log_weights, dtype=np.float64)
    if not weights.shape[1]:
        raise InputError("There are no weights: expected at least one sample a text.")
    bad = (np.isnan(weights) | (weights == np.inf)).any(axis=1)
    if bad.any():
        raise DataError(
            f"The log-weights of text {int(np.flatnonzero(bad)[0])} hold NaN or plus infinity ({int(bad.sum())} of {len(bad)} texts). "
            "Look at the likelihoods and the posterior of that text."
        )
    highest = weights.max(axis=1)
    highest = np.where(np.isneginf(highest), 0.0, highest)
    return highest, np.exp(weights - highest[:, np.newaxis])
