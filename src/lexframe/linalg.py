"""Array maths that several instruments share. Pure functions, float64 inside."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Float, Int

from lexframe.typing import Matrix, Vectors


@dataclass(frozen=True, slots=True)
class GramInverse:
    """The (pseudo-)inverse of a Gram matrix :math:`M = U^T U`, factored once.

    Attributes
    ----------
    gram : ndarray of shape (n_dims, n_dims)
        M, float64.
    inverse : ndarray of shape (n_dims, n_dims)
        :math:`M^{-1}`, or :math:`M^{+}` when directions were cut off.
    rank : int
        Directions kept.
    condition_number : float
        Largest over smallest kept eigenvalue of M.
    """

    gram: Float[np.ndarray, "n_dims n_dims"]
    inverse: Float[np.ndarray, "n_dims n_dims"]
    rank: int
    condition_number: float


def gram_matrix(rows: Matrix, *, block: int = 8192) -> Float[np.ndarray, "columns columns"]:
    """:math:`U^T U` in float64, over blocks of rows, so that no float64 copy of U is made."""
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), block):
        part = rows[start : start + block].astype(np.float64)
        total += part.T @ part
    return total


def invert_gram(gram: Float[np.ndarray, "n_dims n_dims"], *, rcond: float = 1e-12) -> GramInverse:
    """Invert a Gram matrix by Cholesky, or by eigendecomposition where it is ill-conditioned.

    Parameters
    ----------
    gram : ndarray of shape (n_dims, n_dims)
        Symmetric, positive semi-definite, float64.
    rcond : float
        Eigenvalues below `rcond` times the largest count as zero. The eigenvalues are squared singular values
        of U, so the default cuts singular values below 1e-6 of the
        largest: there some four digits of the inverse are left.

    Returns
    -------
    GramInverse
    """
    gram = np.asarray(gram, dtype=np.float64)
    eigenvalues = scipy.linalg.eigvalsh(gram)
    largest = max(float(eigenvalues[-1]), 0.0)
    kept = eigenvalues > rcond * largest
    rank = int(kept.sum())
    condition = float(largest / eigenvalues[kept][0]) if rank else np.inf
    if rank == len(gram):
        factor = scipy.linalg.cho_factor(gram, lower=True)
        inverse = scipy.linalg.cho_solve(factor, np.eye(len(gram)))
    else:
        values, vectors = scipy.linalg.eigh(gram)
        kept = values > rcond * largest
        inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T if rank else np.zeros_like(gram)
    return GramInverse(gram=gram, inverse=(inverse + inverse.T) / 2, rank=rank, condition_number=condition)


def unit_rows(vectors: Vectors, metric: Float[np.ndarray, "n_dims n_dims"] | None = None) -> Float[np.ndarray, "n_vectors n_dims"]:
    r"""Rows divided by their length; a zero row stays zero.

    Parameters
    ----------
    vectors : ndarray of shape (n_vectors, n_dims)
        Any precision; the result is float64.
    metric : ndarray of shape (n_dims, n_dims), optional
        Symmetric positive semi-definite M: lengths are :math:`\sqrt{v^T M v}` instead of Euclidean.
    """
    vectors = vectors.astype(np.float64)
    squares = np.einsum("ij,ij->i", vectors if metric is None else vectors @ metric, vectors)
    lengths = np.sqrt(np.maximum(squares, 0.0))
    return vectors / np.where(lengths > 0, lengths, 1.0)[:, np.newaxis]


def cosine(
    vectors: Float[np.ndarray, "n_vectors n_dims"],
    others: Float[np.ndarray, "n_others n_dims"],
    metric: Float[np.ndarray, "n_dims n_dims"] | None = None,
) -> Float[np.ndarray, "n_vectors n_others"]:
    """Cosine of every vector with every other, in [-1, 1]; 0 where one of them is zero.

    With `metric` M the angle is that of the inner product :math:`a^T M b`.
    """
    left, right = unit_rows(vectors, metric), unit_rows(others, metric)
    if metric is not None:
        right = right @ metric
    return np.clip(left @ right.T, -1.0, 1.0)


def metric_root(metric: Float[np.ndarray, "n_dims n_dims"]) -> Float[np.ndarray, "n_dims n_dims"]:
    """The symmetric root R of M: cosines of ``v @ R`` are cosines of v in the metric M."""
    values, vectors = scipy.linalg.eigh(np.asarray(metric, dtype=np.float64))
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def shrunken_whitening(
    points: Float[np.ndarray, "n_points n_dims"], *, most: int = 20_000
) -> tuple[Float[np.ndarray, " n_dims"], Float[np.ndarray, "n_dims n_dims"]]:
    """Mean and symmetric matrix W such that ``(points - mean) @ W`` has about the identity as its covariance.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_dims)
    most : int
        Points that are looked at, evenly spread over the rows.

    Returns
    -------
    center : ndarray of shape (n_dims,), float32
    whitening : ndarray of shape (n_dims, n_dims), float32
        The identity where all points are equal.

    References
    ----------
    Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices: it draws the
    covariance towards a sphere, so that few points or flat directions do not blow up.
    """
    from sklearn.covariance import ledoit_wolf  # a second to import, and few need it

    part = points[:: max(1, -(-len(points) // most))].astype(np.float64)
    if len(part) < 2 or not part.std(axis=0).any():
        center = part.mean(axis=0) if len(part) else np.zeros(points.shape[1])
        return center.astype(np.float32), np.eye(points.shape[1], dtype=np.float32)
    covariance, _ = ledoit_wolf(part)
    values, vectors = scipy.linalg.eigh(covariance)
    values = np.maximum(values, 1e-12 * values[-1])
    return part.mean(axis=0).astype(np.float32), ((vectors / np.sqrt(values)) @ vectors.T).astype(np.float32)


def softmax(scores: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Row-wise softmax that does not overflow."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def rows_by_class(y: Int[np.ndarray, " n"], most: int, *, seed: int, least: int = 0) -> Int[np.ndarray, " m"]:
    """At most `most` rows, drawn so that the shares of classes stay.

    However many classes there are it cannot fail; with fewer rows than classes some have none.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Class numbers.
    most : int
        Rows to keep; all of them if there are no more.
    seed : int
        Of the draw. With the same seed a smaller part lies in a larger one.
    least : int
        Rows that a class keeps before shares count, where it has them and there is room.

    Returns
    -------
    ndarray of int, shape (min(n, most),)
        Sorted.
    """
    if len(y) <= most:
        return np.arange(len(y))
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]  # by class, within a class as drawn
    _, first, counts = np.unique(y[order], return_index=True, return_counts=True)
    rank = np.empty(len(y))
    within = np.arange(len(y)) - np.repeat(first, counts)
    rank[order] = np.where(within < least, within - least, (within + 0.5) / np.repeat(counts, counts))
    return np.sort(np.argsort(rank, kind="stable")[:most])


def folds_by_class(y: Int[np.ndarray, " n"], n_folds: int, *, seed: int, least: int = 2) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds that a rare class cannot forbid: it stays in training, and every other class is held out in parts.

    What is held out of a class depends on its own rows alone, so one row of a further class changes no fold of the others.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Class numbers.
    n_folds : int
        Two or more. Classes with fewer rows are held out in as many folds as they have rows.
    seed : int
        Of the draw within each class.
    least : int
        Rows, two or more, of a class that may be held out.

    Returns
    -------
    list of (train, held_out)
        Sorted rows; every class stands in every training part. Empty where no class is large enough.
    """
    fold = np.full(len(y), -1)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        if len(rows) >= max(least, 2):
            fold[np.random.default_rng(seed).permutation(rows)] = np.arange(len(rows)) % n_folds
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(n_folds) if (fold == number).any()]
