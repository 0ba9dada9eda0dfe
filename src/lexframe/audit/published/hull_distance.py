r"""How far a point is from the convex hull of a category in all dimensions, without listing the sides of the hull.

A point of the hull is a mixture :math:`X^T w` of the members, :math:`w \ge 0`, :math:`\sum w = 1`. Whether there is one at the point is
a linear program; the nearest one is a small quadratic program.

Of little use above about 8 dimensions: a hull of n members in general position then has nearly all of them as corners, and another
draw from the same distribution lies outside with a probability that goes to 1 unless n grows exponentially with the dimensions. With
200 Gaussian members almost all new draws are inside in 2 dimensions, and almost none in 16. So on raw points of a model
"outside" says nothing; project to a few dimensions first, or use distances to members.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Bool, Float, Float64, Int64

from lexframe.exceptions import InputError, LexframeError
from lexframe.typing import Vectors

_STEPS_A_DIMENSION = 50


@dataclass(frozen=True, slots=True)
class HullDistances:
    """Distances of points to the hull of a category, with how exact they are.

    Attributes
    ----------
    distances : ndarray of shape (n,), float64
        Euclidean; exactly 0 for points in the hull or nearer than the tolerance.
    gaps : ndarray of shape (n,), float64
        The true distance lies between ``distances - gaps`` and ``distances``, up to the tolerance for those at 0.
    n_steps : ndarray of int64, shape (n,)
        Members that were taken up on the way.
    extent : float
        Largest distance of a member from the members' mean.
    """

    distances: Float64[np.ndarray, " n"]
    gaps: Float64[np.ndarray, " n"]
    n_steps: Int64[np.ndarray, " n"]
    extent: float

    @property
    def inside(self) -> Bool[np.ndarray, " n"]:
        """Which points are in the hull."""
        return self.distances == 0

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "distances": self.distances.tolist(),
            "gaps": self.gaps.tolist(),
            "n_steps": self.n_steps.tolist(),
            "extent": self.extent,
        }


def hull_distances(points: Vectors, members: Float[np.ndarray, "n_members n_dims"], *, tolerance: float = 1e-9) -> HullDistances:
    r"""Distance of every point to the convex hull of the members, :math:`\min_w \|X^T w - x\|`.

    Wolfe's algorithm [1]_: it keeps a few members whose affine hull holds the nearest point found, takes up the member that lies
    farthest on the other side, and drops those whose weight would turn negative. It ends after finitely many steps, with a bound:
    no mixture is nearer than the member that is nearest along the direction to the point.

    Parameters
    ----------
    points : ndarray of shape (n, n_dims)
    members : ndarray of shape (n_members, n_dims)
        At least one.
    tolerance : float
        Of the distance, as a share of the extent of the members or, for points far away, of their distance from the members' mean.

    Returns
    -------
    HullDistances

    Raises
    ------
    InputError
        If there is no member, the widths differ or a value is not finite.

    References
    ----------
    .. [1] Wolfe (1976), Finding the nearest point in a polytope.
    """
    center, extent = _checked(points, members)
    centered = members - center
    distances, gaps, n_steps = np.zeros(len(points)), np.zeros(len(points)), np.zeros(len(points), dtype=np.int64)
    for row, point in enumerate(points - center):
        allowed = tolerance * max(extent, float(np.linalg.norm(point)))
        nearest, lower, n_steps[row] = _nearest_to_origin(centered - point, allowed)
        if nearest > allowed:
            distances[row], gaps[row] = nearest, nearest - lower
    return HullDistances(distances, gaps, n_steps, extent)


def in_hull(points: Vectors, members: Float[np.ndarray, "n_members n_dims"], *, tolerance: float = 1e-6) -> Bool[np.ndarray, " n_vectors"]:
    r"""Which points are mixtures of the members, by linear programming (HiGHS).

    The program :math:`\min_{w, s} \sum |s|` with :math:`X^T w + s = x`, :math:`w \ge 0`, :math:`\sum w = 1` always has an answer; the
    point is in the hull where it is 0. An independent check of :func:`hull_distances`, and slower.

    Parameters
    ----------
    points : ndarray of shape (n_vectors, n_dims)
    members : ndarray of shape (n_members, n_dims)
        At least one.
    tolerance : float
        Largest sum of absolute differences that counts as 0, as a share of the extent of the members. HiGHS itself works to 1e-7.

    Returns
    -------
    ndarray of bool, shape (n_vectors,)

    Raises
    ------
    InputError
        If there is no member, the widths differ or a value is not finite.
    LexframeError
        If HiGHS ends without an answer.
    """
    center, extent = _checked(points, members)
    if extent == 0:
        return (points == members[0]).all(axis=1)
    n_members, n_dims = members.shape
    mixture = np.vstack([((members - center) / extent).T, np.ones(n_members)])
    rest = np.vstack([np.eye(n_dims), np.zeros(n_dims)])
    equations = np.hstack([mixture, rest, -rest])
    cost = np.concatenate([np.zeros(n_members), np.ones(2 * n_dims)])
    inside = np.zeros(len(points), dtype=bool)
    for row, point in enumerate((points - center) / extent):
        if np.linalg.norm(point) > 1 + tolerance:
            continue  # farther from the mean than any member
        answer = scipy.optimize.linprog(cost, A_eq=equations, b_eq=np.append(point, 1.0), bounds=(0, None), method="highs")
        if answer.status != 0 or answer.fun is None:
            raise LexframeError(f"HiGHS has no answer for row {row} ({answer.message}). Use hull_distances for this category.")
        inside[row] = answer.fun <= tolerance
    return inside


def _nearest_to_origin(members: np.ndarray, allowed: float) -> tuple[float, float, int]:
    """Distance of the hull of `members` to the origin, a lower bound of it, and how many members were taken up."""
    corral = [int(np.einsum("ij,ij->i", members, members).argmin())]
    weights = np.ones(1)
    point = members[corral[0]]
    length, lower, n_steps = float(np.linalg.norm(point)), 0.0, 0
    while length > allowed and n_steps < _STEPS_A_DIMENSION * (members.shape[1] + 2):
        along = members @ (point / length)
        entering = int(along.argmin())
        lower = max(lower, float(along[entering]))  # every step's bound holds
        if length - lower <= allowed or entering in corral:  # the second: rounding is all that is left
            break
        n_steps += 1
        corral, weights = _balanced(members, [*corral, entering], np.append(weights, 0.0))
        moved = weights @ members[corral]
        shorter = float(np.linalg.norm(moved))
        if shorter >= length:
            break
        point, length = moved, shorter
    return length, min(lower, length), n_steps


def _balanced(members: np.ndarray, corral: list[int], weights: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Move to the point of the affine hull of the corral nearest the origin; drop members until that point is a mixture of the rest."""
    while True:
        base = members[corral[0]]
        spread = (members[corral[1:]] - base).T
        others = scipy.linalg.lstsq(spread, -base, lapack_driver="gelsy", check_finite=False)[0]
        aimed = np.concatenate([[1.0 - others.sum()], others])
        if (aimed > 0).all():
            return corral, aimed
        falling = aimed <= 0
        shares = weights[falling] / np.maximum(weights[falling] - aimed[falling], np.finfo(np.float64).tiny)
        weights = weights + min(float(shares.min()), 1.0) * (aimed - weights)
        weights[np.flatnonzero(falling)[shares.argmin()]] = 0.0
        kept = weights > 0
        corral, weights = [index for index, keep in zip(corral, kept, strict=True) if keep], weights[kept] / weights[kept].sum()
        if len(corral) == 1:
            return corral, np.ones(1)


def _checked(points: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean of the members and the largest distance of one from it."""
    if members.ndim != 2 or points.ndim != 2 or members.shape[1] != points.shape[1]:
        raise InputError(f"The points have shape {points.shape}, the members {members.shape}; expected (n, n_dims) for both.")
    if not len(members):
        raise InputError("The category has no member, so it has no hull. Leave it out.")
    for name, rows in (("points", points), ("members", members)):
        if not np.isfinite(rows).all():
            row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise InputError(f"Row {row} of the {name} holds NaN or infinity. Remove it, or look at what makes such values.")
    center = members.mean(axis=0, dtype=np.float64)
    return center, float(np.linalg.norm(members - center, axis=1).max())
