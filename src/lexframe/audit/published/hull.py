"""Convex hulls of points in the plane: the outline of a category on a map."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from lexframe.exceptions import InputError

_FEWEST_TO_FILTER = 64
"""Below this the filter costs more than it saves."""


@dataclass(frozen=True, slots=True)
class ConvexHull2D:
    """The smallest convex polygon around points of the plane.

    Attributes
    ----------
    vertices : ndarray of shape (n_vertices, 2), float64
        Corners, counter-clockwise, from the one furthest left (the lowest of those). Points on a side are no corners. No point
        gives no vertex, points that are all equal give one, and points on one line the two ends of their segment.
    n_points : int
        Points that were given, those peeled off included.
    n_peeled : int
        Points left outside on purpose.
    """

    vertices: Float64[np.ndarray, "n_vertices 2"]
    n_points: int
    n_peeled: int = 0

    @property
    def extent(self) -> float:
        """The longer side of the upright box around the hull."""
        return float(np.ptp(self.vertices, axis=0).max()) if len(self.vertices) else 0.0

    @property
    def area(self) -> float:
        """In squared units of the points; 0 for a segment, a point and nothing."""
        if len(self.vertices) < 3:
            return 0.0
        x, y = (self.vertices - self.vertices[0]).T
        return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)

    def contains(self, points: Float[np.ndarray, "n 2"], *, tolerance: float = 1e-9) -> Bool[np.ndarray, " n"]:
        """Which points lie inside or on the border.

        Parameters
        ----------
        points : ndarray of shape (n, 2)
        tolerance : float
            How far outside a side's line a point may lie, as a share of :attr:`extent`. A hull that is one point holds equal points only.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        points = np.asarray(points, dtype=np.float64)
        inside = np.zeros(len(points), dtype=bool)
        if not len(self.vertices):
            return inside
        slack = tolerance * self.extent
        lowest, highest = self.vertices.min(axis=0) - slack, self.vertices.max(axis=0) + slack
        # The upright box is four half-planes more: it ends a segment, and leaves few points to the sides.
        rows = np.flatnonzero(((points >= lowest) & (points <= highest)).all(axis=1))
        if len(self.vertices) > 1:
            for corner, side in zip(self.vertices, np.roll(self.vertices, -1, axis=0) - self.vertices, strict=True):
                x, y = (points[rows] - corner).T
                rows = rows[side[0] * y - side[1] * x >= -slack * np.hypot(*side)]
        inside[rows] = True
        return inside

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {"vertices": self.vertices.tolist(), "n_points": self.n_points, "n_peeled": self.n_peeled}


def convex_hull(points: Float[np.ndarray, "n 2"], *, peel: float = 0.0) -> ConvexHull2D:
    """The convex hull of points in the plane, by Andrew's monotone chain [1]_.

    The corners are exact: turns are decided in whole numbers, and the filter that comes before (points inside the octagon of the
    extreme ones, as in [2]_) leaves out only points that rounding cannot have put there.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
    peel : float
        Share of the points, from 0 to below 1, that is dropped first: those farthest (Euclidean) from the coordinate-wise median,
        rounded down to whole points. One stray point would otherwise stretch the hull. Of equally far points the later goes.

    Returns
    -------
    ConvexHull2D

    Raises
    ------
    InputError
        If the points are not finite or not in the plane, or `peel` is not in [0, 1).

    References
    ----------
    .. [1] Andrew (1979), Another efficient algorithm for convex hulls in two dimensions.
    .. [2] Akl and Toussaint (1978), A fast convex hull algorithm.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"The points have shape {points.shape}; a hull needs (n, 2). Map them to the plane first with map_points.")
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise InputError(f"Row {row} of the points holds NaN or infinity. Remove the row, or look at what makes such values.")
    if not 0 <= peel < 1:
        raise InputError(f"peel is {peel}; expected a share from 0 to below 1, such as 0.05.")
    n_peeled = int(peel * len(points) + 1e-9)  # 0.29 of 100 points is 29, not 28.999...
    kept = points
    if n_peeled:
        distances = np.linalg.norm(points - np.median(points, axis=0), axis=1)
        kept = points[np.argsort(distances, kind="stable")[: len(points) - n_peeled]]
    candidates = kept[_may_be_corners(kept)] if len(kept) >= _FEWEST_TO_FILTER else kept
    return ConvexHull2D(candidates[_corners(candidates)], n_points=len(points), n_peeled=n_peeled)


def overlap_area(hull: ConvexHull2D, other: ConvexHull2D) -> float:
    """Area that two hulls share, by clipping one at each side of the other [1]_; 0 where one of them has no area.

    Parameters
    ----------
    hull, other : ConvexHull2D

    Returns
    -------
    float
        In squared units of the points.

    References
    ----------
    .. [1] Sutherland and Hodgman (1974), Reentrant polygon clipping.
    """
    if len(hull.vertices) < 3 or len(other.vertices) < 3:
        return 0.0
    origin = hull.vertices[0]  # near zero products lose the fewest digits
    shared = (hull.vertices - origin).tolist()
    clip = (other.vertices - origin).tolist()
    for start, end in zip(clip, clip[1:] + clip[:1], strict=True):
        shared = _left_of(shared, start, end)
        if len(shared) < 3:
            return 0.0
    double = sum(x * next_y - y * next_x for (x, y), (next_x, next_y) in zip(shared, shared[1:] + shared[:1], strict=True))
    return max(float(double) / 2, 0.0)


def hull_jaccard(hull: ConvexHull2D, other: ConvexHull2D) -> float:
    """Area that two hulls share over the area that they cover together, from 0 to 1.

    Where neither has an area it is 1 if they have the same vertices, else 0.

    Parameters
    ----------
    hull, other : ConvexHull2D
    """
    shared, both = overlap_area(hull, other), hull.area + other.area
    if both <= 0:
        return float(len(hull.vertices) > 0 and np.array_equal(hull.vertices, other.vertices))
    return min(shared / (both - shared), 1.0)


def _corners(points: np.ndarray) -> Int[np.ndarray, " n_corners"]:
    """Rows that are corners, counter-clockwise from the first in the order of x, then y."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    if len(order) > 1:
        order = order[np.concatenate([[True], (np.diff(points[order], axis=0) != 0).any(axis=1)])]
    if len(order) < 3:
        return order
    x, y = (_whole_numbers(column) for column in points[order].T)
    lower = _chain(x, y, range(len(order)))
    upper = _chain(x, y, range(len(order) - 1, -1, -1))
    return order[lower[:-1] + upper[:-1]]


def _chain(x: list[int], y: list[int], order: range) -> list[int]:
    """Points between which the path along `order` turns left only."""
    chain: list[int] = []
    for i in order:
        while len(chain) > 1:
            a, b = chain[-2], chain[-1]
            if (x[b] - x[a]) * (y[i] - y[a]) > (y[b] - y[a]) * (x[i] - x[a]):
                break
            chain.pop()
        chain.append(i)
    return chain


def _whole_numbers(values: np.ndarray) -> list[int]:
    """The values times a power of two that makes all of them whole: Python's integers then multiply without rounding."""
    mantissas, exponents = np.frexp(values)
    whole = (mantissas * 2.0**53).astype(np.int64)
    shifts = np.where(whole != 0, exponents, 0)
    shifts = np.where(whole != 0, shifts - shifts[whole != 0].min(initial=np.iinfo(shifts.dtype).max), 0)
    return [number << shift for number, shift in zip(whole.tolist(), shifts.tolist(), strict=True)]


def _may_be_corners(points: np.ndarray) -> Bool[np.ndarray, " n"]:
    """False for points that are strictly inside the polygon of the points extreme in eight directions, whatever the rounding."""
    x, y = points.T
    extremes = [f(values) for values in (x, y, x + y, x - y) for f in (np.argmin, np.argmax)]
    polygon = points[extremes]
    polygon = polygon[_corners(polygon)]
    if len(polygon) < 3:
        return np.ones(len(points), dtype=bool)
    inside = np.ones(len(points), dtype=bool)
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        across, along = (end[0] - start[0]) * (y - start[1]), (end[1] - start[1]) * (x - start[0])
        inside &= across - along > 1e-15 * (np.abs(across) + np.abs(along))
    return ~inside


def _left_of(polygon: list[list[float]], start: list[float], end: list[float]) -> list[list[float]]:
    """The part of a convex polygon on the left of the line from `start` to `end`."""
    along, up = end[0] - start[0], end[1] - start[1]
    sides = [along * (y - start[1]) - up * (x - start[0]) for x, y in polygon]
    kept: list[list[float]] = []
    for i, (point, side) in enumerate(zip(polygon, sides, strict=True)):
        before, side_before = polygon[i - 1], sides[i - 1]
        if (side < 0) != (side_before < 0):
            share = side_before / (side_before - side)
            kept.append([before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])])
        if side >= 0:
            kept.append(point)
    return kept
