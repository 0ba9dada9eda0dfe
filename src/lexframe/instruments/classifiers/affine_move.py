"""The affine move of states that lowers the loss of the next tokens most, and the convex problem that finds it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Float

from lexframe.instruments.classifiers.next_token_head import Ids, NextTokenHead, States, mean_loss_and_gradient

_FLOOR = 1e-3
"""Part of the mean eigenvalue that is added before a root is inverted: directions that hardly vary stay tame."""


@dataclass(frozen=True, slots=True)
class AffineMove:
    """The move h' = h + A h + b.

    Attributes
    ----------
    matrix : ndarray of shape (n_dims, n_dims)
        A.
    offset : ndarray of shape (n_dims,)
        b.
    """

    matrix: Float[np.ndarray, "n_dims n_dims"]
    offset: Float[np.ndarray, " n_dims"]

    def __call__(self, states: States) -> States:
        """Moved states, in the precision of `states`."""
        return states + states @ self.matrix.T.astype(states.dtype) + self.offset.astype(states.dtype)


class AffineProblem:
    r"""The convex problem whose solution is the affine move.

    With :math:`z = [1, R (h - m)]`, R the inverse root of the states' covariance, and W the inverse root of the Fisher
    information of the head, the move is :math:`W B z`. To second order :math:`\|B\|^2 / 2` is the divergence in nats
    between moved and frozen predictions. We minimise

    .. math:: \frac1n \sum_i -\ln p(y_i \mid h_i + W B z_i)
              + \frac{d^2}{4 n \kappa} \Big( \|B_{:,1:}\|^2 + \frac1d \|B_{:,0}\|^2 \Big),

    which is the most probable B if the matrix and the offset are each expected to move predictions by :math:`\kappa` nats.
    Logits are affine in B, so without a soft cap the problem is convex. Neither a change of basis of the states nor the
    size of the text changes what a value of :math:`\kappa` means.

    Parameters
    ----------
    states : ndarray of shape (n, n_dims)
        From which mean and covariance are taken.
    head : NextTokenHead
        Frozen.
    fisher : ndarray of shape (n_dims, n_dims)
        Of :class:`HeadStatistics`.
    """

    def __init__(self, states: States, head: NextTokenHead, fisher: Float[np.ndarray, "n_dims n_dims"]):
        self.head = head
        self.mean = states.mean(axis=0, dtype=np.float64)
        self.read = _inverse_root(np.cov(states.T, bias=True, dtype=np.float64).reshape(fisher.shape))
        self.write = _inverse_root(fisher)

    def features(self, states: States) -> Float[np.ndarray, "n n_features"]:
        """Rows z, in the precision of the states, shape (n, n_dims + 1)."""
        whitened = (states - self.mean.astype(states.dtype)) @ self.read.astype(states.dtype)
        return np.concatenate([np.ones((len(states), 1), dtype=states.dtype), whitened], axis=1)

    def penalty(self, n: int, expected_move: float) -> Float[np.ndarray, " n_features"]:
        """Weight of the squares of each column of B, for a text of n tokens."""
        n_dims = len(self.mean)
        weights = np.full(n_dims + 1, n_dims**2 / (2 * n * expected_move))
        weights[0] /= n_dims
        return weights

    def objective(
        self,
        coefficients: Float[np.ndarray, "n_dims n_features"],
        states: States,
        features: Float[np.ndarray, "n n_features"],
        next_ids: Ids,
        penalty: Float[np.ndarray, " n_features"],
    ) -> tuple[float, Float[np.ndarray, "n_dims n_features"]]:
        """Penalised mean loss at B, and its gradient."""
        moved = states + features @ (self.write @ coefficients).T.astype(states.dtype)
        loss, gradient = mean_loss_and_gradient(moved, next_ids, self.head)
        by_coefficients = self.write @ (gradient.T @ features).astype(np.float64)
        return loss + 0.5 * float((penalty * coefficients**2).sum()), by_coefficients + penalty * coefficients

    def solve(
        self,
        states: States,
        next_ids: Ids,
        *,
        expected_move: float,
        start: Float[np.ndarray, "n_dims n_features"] | None = None,
        max_iterations: int = 8,
        tolerance: float = 1e-4,
    ) -> Float[np.ndarray, "n_dims n_features"]:
        """Minimise by L-BFGS, until an iteration lowers the loss by less than the share `tolerance`."""
        n_dims = len(self.mean)
        begin = np.zeros((n_dims, n_dims + 1)) if start is None else start
        if max_iterations == 0:
            return begin
        features, penalty = self.features(states), self.penalty(len(states), expected_move)

        def flat(values: Any) -> Any:
            value, gradient = self.objective(values.reshape(begin.shape), states, features, next_ids, penalty)
            return value, gradient.ravel()

        options: Any = {"maxiter": max_iterations, "ftol": tolerance, "gtol": 0.0}
        found: Any = scipy.optimize.minimize(flat, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
        return found.x.reshape(begin.shape)

    def move(self, coefficients: Float[np.ndarray, "n_dims n_features"]) -> AffineMove:
        """B as A and b."""
        matrix = self.write @ coefficients[:, 1:] @ self.read
        return AffineMove(matrix, self.write @ coefficients[:, 0] - matrix @ self.mean)


def _inverse_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = scipy.linalg.eigh(matrix)
    floor = _FLOOR * max(float(values.mean()), np.finfo(np.float64).tiny)
    return (vectors / np.sqrt(np.maximum(values, 0.0) + floor)) @ vectors.T
