"""Whether hulls flag the same rows when the map is drawn again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lexframe.audit.published.category_map import category_map
from lexframe.audit.published.category_rows import Given, category_rows, check_rows
from lexframe.audit.published.point_map import map_points
from lexframe.exceptions import InputError
from lexframe.typing import Points


@dataclass(frozen=True, slots=True)
class HullStability:
    """Whether the same rows are flagged when the map is drawn again.

    Attributes
    ----------
    seeds : tuple of int
    n_flagged : tuple of int
        Pairs of a row and a category whose hull it intrudes into, for every seed.
    mean_jaccard : float or None
        Mean Jaccard index of these sets over pairs of seeds; two empty sets agree. None with one seed.
    n_flagged_by_pca : int
    pca_jaccard : float
        Mean Jaccard index of the set of each seed with the set on the map of principal axes.
    """

    seeds: tuple[int, ...]
    n_flagged: tuple[int, ...]
    mean_jaccard: float | None
    n_flagged_by_pca: int
    pca_jaccard: float

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "seeds": list(self.seeds),
            "n_flagged": list(self.n_flagged),
            "mean_jaccard": self.mean_jaccard,
            "n_flagged_by_pca": self.n_flagged_by_pca,
            "pca_jaccard": self.pca_jaccard,
        }


def hull_stability(
    points: Points,
    given: Given,
    seeds: Sequence[int],
    n_categories: int | None = None,
    *,
    peel: float = 0.0,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
) -> HullStability:
    """Compare the rows that hulls flag on UMAP maps of several seeds, and on the map of principal axes.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
    given : ndarray of int, shape (n,), or of bool, shape (n, n_categories)
    seeds : sequence of int
        One map each; different ones.
    n_categories : int, optional
    peel : float
    n_neighbors : int
    min_dist : float
        See :func:`category_map` and :func:`~lexframe.audit.published.point_map.map_points`.

    Returns
    -------
    HullStability

    Raises
    ------
    InputError
        If there is no seed or one twice, or the other arguments are not as described.
    MissingExtraError
        If UMAP is not installed.
    """
    seeds_drawn = tuple(seeds)
    if not seeds_drawn or len(set(seeds_drawn)) < len(seeds_drawn):
        raise InputError(f"The seeds are {list(seeds_drawn)}; expected one or more, all different.")
    members = category_rows(given, n_categories)
    check_rows(points, members)

    def flagged(method: str, seed: int) -> np.ndarray:
        drawn = map_points(points, method=method, seed=seed, n_neighbors=n_neighbors, min_dist=min_dist)
        rows, categories = category_map(drawn, given, n_categories, peel=peel).flagged().T
        return categories * len(points) + rows  # one number a pair

    by_seed = [flagged("umap", seed) for seed in seeds_drawn]
    by_pca = flagged("pca", 0)
    between = [_jaccard(by_seed[i], by_seed[j]) for i in range(len(by_seed)) for j in range(i)]
    return HullStability(
        seeds=seeds_drawn,
        n_flagged=tuple(len(found) for found in by_seed),
        mean_jaccard=float(np.mean(between)) if between else None,
        n_flagged_by_pca=len(by_pca),
        pca_jaccard=float(np.mean([_jaccard(found, by_pca) for found in by_seed])),
    )


def _jaccard(first: np.ndarray, second: np.ndarray) -> float:
    shared = len(np.intersect1d(first, second, assume_unique=True))
    either = len(first) + len(second) - shared
    return shared / either if either else 1.0
