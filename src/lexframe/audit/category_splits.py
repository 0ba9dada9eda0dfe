"""Categories with two well separated modes: candidates for two categories.

A mode is a fact about the points, not yet a reason: short texts written after a few patterns have one mode a pattern in nearly every
category. Read the members of both modes before splitting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.linalg
from jaxtyping import Float, Int64

from lexframe.audit.relations import CategoryRelation
from lexframe.exceptions import InputError
from lexframe.typing import Points

# Few sizes, so that one simulated null serves many categories; members beyond a size are left out evenly.
SIZES = (20, 25, 31, 39, 49, 61, 76, 95, 119, 149, 186, 233, 291, 364, 455)
LEAST_PART = 0.1
_N_STEPS = 8


@dataclass(frozen=True, slots=True)
class SplitTest:
    """Whether one category looks like two.

    Attributes
    ----------
    p_value : float
        Share of single Gaussians of the same size that separate as far, from 1 / (n_null + 1).
    separation : float
        Distance of the two modes in their mean standard deviation: 2.65 for a large Gaussian cut in two, 3.46 for a uniform one.
    between : float
        Share of the variance between the modes, along the line through them.
    sides : ndarray of int64, shape (n,)
        0 or 1: the mode of each member.
    """

    p_value: float
    separation: float
    between: float
    sides: Int64[np.ndarray, " n"]


def find_splits(
    points: Points,
    numbers: Int64[np.ndarray, " n_texts"],
    names: Sequence[str],
    *,
    level: float = 0.05,
    least_separation: float = 4.0,
    n_null: int = 499,
) -> tuple[CategoryRelation, ...]:
    """Categories that :func:`split_test` calls two: p small enough for their number, and the modes `least_separation` apart.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
        Whitened by the covariance within categories.
    numbers : ndarray of int64, shape (n_texts,)
    names : sequence of str
        Of all categories.
    level : float
        Probability that any category is called two although all are single Gaussians: each must reach a p of `level` over the number
        of categories tested. With so many that no p goes so low, 1 / (n_null + 1) is enough; the separation makes errors rarer still.
    least_separation : float
        In standard deviations. 4 leaves out categories that are merely flat or skewed.
    n_null : int
        Gaussians simulated for each size of category; they are kept for the next call.

    Returns
    -------
    tuple of CategoryRelation
        The strongest first. Categories of fewer than 20 different members are not looked at.

    Raises
    ------
    InputError
        If there is not a number for each point, or `n_null` draws cannot reach `level` for one category.
    """
    if len(numbers) != len(points):
        raise InputError(f"There are {len(points)} points, but {len(numbers)} category numbers. Give one for each point.")
    if (n_null + 1) * level < 1:
        raise InputError(f"With n_null {n_null} no p goes below {1 / (n_null + 1):.3g}; raise it to reach the level {level}.")
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    tests = [split_test(points[order[starts[number] : starts[number + 1]]], n_null=n_null) for number in range(len(names))]
    highest_p = max(level / max(sum(test is not None for test in tests), 1), 1 / (n_null + 1))
    relations = []
    for name, found in zip(names, tests, strict=True):
        if found is None or found.p_value > highest_p or found.separation < least_separation:
            continue
        sizes = np.bincount(found.sides, minlength=2)
        evidence = (
            f"{name!r} has two modes, of {sizes[0]} and {sizes[1]} members, {found.separation:.1f} standard deviations apart; a single "
            f"Gaussian of that size would be as far apart with probability {found.p_value:.3f} at most."
        )
        relations.append(CategoryRelation("split", (name,), found.between, evidence))
    return tuple(sorted(relations, key=lambda relation: (-relation.strength, relation.categories)))


def split_test(points: Points, *, n_directions: int = 5, n_null: int = 499) -> SplitTest | None:
    r"""Test whether members lie around one mode or two.

    The members' leading principal components are scaled to one variance, two means are found in them from several starts, and the
    largest separation is kept: :math:`D=\sqrt2\,|m_1-m_2|/\sqrt{s_1^2+s_2^2}` [1]_ along the line through the means, where each part
    holds a tenth of the members or more. The null is one Gaussian of any covariance. Scaled components of such a sample are uniform
    over all orthonormal columns, whatever the covariance and the number of dimensions, so that simulated ones of the same size give
    a p-value that is exact up to the number of draws.

    Parameters
    ----------
    points : ndarray of shape (n, n_dims), float32
        Members of one category.
    n_directions : int
        Components to look at, fewer where there are fewer than ten members for each.
    n_null : int
        Gaussians to compare with.

    Returns
    -------
    SplitTest or None
        None where fewer than 20 different members are left. Equal points count once: ten copies of a text are no mode.

    References
    ----------
    .. [1] Ashman, Bird and Zepf (1994), Detecting bimodality in astronomical datasets, Astronomical Journal 108, eq. (4).
    """
    sample = np.unique(_spread(points, 2 * SIZES[-1]), axis=0).astype(np.float64)
    size = max((size for size in SIZES if size <= len(sample)), default=0)
    if not size:
        return None
    sample = _spread(sample, size)
    center = sample.mean(axis=0)
    scaling = _component_scaling(sample - center, max(1, min(n_directions, size // 10)))
    if not scaling.shape[1]:
        return None
    components = (sample - center) @ scaling
    separation, between, means = (part[0] for part in best_separation(components[np.newaxis]))
    null = _null_separations(size, scaling.shape[1], n_null)
    everyone = (points.astype(np.float64) - center) @ scaling
    sides = everyone @ (means[1] - means[0]) > (means[1] - means[0]) @ (means[1] + means[0]) / 2
    p_value = (1 + int((null >= separation).sum())) / (n_null + 1)
    return SplitTest(p_value, float(separation), float(between), sides.astype(np.int64))


def best_separation(
    samples: Float[np.ndarray, "n_samples n q"],
) -> tuple[Float[np.ndarray, " n_samples"], Float[np.ndarray, " n_samples"], Float[np.ndarray, "n_samples 2 q"]]:
    """The farthest that two means come apart, for several samples at once.

    Starts cut each axis at -1, 0 and 1; the means are then found by Lloyd's steps.

    Returns
    -------
    separation : ndarray of shape (n_samples,)
        0 where every start ended with a part of less than a tenth.
    between : ndarray of shape (n_samples,)
        Share of the variance between the parts, along the line through the means.
    means : ndarray of shape (n_samples, 2, q)
    """
    n_samples, _, q = samples.shape
    separation, between, means = np.zeros(n_samples), np.zeros(n_samples), np.zeros((n_samples, 2, q))
    for axis in range(q):
        for cut in (-1.0, 0.0, 1.0):
            side = samples[:, :, axis] > cut
            for _ in range(_N_STEPS):
                centers = _part_means(samples, side)
                step = centers[:, 1] - centers[:, 0]
                along = np.einsum("bnq,bq->bn", samples, step)
                side = along > np.einsum("bq,bq->b", step, centers.sum(axis=1) / 2)[:, np.newaxis]
            found, share = _separations(along, side)
            better = found > separation
            separation[better], between[better], means[better] = found[better], share[better], _part_means(samples, side)[better]
    return separation, between, means


def _part_means(samples: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Means of the parts, shape (n_samples, 2, q); an empty part lies at the origin."""
    weights = np.stack([~side, side], axis=1).astype(np.float64)
    return (weights @ samples) / np.maximum(weights.sum(axis=2), 1)[:, :, np.newaxis]


def _separations(along: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weights = np.stack([~side, side], axis=1).astype(np.float64)
    sizes = np.maximum(weights.sum(axis=2), 1)
    means = np.einsum("bpn,bn->bp", weights, along) / sizes
    squares = np.einsum("bpn,bpn->bp", weights, (along[:, np.newaxis] - means[:, :, np.newaxis]) ** 2)
    spread = np.sqrt((squares / sizes).sum(axis=1) / 2)
    # Parts of equal values have no spread at all: they are as far apart as can be said.
    separation = np.abs(means[:, 1] - means[:, 0]) / np.maximum(spread, 1e-6 * np.abs(along).max(axis=1) + 1e-300)
    total = np.square(along - along.mean(axis=1, keepdims=True)).sum(axis=1)
    share = 1 - squares.sum(axis=1) / np.where(total > 0, total, 1.0)
    return np.where(sizes.min(axis=1) >= LEAST_PART * along.shape[1], separation, 0.0), share


@lru_cache(maxsize=256)
def _null_separations(size: int, q: int, n_null: int) -> np.ndarray:
    draws = np.random.default_rng([size, q]).normal(size=(n_null, size, q))
    columns = np.linalg.qr(draws - draws.mean(axis=1, keepdims=True))[0]
    return best_separation(columns * np.sqrt(size))[0]


def _component_scaling(centered: np.ndarray, q: int) -> np.ndarray:
    """A matrix that turns points into their leading components of variance one; fewer columns where the rank is less."""
    n, n_dims = centered.shape
    if n <= n_dims:
        values, left = scipy.linalg.eigh(centered @ centered.T, subset_by_index=[n - min(q, n), n - 1])
        directions = centered.T @ left  # of length sqrt(values)
    else:
        values, directions = scipy.linalg.eigh(centered.T @ centered, subset_by_index=[n_dims - min(q, n_dims), n_dims - 1])
        directions = directions * np.sqrt(np.maximum(values, 0))
    kept = values > 1e-9 * max(float(values[-1]), 1e-300)
    return directions[:, kept] / values[kept] * np.sqrt(n)


def _spread(rows: np.ndarray, max_rows: int) -> np.ndarray:
    return rows if len(rows) <= max_rows else rows[np.linspace(0, len(rows) - 1, max_rows).astype(np.int64)]
