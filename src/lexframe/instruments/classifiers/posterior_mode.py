"""The most probable logistic regression given labels and a prior: a convex problem, solved in coordinates that suit it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from lexframe.linalg import softmax

INTERCEPT_PRECISION = 1.0
ROWS_OF_CURVATURE = 1000
FIRST_ITERATIONS = (10, 20)
MOST_NUMBERS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class PosteriorMode:
    """The most probable parameters given the labels.

    Attributes
    ----------
    coef : ndarray of shape (n_features, n_classes)
    intercept : ndarray of shape (n_classes,)
    """

    coef: Float[np.ndarray, "d k"]
    intercept: Float[np.ndarray, " k"]

    def scores(self, features: Float[np.ndarray, "n d"], offset: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """Unnormalised log-probabilities of the classes."""
        return features @ self.coef + self.intercept + offset


def posterior_mode(
    features: Float[np.ndarray, "n d"],
    offset: Float[np.ndarray, "n k"],
    y: Int[np.ndarray, " n"],
    precision: float,
    *,
    start: PosteriorMode | None = None,
    max_iterations: int = 200,
    tolerance: float = 1e-7,
    near: bool = False,
) -> PosteriorMode:
    r"""Maximise the posterior of W and b; a convex problem, solved by L-BFGS.

    .. math::
        p(y \mid x) = \mathrm{softmax}(\alpha z(x) + b + W^T \varphi(x)),\quad
        W \sim N(0, \lambda^{-1} I),\ b \sim N(0, I)

    Parameters
    ----------
    features : ndarray of shape (n, d)
        φ(x).
    offset : ndarray of shape (n, k)
        α z(x): zero-shot log-probabilities in nats, as far as they are trusted, up to a constant a row. All zero where there is no prior.
    y : ndarray of int, shape (n,)
        Class numbers.
    precision : float
        λ.
    start : PosteriorMode, optional
        Where to begin, such as the mode for a near λ.
    max_iterations : int
        Of L-BFGS.
    tolerance : float
        Relative change of the objective at which it stops.
    near : bool
        Whether `start` is near the mode.

    Returns
    -------
    PosteriorMode
        With no rows at all the mode of the prior: W = 0, b = 0.
    """
    d, k = features.shape[1], offset.shape[1]
    start = start or PosteriorMode(np.zeros((d, k)), np.zeros(k))
    if not len(y):
        return start
    problem = (features, offset, np.eye(k)[y], precision)
    found = np.concatenate([start.coef.ravel(), start.intercept])
    # From a start that is near the mode, the curvature is what it will be.
    for n_iterations in (max_iterations,) if near else (*FIRST_ITERATIONS, max_iterations):
        found, converged = _descend(found, problem, n_iterations, tolerance)
        if converged:
            break
    return PosteriorMode(found[: d * k].reshape(d, k), found[d * k :])


def mode_of_many(features: np.ndarray, offset: np.ndarray, y: np.ndarray, precision: float) -> PosteriorMode:
    """The mode; of a large table first for a part of its rows, then, from there and with products in float32, for all."""
    if features.size <= MOST_NUMBERS_AT_ONCE:
        return posterior_mode(features, offset, y, precision)
    features = features.astype(np.float32)
    part = slice(None, None, max(1, len(features) // ROWS_OF_CURVATURE))
    start = posterior_mode(features[part], offset[part], y[part], precision, tolerance=1e-5)
    return posterior_mode(features, offset, y, precision, start=start, tolerance=1e-6, near=True)


def _descend(
    parameters: np.ndarray, problem: tuple[np.ndarray, np.ndarray, np.ndarray, float], n_iterations: int, tolerance: float
) -> tuple[np.ndarray, bool]:
    """So many iterations of L-BFGS, in coordinates in which the curvature here is about one in every direction.

    Otherwise ten times as many would be needed; as the fit becomes sure of more texts the curvature falls, so a long descent
    is taken in several parts.
    """
    features, offset, truth, precision = problem
    d, k = features.shape[1], truth.shape[1]
    share = softmax(_scores(parameters, features, offset))
    weights = (share * (1 - share)).mean(axis=1)
    factor = curvature_factor(features, weights, precision)
    rate = 1 / np.sqrt(INTERCEPT_PRECISION + weights.sum())

    def unscaled(scaled: np.ndarray) -> np.ndarray:
        coef = solve_triangular(factor, scaled[: d * k].reshape(d, k), lower=True, trans="T", check_finite=False)
        return np.concatenate([coef.ravel(), scaled[d * k :] * rate])

    def objective(scaled: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = negative_log_posterior(unscaled(scaled), *problem)
        of_coef = solve_triangular(factor, gradient[: d * k].reshape(d, k), lower=True, check_finite=False)
        return loss, np.concatenate([of_coef.ravel(), gradient[d * k :] * rate])

    begin = np.concatenate([(factor.T @ parameters[: d * k].reshape(d, k)).ravel(), parameters[d * k :] / rate])
    result: Any = minimize(objective, begin, jac=True, method="L-BFGS-B", options={"maxiter": n_iterations, "ftol": tolerance})
    return unscaled(result.x), bool(result.success)


def curvature_factor(features: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " n"], precision: float) -> Float[np.ndarray, "d d"]:
    """Lower Cholesky factor of the Hessian of one class, on average over classes: the weighted Gram matrix, and λ.

    The Gram matrix is estimated from some 1,000 rows: it only sets the pace.
    """
    every = max(1, len(features) // ROWS_OF_CURVATURE)
    part = features[::every] * np.sqrt(weights[::every, np.newaxis] * every).astype(features.dtype)
    gram = part.T @ part
    gram[np.diag_indices_from(gram)] += precision
    return np.linalg.cholesky(gram).astype(np.float64)


def negative_log_posterior(
    parameters: Float[np.ndarray, " p"],
    features: Float[np.ndarray, "n d"],
    offset: Float[np.ndarray, "n k"],
    truth: Float[np.ndarray, "n k"],
    precision: float,
) -> tuple[float, Float[np.ndarray, " p"]]:
    """Minus the log-posterior, up to a constant, and its gradient.

    Parameters
    ----------
    parameters : ndarray of shape (d * k + k,)
        W by row, and b.
    features, offset : ndarray
        See :func:`posterior_mode`.
    truth : ndarray of shape (n, k)
        One-hot labels.
    precision : float
        λ.
    """
    d, k = features.shape[1], truth.shape[1]
    coef, intercept = parameters[: d * k].reshape(d, k), parameters[d * k :]
    scores = _scores(parameters, features, offset)
    top = scores.max(axis=1, keepdims=True)
    exponentials = np.exp(scores - top)
    totals = exponentials.sum(axis=1, keepdims=True)
    loss = float((np.log(totals) + top).sum() - (scores * truth).sum())
    loss += 0.5 * (precision * (coef**2).sum() + INTERCEPT_PRECISION * (intercept**2).sum())
    residual = exponentials / totals - truth
    gradient = np.empty_like(parameters)
    gradient[: d * k] = (features.T @ residual.astype(features.dtype) + precision * coef).ravel()
    gradient[d * k :] = residual.sum(axis=0) + INTERCEPT_PRECISION * intercept
    return loss, gradient


def _scores(parameters: np.ndarray, features: np.ndarray, offset: np.ndarray) -> np.ndarray:
    d, k = features.shape[1], offset.shape[1]
    coef = parameters[: d * k].reshape(d, k).astype(features.dtype)
    return (features @ coef).astype(np.float64) + parameters[d * k :] + offset
