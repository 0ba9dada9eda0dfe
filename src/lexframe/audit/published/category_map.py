"""Categories as outlines on a map, and the rows of others that fall inside: the graphical approach of the paper.

Easy to look at, and weak: two of several hundred dimensions are left, one stray member stretches an outline, and the map of UMAP
changes with its seed: :func:`~lexframe.audit.published.map_stability.hull_stability` says by how much.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64

from lexframe.audit.published.category_rows import CategoryRows, Given, category_rows, check_rows
from lexframe.audit.published.hull import ConvexHull2D, convex_hull, overlap_area
from lexframe.audit.published.point_map import PointMap
from lexframe.provenance import Provenance
from lexframe.results import Result

if TYPE_CHECKING:
    import pandas

_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class HullOverlaps:
    """Pairs of categories whose hulls overlap, the most alike first.

    Attributes
    ----------
    pairs : ndarray of int64, shape (n_pairs, 2)
        Category numbers, the smaller first.
    areas : ndarray of shape (n_pairs,)
        Shared area, in squared units of the map.
    jaccards : ndarray of shape (n_pairs,)
        Shared area over the area that both cover, from 0 to 1.
    """

    pairs: Int64[np.ndarray, "n_pairs 2"]
    areas: Float64[np.ndarray, " n_pairs"]
    jaccards: Float64[np.ndarray, " n_pairs"]

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {"pairs": self.pairs.tolist(), "areas": self.areas.tolist(), "jaccards": self.jaccards.tolist()}


@dataclass(frozen=True, slots=True)
class CategoryMap(Result):
    """A map with the hull of every category.

    Attributes
    ----------
    points_map : PointMap
        Where the rows lie, and how and with which seed they were laid out.
    members : CategoryRows
        Which rows belong to which category.
    hulls : tuple of ConvexHull2D
        One a category, in the order of their numbers.
    by_x : ndarray of int64, shape (n_texts,)
        Rows from left to right.
    provenance : Provenance
    """

    points_map: PointMap
    members: CategoryRows
    hulls: tuple[ConvexHull2D, ...]
    by_x: Int64[np.ndarray, " n_texts"] = field(repr=False)
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def coordinates(self) -> Float64[np.ndarray, "n_texts 2"]:
        """Where the rows lie."""
        return self.points_map.coordinates

    def flagged(self) -> Int64[np.ndarray, "n_flagged 2"]:
        """Intruders of all categories: a row and the category whose hull it is in, by category and then by row.

        Cost grows with the rows between the left and the right end of each hull, summed over categories.
        """
        x_sorted = self.coordinates[self.by_x, 0]
        found = [self._intruders(category, x_sorted) for category in range(len(self.hulls))]
        categories = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
        return np.stack([np.concatenate([*found, np.zeros(0, np.int64)]), categories.astype(np.int64)], axis=1)

    def overlaps(self, *, least: float = 0.0) -> HullOverlaps:
        """Pairs of categories whose hulls share an area.

        Parameters
        ----------
        least : float
            Only pairs whose areas have at least this Jaccard index. With thousands of categories ask for some: pairs that cannot
            reach it, judged by area and upright box, are passed over without clipping.

        Returns
        -------
        HullOverlaps
        """
        areas = np.array([hull.area for hull in self.hulls])
        chosen = np.flatnonzero(areas > 0)
        rows = []
        for i, j in _pairs_that_may([self.hulls[k] for k in chosen], areas[chosen], least):
            first, second = int(chosen[i]), int(chosen[j])
            shared = overlap_area(self.hulls[first], self.hulls[second])
            jaccard = min(shared / (areas[first] + areas[second] - shared), 1.0)
            if shared > 0 and jaccard >= least:
                rows.append((first, second, shared, jaccard))
        rows.sort(key=lambda row: (-row[3], row[0], row[1]))
        table = np.array(rows, dtype=np.float64).reshape(-1, 4)
        return HullOverlaps(pairs=table[:, :2].astype(np.int64), areas=table[:, 2], jaccards=table[:, 3])

    def summary(self) -> str:
        """How many rows lie in the hull of a category that is not theirs."""
        flagged = np.unique(self.flagged()[:, 0])
        return (
            f"{len(flagged):,} of {len(self.coordinates):,} rows lie within the hull of a category that is not theirs, on a map of "
            f"{len(self.hulls):,} categories by {self.points_map.method}. Two dimensions are left of many: look, and do not count on it."
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "map": self.points_map.to_dict(),
            "categories": [
                {"rows": self.members.of(category).tolist(), "hull": hull.to_dict()} for category, hull in enumerate(self.hulls)
            ],
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a category: its members, the area of its hull, and how many rows of others lie inside."""
        import pandas as pd

        inside = np.bincount(self.flagged()[:, 1], minlength=len(self.hulls))
        areas = [hull.area for hull in self.hulls]
        return pd.DataFrame({"category": np.arange(len(self.hulls)), "n_members": self.members.sizes, "area": areas, "n_flagged": inside})

    def _intruders(self, category: int, x_sorted: np.ndarray) -> np.ndarray:
        hull = self.hulls[category]
        if not len(hull.vertices):
            return np.zeros(0, dtype=np.int64)
        slack = 1e-6 * hull.extent  # more than `contains` allows, which decides
        left, right = hull.vertices[:, 0].min() - slack, hull.vertices[:, 0].max() + slack
        start, stop = np.searchsorted(x_sorted, left, "left"), np.searchsorted(x_sorted, right, "right")
        near = self.by_x[start:stop]
        inside = near[hull.contains(self.coordinates[near])]
        return np.sort(inside[~self.members.holds(category, inside)])


def category_map(points_map: PointMap, given: Given, n_categories: int | None = None, *, peel: float = 0.0) -> CategoryMap:
    """Draw the hull of every category on a map.

    Parameters
    ----------
    points_map : PointMap
        From :func:`~lexframe.audit.published.point_map.map_points`.
    given : ndarray of int, shape (n,), or of bool, shape (n, n_categories)
        The category of each row, -1 for none; or whether it is in each, for rows in several.
    n_categories : int, optional
        Default: as many as `given` shows.
    peel : float
        Share of each category's members, farthest from its median, that its hull leaves out.

    Returns
    -------
    CategoryMap

    Raises
    ------
    InputError
        If the map and the categories are of different numbers of rows, or `given` or `peel` is not as described.
    """
    coordinates = points_map.coordinates
    members = category_rows(given, n_categories)
    check_rows(coordinates, members)
    hulls = tuple(convex_hull(coordinates[members.of(category)], peel=peel) for category in range(members.n_categories))
    settings = {"method": points_map.method, "n_neighbors": points_map.n_neighbors, "min_dist": points_map.min_dist, "peel": peel}
    by_x = np.argsort(coordinates[:, 0], kind="stable")
    return CategoryMap(points_map, members, hulls, by_x, Provenance(seed=points_map.seed, parameters=settings))


def _pairs_that_may(hulls: list[ConvexHull2D], areas: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pairs whose Jaccard index may reach `least`: they share no more than their boxes do, and no more than the smaller covers."""
    if not hulls:
        return []
    low, high = (np.array([f(hull.vertices, axis=0) for hull in hulls]) for f in (np.min, np.max))
    order = np.argsort(low[:, 0], kind="stable")  # a hull meets only those that begin before it ends
    (left, bottom), (right, top), areas = low[order].T, high[order].T, areas[order]
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(hulls), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        later = slice(start, int(np.searchsorted(left, right[part].max(), "right")))
        one, other = (part, np.newaxis), (np.newaxis, later)
        width = np.minimum(right[one], right[other]) - np.maximum(left[one], left[other])
        height = np.minimum(top[one], top[other]) - np.maximum(bottom[one], bottom[other])
        most = np.minimum(np.maximum(width, 0) * np.maximum(height, 0), np.minimum(areas[one], areas[other]))
        # A little room for the rounding of areas.
        i, j = np.nonzero((most > 0) & (most * (1 + 1e-9) >= least * (areas[one] + areas[other] - most)))
        i, j = order[start + i[i < j]], order[start + j[i < j]]
        pairs += zip(np.minimum(i, j).tolist(), np.maximum(i, j).tolist(), strict=True)
    return pairs
