"""What the zero-shot scores of many texts say together: their mean, and how they spread along the points."""

import numpy as np
from jaxtyping import Float

from lexframe.linalg import softmax

SMOOTHING_TEMPERATURE = 0.25
"""Chosen on texts of the training files of seven sets, never on a test set."""


def shrunken_mean(values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    """Mean row, drawn towards zero as far as chance could have made it (James and Stein's estimate, never below zero)."""
    n_rows = len(values)
    mean = values.mean(axis=0)
    if n_rows < 2 or not mean.any():
        return np.zeros_like(mean)
    by_chance = float(values.var(axis=0, ddof=1).sum()) / n_rows
    return mean * max(0.0, 1 - by_chance / float((mean**2).sum()))


def propagation(features: Float[np.ndarray, "n d"], prior_scores: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "d k"]:
    r"""One step of label propagation along a linear kernel: what texts that lie alike are called, on average.

    .. math::
        q(x) = \frac{s}{n} \sum_j \varphi(x)^T \varphi(x_j)\, (p_j - \bar p),\quad p_j = \mathrm{softmax}(z(x_j) / T)

    with T = 1/4 and s such that q is spread as z is.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        φ of texts whose labels are not looked at, centered.
    prior_scores : ndarray of shape (n, k)
        Their zero-shot scores z, in nats.

    Returns
    -------
    ndarray of shape (d, k)
        Q, with ``q(x) = features @ Q``; zero where all texts are equal, or all scores.

    References
    ----------
    Zhu and Ghahramani (2002), Learning from Labeled and Unlabeled Data with Label Propagation, CMU-CALD-02-107. They iterate
    along a graph; a single step, taken from soft labels, is what helped here.
    """
    if not len(features):
        return np.zeros((features.shape[1], prior_scores.shape[1]))
    shares = softmax(prior_scores / SMOOTHING_TEMPERATURE)
    coef = features.T @ (shares - shares.mean(axis=0)) / len(features)
    spread = float((features @ coef).std())
    wanted = float((prior_scores - prior_scores.mean(axis=0)).std())
    return coef * (wanted / spread if spread > 1e-12 * max(wanted, 1.0) else 0.0)
