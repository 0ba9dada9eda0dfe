"""Rows that say the same: equal texts, and points that are nearer to each other than unrelated ones ever are."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
from jaxtyping import Float, Int64

from lexframe.audit.memberships.memberships import Memberships
from lexframe.checks import texts_in
from lexframe.exceptions import InputError
from lexframe.latents.neighbors import NeighborIndex, Neighbors
from lexframe.text_forms import normalized
from lexframe.typing import Points, Texts

FLOOR = 0.95
FEWEST_TO_FIT, THRESHOLD_OF_FEW = 20, 0.99
CHANCE = 1e-4
SAME = 1 - 5e-7  # a cosine of float32 vectors is no more exact
_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class DuplicateGroups:
    """Groups of rows that say the same.

    Attributes
    ----------
    groups : tuple of tuples of int
        Rows of each group, ascending, two or more; groups in the order of their first row.
    is_exact : tuple of bool
        For each group, whether all of its texts are equal but for case and white space (where no texts were given: all of its points).
    conflicting : tuple of tuples of int
        The groups whose rows carry different categories: at least one label is wrong, or the text fits several. Empty where no
        memberships were given.
    threshold : float
        Cosine from which two points count as near duplicates.
    n_rows : int
        Rows that were looked at.
    """

    groups: tuple[tuple[int, ...], ...]
    is_exact: tuple[bool, ...]
    conflicting: tuple[tuple[int, ...], ...]
    threshold: float
    n_rows: int

    def numbers(self) -> Int64[np.ndarray, " n_rows"]:
        """The group of each row, -1 where it has no duplicate."""
        result = np.full(self.n_rows, -1, np.int64)
        for number, rows in enumerate(self.groups):
            result[list(rows)] = number
        return result

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "groups": [list(rows) for rows in self.groups],
            "is_exact": list(self.is_exact),
            "conflicting": [list(rows) for rows in self.conflicting],
            "threshold": self.threshold,
            "n_rows": self.n_rows,
        }


def find_duplicates(
    points: Points,
    *,
    texts: Texts | None = None,
    memberships: Memberships | None = None,
    neighbors: Neighbors | None = None,
    threshold: float | None = None,
    k: int = 10,
) -> DuplicateGroups:
    """Group exact and near duplicates.

    Equal texts and equal points are joined first, by hash; of each such group one row is searched for neighbors, so that a table of
    one text a million times costs no more than any other. Rows are then joined where their cosine reaches the threshold, and groups
    are the connected components: two rows of a group may be further apart than the threshold, with rows between them.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
        A point of zeros is nobody's near duplicate.
    texts : sequence of str, length n_texts, optional
        Joined where equal after :func:`normalized`.
    memberships : Memberships, optional
        Of the same rows; for `conflicting`.
    neighbors : Neighbors, optional
        Of every row among all rows, by cosine, where they have been searched already. Rows may name themselves.
    threshold : float, optional
        A cosine. Default: :func:`near_threshold` of the nearest neighbors.
    k : int
        Neighbors to look at. Groups may be larger, since they join over shared neighbors.

    Returns
    -------
    DuplicateGroups

    Raises
    ------
    InputError
        If texts, memberships or neighbors are not one for each point, neighbors are not by cosine, a point is not finite, or the
        threshold is not above 0 and at most 1.
    """
    n = len(points)
    texts = None if texts is None else texts_in(texts)
    for name, given in (("texts", texts), ("memberships", memberships), ("neighbors", None if neighbors is None else neighbors.rows)):
        if given is not None and len(given) != n:
            raise InputError(f"There are {n} points, but {len(given)} {name}. Give one for each point.")
    if neighbors is not None and neighbors.metric != "cosine":
        raise InputError(f"The neighbors are by {neighbors.metric}; near duplicates need metric='cosine'. Search again, or give none.")
    if threshold is not None and not 0 < threshold <= 1:
        raise InputError(f"threshold is {threshold}; expected a cosine above 0 and at most 1.")
    point_ids = _ids_of_points(points)
    exact_ids = point_ids if texts is None else _ids_of_texts(texts)
    same = _components(n, [(np.arange(n), point_ids), (np.arange(n), exact_ids)])
    rows, found = (np.arange(n), neighbors) if neighbors is not None else _search(points, same, k)
    left = np.repeat(rows, found.rows.shape[1])
    right = found.rows.ravel() if neighbors is not None else rows[found.rows.ravel()]
    is_other = (found.rows.ravel() >= 0) & (same[left] != same[right])  # rows that are joined already say nothing of unrelated ones
    similarities = np.where(is_other, found.scores.ravel(), np.float32(np.nan))
    if threshold is None:
        threshold = near_threshold(similarities.reshape(found.scores.shape))
        least = threshold if threshold <= SAME else np.inf  # what lies closer than float32 tells apart stays apart
    else:
        least = min(threshold, SAME)
    near = similarities >= least
    groups = _components(n, [(np.arange(n), same), (left[near], right[near])])
    return _grouped(groups, exact_ids, memberships, threshold)


def near_threshold(similarities: Float[np.ndarray, "n k"]) -> float:
    r"""Cosine from which two points are nearer than unrelated ones are.

    Where points fill D dimensions, the distance :math:`x=\sqrt{2-2\cos}` from one to the nearest of many others follows a Weibull law
    of shape D. Its scale is set by the median of x, and D by how distances grow from the nearest neighbor to the last [1]_, which does
    not depend on how dense the points lie; both are medians over rows, which duplicates do not move while they are few. The threshold
    is the distance that one nearest neighbor in 10,000 comes below by chance, and never a cosine under 0.95. Where points lie denser
    than at the median more come below it, and then they are close by any measure.

    Parameters
    ----------
    similarities : ndarray of shape (n, k)
        Cosines of each row with its k nearest, in any order; NaN for the row itself and its exact duplicates.

    Returns
    -------
    float
        From 0.95 to 1; 0.99 where fewer than 20 rows have 3 neighbors to learn from. Where more than half of the rows have a near
        duplicate those are taken for the normal state and little is found: set a threshold then. Above 1 - 5e-7 float32 cannot tell
        rows apart: points of such a narrow cone should have their mean taken off first.

    References
    ----------
    .. [1] Levina and Bickel (2004), Maximum likelihood estimation of intrinsic dimension, eq. (8).
    """
    counts = np.isfinite(similarities).sum(axis=1)
    rows = counts >= max(3, similarities.shape[1] // 2)
    if rows.sum() < FEWEST_TO_FIT:
        return THRESHOLD_OF_FEW
    counts = counts[rows]
    distances = np.sort(np.sqrt(np.maximum(2 - 2 * similarities[rows].astype(np.float64), 1e-12)), axis=1)  # NaN goes last
    median = np.median(distances[:, 0])
    last = distances[np.arange(len(counts)), counts - 1]
    growth = np.nansum(np.log(last[:, np.newaxis] / distances), axis=1) / (counts - 1)
    # Growth of one row is a gamma variable of shape counts - 1 and mean 1/D, whose median lies a third of a step below its mean.
    inverse_dimension = np.median(growth) / (1 - 1 / (3 * (np.median(counts) - 1)))
    least = median * (-np.log1p(-CHANCE) / np.log(2)) ** inverse_dimension
    return float(np.clip(1 - least**2 / 2, FLOOR, 1.0))


def _ids_of_texts(texts: Sequence[str]) -> np.ndarray:
    """For each row the first row with an equal text; hashes, so that no second copy of the texts is held."""
    first: dict[bytes, int] = {}
    return np.fromiter(
        (
            first.setdefault(hashlib.blake2b(normalized(text).encode("utf-8", "surrogatepass"), digest_size=16).digest(), row)
            for row, text in enumerate(texts)
        ),
        np.int64,
        count=len(texts),
    )


def _ids_of_points(points: np.ndarray) -> np.ndarray:
    """For each row the first row with an equal point. Whole-number hashes, since sums of floats depend on how they are blocked."""
    weights = np.random.default_rng(0).integers(1, 2**63, points.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.empty(len(points), np.uint64)
    is_zero = np.empty(len(points), bool)
    for start in range(0, len(points), _BLOCK):
        block = np.ascontiguousarray(points[start : start + _BLOCK]) + np.float32(0)  # -0 becomes 0
        bits = block.view(np.uint32).astype(np.uint64)
        keys[start : start + _BLOCK] = np.einsum("ij,j->i", bits, weights)
        is_zero[start : start + _BLOCK] = ~block.any(axis=1)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    ids = first[inverse].astype(np.int64)
    rows = np.flatnonzero(ids != np.arange(len(points)))
    for start in range(0, len(rows), _BLOCK):  # two points with one hash are not equal for that
        part = rows[start : start + _BLOCK]
        different = (points[part] != points[ids[part]]).any(axis=1)
        ids[part[different]] = part[different]
    return np.where(is_zero, np.arange(len(points)), ids)


def _components(n: int, links: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """For each row the first row of its connected component."""
    left = np.concatenate([one for one, _ in links])
    right = np.concatenate([other for _, other in links])
    graph = scipy.sparse.coo_array((np.ones(len(left), np.int8), (left, right)), shape=(n, n))
    _, labels = scipy.sparse.csgraph.connected_components(graph, directed=False)
    _, first = np.unique(labels, return_index=True)
    return first[labels].astype(np.int64)


def _search(points: np.ndarray, same: np.ndarray, k: int) -> tuple[np.ndarray, Neighbors]:
    """One row of each exact group, and the neighbors of these among each other."""
    rows = np.flatnonzero(same == np.arange(len(same)))
    searched = points if len(rows) == len(points) else points[rows]
    return rows, NeighborIndex(metric="cosine").fit(searched).search(searched, k + 1)


def _grouped(first: np.ndarray, exact_ids: np.ndarray, memberships: Memberships | None, threshold: float) -> DuplicateGroups:
    n = len(first)
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], first[order][1:] != first[order][:-1]])) if n else np.zeros(0, np.int64)
    sizes = np.diff(np.concatenate([starts, [n]]))
    several = sizes > 1

    def differ(keys: np.ndarray) -> np.ndarray:
        """Of each group, whether its rows have more than one key."""
        ordered = keys[order]
        return np.minimum.reduceat(ordered, starts) != np.maximum.reduceat(ordered, starts) if n else np.zeros(0, bool)

    groups = [tuple(order[a : a + size].tolist()) for a, size in zip(starts[several], sizes[several], strict=True)]
    is_exact = ~differ(exact_ids)[several]
    conflict = differ(_category_keys(memberships))[several] if memberships is not None else np.zeros(len(groups), bool)
    conflicting = tuple(rows for rows, differs in zip(groups, conflict, strict=True) if differs)
    return DuplicateGroups(tuple(groups), tuple(is_exact.tolist()), conflicting, float(threshold), n)


def _category_keys(memberships: Memberships) -> np.ndarray:
    """A number for each row that is equal where all of the row's categories are."""
    if memberships.numbers is not None:
        return memberships.numbers
    weights = np.random.default_rng(0).integers(0, 2**63, len(memberships.categories))
    return np.asarray(memberships.to_matrix().astype(np.int64) @ weights)  # sums wrap around; equal sets give equal sums
