"""How far every item lies from every category: Mahalanobis distances to shrunken means, with the item itself left out.

One covariance is shared by all categories, and means lean on their siblings in a hierarchy. Leaving an item out of the mean of
its category and out of the covariance changes both by rank one, so no fold is ever fitted: the whole is two passes over the points.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse
from jaxtyping import Float, Int

from lexframe.linalg import gram_matrix
from lexframe.typing import Points

BLOCK_NUMBERS = 16_000_000
"""Numbers of a table that is held at a time, 64 MB in float32."""
LEAST_SPREAD, LEAST_VARIANCE = 1e-6, 1e-30
"""Variance of a direction at least, as a share of the mean variance of all points, and at all."""
LEAST_REST = 1e-7
"""Share of an item's own distance that is left when it is taken out of the covariance, as far as rounding tells it from none. With few
items in many dimensions a thousandth is usual: an item then spans a direction that no other has."""

Categories = Int[np.ndarray, "n_items n_candidates"]
Weights = Float[np.ndarray, "n_items n_candidates"]
Scores = Float[np.ndarray, "n_items n_candidates"]


@dataclass(frozen=True, slots=True)
class PointSums:
    """What the covariance needs of all points, whatever their categories.

    Attributes
    ----------
    center : ndarray of shape (n_dims,), float64
        Mean of all points.
    scatter : ndarray of shape (n_dims, n_dims), float64
        Sum of outer products of centered points.
    n_items : int
    """

    center: Float[np.ndarray, " n_dims"]
    scatter: Float[np.ndarray, "n_dims n_dims"]
    n_items: int


def point_sums(points: Points) -> PointSums:
    """One pass over the points, a block at a time."""
    center = points.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((points.shape[1], points.shape[1]))
    for rows in blocks(len(points), points.shape[1]):
        scatter += gram_matrix(points[rows] - center)
    return PointSums(center, scatter, len(points))


def blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Slices of rows such that a table of that width stays within :data:`BLOCK_NUMBERS`."""
    step = max(1, BLOCK_NUMBERS // max(width, 1))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


@dataclass(frozen=True, slots=True)
class Discriminant:
    """Category means and one covariance, as coordinates in which it is the identity.

    Attributes
    ----------
    center : ndarray of shape (n_dims,)
    factor : ndarray of shape (n_dims, n_dims)
        Lower Cholesky factor of the shrunken covariance.
    means, raw_means : ndarray of shape (n_categories, n_dims)
        In whitened coordinates; `means` lean on their siblings, `raw_means` do not.
    counts : ndarray of shape (n_categories,)
        Weight of members.
    kappa : float
        Members that the siblings' mean counts for.
    removal : float
        (1 - shrinkage) / n_items: what one outer product adds to the covariance.
    """

    center: Float[np.ndarray, " n_dims"]
    factor: Float[np.ndarray, "n_dims n_dims"]
    means: Float[np.ndarray, "n_categories n_dims"]
    raw_means: Float[np.ndarray, "n_categories n_dims"]
    counts: Float[np.ndarray, " n_categories"]
    kappa: float
    removal: float

    def whiten(self, points: Points) -> Float[np.ndarray, "n_items n_dims"]:
        """Points in the coordinates of the means, float64: taking an item out of the covariance leaves small differences of them."""
        solved = scipy.linalg.solve_triangular(self.factor, (points - self.center).T, lower=True, check_finite=False)
        return np.ascontiguousarray(solved.T)

    def distances(
        self,
        z: Float[np.ndarray, "n_items n_dims"],
        own: Int[np.ndarray, " n_items"] | None = None,
        weight: Float[np.ndarray, " n_items"] | None = None,
    ) -> Float[np.ndarray, "n_items n_categories"]:
        """Squared Mahalanobis distances to all categories.

        Parameters
        ----------
        z : ndarray of shape (n_items, n_dims)
            From :meth:`whiten`.
        own : ndarray of int, shape (n_items,), optional
            Category whose mean holds the point; the point is taken out of it and of the covariance.
        weight : ndarray of shape (n_items,), optional
            With which it is in there. Default: 1.

        Returns
        -------
        ndarray of shape (n_items, n_categories), float32
        """
        lengths = np.einsum("ij,ij->i", z, z)
        products = z @ self.means.T
        squared = lengths[:, np.newaxis] - 2 * products + np.einsum("ij,ij->i", self.means, self.means)
        if own is None:
            return np.maximum(squared, 0).astype(np.float32)
        rows = np.arange(len(z))
        held = np.ones(len(z)) if weight is None else weight
        raw = self.raw_means[own]
        with_raw = np.einsum("ij,ij->i", z, raw)
        # Inner products of (x - mean_k) and (x - raw mean of the own category).
        cross = lengths[:, np.newaxis] - with_raw[:, np.newaxis] - products + raw @ self.means.T
        # Centered as above, so that the term of the own mean in `cross` is the distance to the raw mean.
        spread = np.maximum(lengths - 2 * with_raw + np.einsum("ij,ij->i", raw, raw), 0)
        members = self.counts[own]
        alpha = self.removal * held * members / np.maximum(members - held, 1e-3)
        rest = np.maximum(1 - alpha * spread, LEAST_REST)
        squared = np.maximum(squared, 0)
        out = squared + (alpha / rest)[:, np.newaxis] * cross**2
        total = members + self.kappa
        grown = total / np.maximum(total - held, 1e-3)  # x - mean without x, over x - mean
        own_cross = cross[rows, own] * grown
        out[rows, own] = squared[rows, own] * grown**2 + alpha / rest * own_cross**2
        return out.astype(np.float32)


def fit_discriminant(
    sums: PointSums,
    category_sums: Float[np.ndarray, "n_categories n_dims"],
    counts: Float[np.ndarray, " n_categories"],
    *,
    groups: Int[np.ndarray, " n_categories"] | None = None,
    shrinkage: float = 0.3,
    kappa: float = 1.0,
) -> Discriminant:
    """Means and covariance from sums alone.

    Parameters
    ----------
    sums : PointSums
    category_sums : ndarray of shape (n_categories, n_dims)
        Weighted sums of the centered points of each category.
    counts : ndarray of shape (n_categories,)
        Sums of the weights.
    groups : ndarray of int, shape (n_categories,), optional
        Parent of each category. Default: one parent for all.
    shrinkage : float
        Share of the sphere in the covariance, in (0, 1].
    kappa : float
        How many members the mean of the siblings counts for. The siblings' mean leaves the category itself out, so that an
        item never stands on both sides.

    Returns
    -------
    Discriminant
    """
    means = category_sums / np.maximum(counts, 1e-9)[:, np.newaxis]
    within = (sums.scatter - (means * counts[:, np.newaxis]).T @ means) / sums.n_items
    # Categories whose items are all alike, or of one item each, leave nothing but rounding within them. What is left then is the sphere,
    # as small as float32 coordinates bear.
    least = LEAST_SPREAD * float(np.trace(sums.scatter)) / sums.n_items / len(within)
    variance = max(float(np.trace(within)) / len(within), least, LEAST_VARIANCE)
    shrunken = (1 - shrinkage) * within + (shrinkage * variance + least) * np.eye(len(within))
    factor = _cholesky(shrunken, least)
    prior = _sibling_means(category_sums, counts, groups, kappa)
    leaning = (category_sums + kappa * prior) / (counts + kappa)[:, np.newaxis]
    both = scipy.linalg.solve_triangular(factor, np.concatenate([leaning, means]).T, lower=True).T
    return Discriminant(
        center=sums.center,
        factor=factor,
        means=np.ascontiguousarray(both[: len(means)]),
        raw_means=np.ascontiguousarray(both[len(means) :]),
        counts=counts,
        kappa=kappa,
        removal=(1 - shrinkage) / sums.n_items,
    )


def _cholesky(covariance: Float[np.ndarray, "n_dims n_dims"], least: float) -> Float[np.ndarray, "n_dims n_dims"]:
    """Lower factor; where rounding has left a direction with no variance or less, it gets the least."""
    try:
        return np.asarray(scipy.linalg.cholesky(covariance, lower=True))
    except scipy.linalg.LinAlgError:
        values, vectors = scipy.linalg.eigh(covariance)
        raised = (vectors * np.maximum(values, max(least, LEAST_VARIANCE))) @ vectors.T
        return np.asarray(scipy.linalg.cholesky((raised + raised.T) / 2, lower=True))


def _sibling_means(
    category_sums: np.ndarray, counts: np.ndarray, groups: np.ndarray | None, kappa: float
) -> Float[np.ndarray, "n_categories n_dims"]:
    """Mean of the other categories under the same parent, leaning on the centre of all points, which is zero."""
    parent = np.zeros(len(counts), dtype=np.int64) if groups is None else groups
    if groups is None:
        return np.zeros_like(category_sums)
    tree = scipy.sparse.csr_array((np.ones(len(counts)), (parent, np.arange(len(counts)))))
    rest = (tree @ category_sums)[parent] - category_sums
    return np.asarray(rest / ((tree @ counts)[parent] - counts + kappa + 1e-9)[:, np.newaxis])


def weighted_sums(
    points: Points, center: Float[np.ndarray, " n_dims"], categories: Categories, weights: Weights, n_categories: int
) -> tuple[Float[np.ndarray, "n_categories n_dims"], Float[np.ndarray, " n_categories"]]:
    """Sums of centered points by category, and of the weights.

    Parameters
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    center : ndarray of shape (n_dims,)
    categories : ndarray of int, shape (n_items, n_candidates)
    weights : ndarray of shape (n_items, n_candidates)
        How much of an item each category holds.
    n_categories : int
    """
    sums = np.zeros((n_categories, points.shape[1]))
    for rows in blocks(len(points), points.shape[1]):
        some = np.arange(rows.stop - rows.start + 1) * categories.shape[1]
        held = scipy.sparse.csr_array(
            (weights[rows].ravel().astype(np.float64), categories[rows].ravel(), some), shape=(len(some) - 1, n_categories)
        )
        sums += held.T @ (points[rows] - center)  # float64: what is left within categories may be a millionth of their sums
    return sums, np.bincount(categories.ravel(), weights=weights.ravel(), minlength=n_categories)
