r"""Several opinions on the same texts as one: their log-probabilities are added, each with a weight that the labels set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize

from lexframe.linalg import softmax

INTERCEPT_SPREAD = 0.3
"""Of the prior on a class's intercept, in nats."""
SHARE_WEIGHT, SHARE_WEIGHT_SPREAD = 0.5, 0.3
"""Of the logarithm of a class's share: between 0, where labels were drawn equally by class, and 1, where they were drawn as they come."""


@dataclass(frozen=True, slots=True)
class OpinionPool:
    """Weights of opinions.

    Attributes
    ----------
    weights : ndarray of shape (n_opinions,)
        At least 0; 0 for one that the labels call useless.
    intercept : ndarray of shape (n_classes,)
    """

    weights: Float[np.ndarray, " v"]
    intercept: Float[np.ndarray, " k"]


def pool_opinions(
    opinions: Float[np.ndarray, "v n k"],
    y: Int[np.ndarray, " n"],
    means: Sequence[float] | Float[np.ndarray, " v"],
    spreads: Sequence[float] | Float[np.ndarray, " v"],
    shares: Float[np.ndarray, " k"] | None = None,
) -> OpinionPool:
    r"""Most probable weights of a logarithmic pool.

    .. math::
        p(y \mid x) = \mathrm{softmax}\Big( b + \sum_v \alpha_v s_v(x) \Big),\quad
        \alpha_v \sim N(\mu_v, \tau_v^2),\ \alpha_v \ge 0,\\
        b_c = \kappa_c \log \pi_c + \epsilon_c,\ \kappa_c \sim N(0.5, 0.3^2),\ \epsilon_c \sim N(0, 0.3^2)

    A convex problem in as many numbers as there are opinions and classes. Nobody says whether texts were drawn as they come (κ = 1) or
    equally by class (κ = 0); where shares are equal it makes no difference.

    Parameters
    ----------
    opinions : ndarray of shape (n_opinions, n, n_classes)
        Scores s_v of labeled texts, in nats up to a constant a row. An opinion that was formed from labels must not have seen the
        label of the text that it is asked about, or it is believed too much.
    y : ndarray of int, shape (n,)
        Class numbers; without any the weights are those expected before.
    means, spreads : sequence of float
        μ and τ, of each opinion.
    shares : ndarray of shape (n_classes,), optional
        π, of the classes among the labels. Default: equal.

    References
    ----------
    Genest and Zidek (1986), Combining probability distributions, Statistical Science 1: the logarithmic pool. Wolpert (1992), Stacked
    generalization, Neural Networks 5: weights from left-out opinions.
    """
    n_opinions, _, n_classes = opinions.shape
    expected, spread = np.asarray(means, np.float64), np.asarray(spreads, np.float64)
    log_shares = np.zeros(n_classes) if shares is None else np.log(shares) - np.log(shares).mean()
    usual, give = SHARE_WEIGHT * log_shares, np.sqrt(INTERCEPT_SPREAD**2 + (SHARE_WEIGHT_SPREAD * log_shares) ** 2)
    if not len(y):
        return OpinionPool(expected, usual)
    truth = np.eye(n_classes)[y]
    said = (opinions * truth).sum(axis=(1, 2))

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        weights, intercept = at[:n_opinions], at[n_opinions:]
        scores = np.tensordot(weights, opinions, 1) + intercept
        top = scores.max(axis=1, keepdims=True)
        fit = float((np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0]).sum() - (scores * truth).sum())
        away = (weights - expected) / spread
        off = (intercept - usual) / give
        value = fit + 0.5 * float((away**2).sum() + (off**2).sum())
        probabilities = softmax(scores)
        slope = np.tensordot(opinions, probabilities, 2) - said + away / spread
        return value, np.append(slope, (probabilities - truth).sum(axis=0) + off / give)

    begin = np.append(np.maximum(expected, 0.0), usual)
    bounds = [(0.0, None)] * n_opinions + [(None, None)] * n_classes
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-10, "gtol": 1e-7}).x
    return OpinionPool(found[:n_opinions], found[n_opinions:])
