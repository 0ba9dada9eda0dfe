"""The nearest point at which a linear classifier is sure enough of a class."""

import numpy as np
from jaxtyping import Float

SLACK = 1e-6
"""Of the log-odds, so that rounding leaves no point just below what was asked for."""
_MOST_ROUNDS = 200


def nearest_in_class(
    start: Float[np.ndarray, "n_points n_dims"],
    coefficients: Float[np.ndarray, "n_classes n_dims"],
    intercept: Float[np.ndarray, " n_classes"],
    target: int,
    probability: float,
) -> Float[np.ndarray, "n_points n_dims"]:
    r"""Nearest points to `start`, by Euclidean distance, at which softmax gives the target class a probability.

    The log-odds :math:`g(z) = \ell_t(z) - \log\sum_{j\ne t} e^{\ell_j(z)}` are concave, so the points where they suffice form a convex
    set, and every half-space :math:`g(x) + \nabla g(x)\cdot(z - x) \ge \operatorname{logit} p` holds all of it. Each round steps along the
    gradient onto such a half-space and, by Haugazeau's rule [1]_, to the point of it nearest to the start that is no nearer than the
    last one: that leads to the nearest point of the set. For two classes g is linear and the first round ends there.

    Parameters
    ----------
    start : ndarray of shape (n_points, n_dims)
    coefficients : ndarray of shape (n_classes, n_dims)
    intercept : ndarray of shape (n_classes,)
        Logits are ``z @ coefficients.T + intercept``.
    target : int
        Number of the class.
    probability : float
        In (0, 1). Points that have it already stay.

    Returns
    -------
    ndarray of shape (n_points, n_dims), float64
        Where the classes cannot be told apart by any move, and after 200 rounds, what was reached.

    References
    ----------
    .. [1] Bauschke and Combettes (2001), A weak-to-strong convergence principle for Fejér-monotone methods in Hilbert spaces, section 6.
    """
    goal = float(np.log(probability) - np.log1p(-probability)) + SLACK
    others = np.delete(np.arange(len(coefficients)), target)
    points = start.copy()
    active = np.arange(len(start))
    for _ in range(_MOST_ROUNDS):
        x0, x = start[active], points[active]
        logits = x @ coefficients.T + intercept
        rest = logits[:, others]
        peak = rest.max(axis=1, keepdims=True)
        shares = np.exp(rest - peak)
        total = shares.sum(axis=1, keepdims=True)
        deficit = goal - (logits[:, target] - peak[:, 0] - np.log(total[:, 0]))
        gradient = coefficients[target] - (shares / total) @ coefficients[others]
        squares = (gradient**2).sum(axis=1)
        going = (deficit > SLACK / 2) & (squares > 0)
        if not going.any():
            break
        active, x0, x = active[going], x0[going], x[going]
        y = x + (deficit[going] / squares[going])[:, np.newaxis] * gradient[going]
        points[active] = _no_nearer(x0, x, y)
    return points


def _no_nearer(x0: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Projection of x0 onto the half-spaces beyond y as seen from x, and beyond x as seen from x0."""
    pi, mu, nu = ((a * b).sum(axis=1, keepdims=True) for a, b in ((x0 - x, x - y), (x0 - x, x0 - x), (x - y, x - y)))
    rho = np.maximum(mu * nu - pi**2, 0.0)
    in_line = rho <= 1e-14 * mu * nu
    safe = np.where(in_line, 1.0, rho)
    along = x0 + (1 + pi / nu) * (y - x)
    corner = x + nu / safe * (pi * (x0 - x) + mu * (y - x))
    return np.where(in_line, y, np.where(pi * nu >= rho, along, corner))
