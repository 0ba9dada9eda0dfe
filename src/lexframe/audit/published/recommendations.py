"""For every category the nearest items that are not in it, with the published reconsideration probability: the paper's retrieval."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from lexframe.audit.published.category_rows import CategoryRows, Given, category_rows, category_sums, check_rows
from lexframe.audit.published.reconsideration import PublishedReconsideration, category_extent, published_reconsideration
from lexframe.exceptions import InputError
from lexframe.latents.neighbors import NeighborIndex
from lexframe.typing import Points

_MAX_NEIGHBORS = 4096
"""A category of more members than about this has them excluded by the index instead of found and dropped."""
_FOUND_AT_ONCE = 4_000_000
_CATEGORIES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class CategoryRecommendations:
    """Items to reconsider for one category, the nearest to its centre first.

    Attributes
    ----------
    category : int
    n_members : int
    rows : ndarray of int64, shape (n,)
        Items that are not in the category.
    distances : ndarray of shape (n,), float64
        Euclidean, to the mean of the members.
    rp : PublishedReconsideration or None
        Of these items; None for a category without members, which has no centre.
    """

    category: int
    n_members: int
    rows: Int64[np.ndarray, " n"]
    distances: Float64[np.ndarray, " n"]
    rp: PublishedReconsideration | None

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "category": self.category,
            "n_members": self.n_members,
            "rows": self.rows.tolist(),
            "distances": self.distances.tolist(),
            "rp": None if self.rp is None else self.rp.to_dict(),
        }


def published_recommendations(
    points: Points,
    given: Given,
    n_categories: int | None = None,
    *,
    n_candidates: int = 50,
    quantile: float = 0.9,
    index: NeighborIndex | None = None,
    n_sampled: int = 20_000,
    seed: int = 0,
) -> tuple[CategoryRecommendations, ...]:
    """Rank, for every category, the items outside it by the published reconsideration probability.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
    given : ndarray of int, shape (n,), or of bool, shape (n, n_categories)
        The category of each row, -1 for none; or whether it is in each, for rows in several.
    n_categories : int, optional
        Default: as many as `given` shows.
    n_candidates : int
        Items a category; fewer where fewer are outside it.
    quantile : float
        Of the extent, see :func:`~lexframe.audit.published.reconsideration.category_extent`.
    index : NeighborIndex, optional
        Euclidean, of these points. Default: a new one, exact below 20,000 rows and HNSW above.
    n_sampled : int
        The median is taken over all external items of as many rows; above that over as many rows drawn once for all categories.
    seed : int
        Of that draw.

    Returns
    -------
    tuple of CategoryRecommendations
        One a category, in the order of their numbers.

    Raises
    ------
    InputError
        If points, categories or index do not belong together, a point is not finite, or a setting is out of range.
    """
    members = category_rows(given, n_categories)
    check_rows(points, members)
    if n_candidates < 1 or n_sampled < 1:
        raise InputError(f"n_candidates is {n_candidates} and n_sampled {n_sampled}; expected 1 or more of both.")
    if not members.sizes.any():
        return tuple(_without_members(category) for category in range(members.n_categories))
    if index is None:
        index = NeighborIndex(metric="euclidean").fit(points)
    elif (index.metric, index.n_rows_, index.n_dims_) != ("euclidean", *points.shape):
        raise InputError(
            f"The index is {index.metric} over {index.n_rows_} rows of {index.n_dims_} dimensions; expected euclidean over the "
            f"{len(points)} points of {points.shape[1]}. Fit it on these points, or leave it out."
        )
    centers = category_sums(points, members) / np.maximum(members.sizes, 1)[:, np.newaxis]
    candidates = _nearest_outside(index, centers, members, n_candidates)
    populations = _external_distances(points, centers, members, n_sampled, seed)
    results = []
    for category, population in enumerate(populations):
        rows = members.of(category)
        if not len(rows):
            results.append(_without_members(category))
            continue
        extent = category_extent(_distances(points[rows], centers[category]), quantile=quantile)
        outside = candidates[category]
        distances = _distances(points[outside], centers[category])
        order = np.lexsort((outside, distances))[:n_candidates]
        rp = published_reconsideration(distances[order], extent, population=population)
        results.append(CategoryRecommendations(category, len(rows), outside[order], distances[order], rp))
    return tuple(results)


def _nearest_outside(index: NeighborIndex, centers: np.ndarray, members: CategoryRows, n_candidates: int) -> dict[int, np.ndarray]:
    """Rows outside each category that has members, at least `n_candidates` of the nearest to its centre where there are as many."""
    found: dict[int, np.ndarray] = {}
    queries = centers.astype(np.float32)
    needed = np.minimum(members.sizes + n_candidates, index.n_rows_)
    for category in np.flatnonzero((needed > _MAX_NEIGHBORS) & (members.sizes > 0)).tolist():
        outside = np.ones(index.n_rows_, dtype=bool)
        outside[members.of(category)] = False
        found[category] = index.search(queries[category : category + 1], n_candidates, among=outside).rows[0]
    # The nearest to a centre are mostly members. Of as many more than there are members enough are none; categories of like sizes
    # are asked for together.
    small = np.flatnonzero((needed <= _MAX_NEIGHBORS) & (members.sizes > 0))
    widths = 2 ** np.ceil(np.log2(needed[small])).astype(np.int64)
    for width in np.unique(widths).tolist():
        alike = small[widths == width]
        step = max(1, _FOUND_AT_ONCE // width)
        for start in range(0, len(alike), step):
            part = alike[start : start + step]
            for category, rows in zip(part.tolist(), index.search(queries[part], width).rows, strict=True):
                there = rows[rows >= 0]
                found[category] = there[~members.holds(category, there)]
    return found


def _external_distances(points: Points, centers: np.ndarray, members: CategoryRows, n_sampled: int, seed: int) -> Iterator[np.ndarray]:
    """For every category the distances of the sampled rows outside it to its centre."""
    sample = np.arange(len(points))
    if len(points) > n_sampled:
        sample = np.sort(np.random.default_rng(seed).choice(len(points), n_sampled, replace=False))
    middle = points[sample].mean(axis=0, dtype=np.float64)  # products of centered rows lose fewer digits
    drawn = points[sample] - middle
    squares = np.einsum("ij,ij->i", drawn, drawn)
    for start in range(0, len(centers), _CATEGORIES_AT_ONCE):
        part = centers[start : start + _CATEGORIES_AT_ONCE] - middle
        apart = np.einsum("ij,ij->i", part, part)[:, np.newaxis] + squares - 2 * part @ drawn.T
        for offset, distances in enumerate(np.sqrt(np.maximum(apart, 0.0))):
            yield distances[~members.holds(start + offset, sample)]


def _distances(points: np.ndarray, center: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points - center, axis=1)


def _without_members(category: int) -> CategoryRecommendations:
    return CategoryRecommendations(category, 0, np.zeros(0, np.int64), np.zeros(0), None)
