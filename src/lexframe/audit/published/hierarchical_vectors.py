"""Points with the vector of their category path appended, as the paper builds them from a hierarchy of categories.

They hold the label that is to be checked, so a wrongly labeled item is drawn to its wrong category. Distances within a category stay
and those between categories never shrink, so the silhouette of the given labels cannot fall, whatever they are: that it rises, as the
paper reports, is no evidence that the vectors are better.
"""

import numpy as np
from jaxtyping import Float32, Int, Int64

from lexframe.audit.published.category_rows import CategoryRows, Given, category_rows, category_sums, check_rows
from lexframe.exceptions import DataError, InputError
from lexframe.typing import Points, Vectors


def hierarchical_vectors(
    points: Points,
    given: Given,
    parents: Int[np.ndarray, " n_categories"],
    weight: float = 1.0,
    *,
    category_vectors: Vectors | None = None,
) -> Float32[np.ndarray, "n_texts twice_n_dims"]:
    """Append to each point the mean vector of the categories on its path from the root, times a weight.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
    given : ndarray of int, shape (n_texts,), or of bool, shape (n_texts, n_categories)
        Rows in several categories get the mean over their paths, rows in none the mean of all points.
    parents : ndarray of int, shape (n_categories,)
        The category above each, -1 for a root. Categories without rows of their own may stand above others.
    weight : float
        How much the path counts beside the point: 0 leaves distances as they are.
    category_vectors : ndarray of shape (n_categories, n_dims), optional
        Such as encoded names, which the paper has. Default: the mean of the rows in a category and in those below it (a row that
        is in several of them counts once for each); the mean of all points where there are none.

    Returns
    -------
    ndarray of shape (n_texts, 2 * n_dims), float32

    Raises
    ------
    InputError
        If the arguments do not fit each other, a value is not finite or the weight negative.
    DataError
        If the hierarchy has a cycle or an unknown parent.
    """
    members = category_rows(given, len(parents))
    check_rows(points, members)
    if not (np.isfinite(weight) and weight >= 0):
        raise InputError(f"weight is {weight}; expected a finite number of 0 or more.")
    levels = category_levels(parents)
    if not len(points):
        return np.zeros((0, 2 * points.shape[1]), np.float32)
    everywhere = points.mean(axis=0, dtype=np.float64)
    if category_vectors is None:
        vectors = _means_below(points, members, parents, levels, everywhere)
    elif category_vectors.shape != (len(parents), points.shape[1]) or not np.isfinite(category_vectors).all():
        raise InputError(
            f"category_vectors have shape {category_vectors.shape}; expected finite numbers of shape {(len(parents), points.shape[1])}."
        )
    else:
        vectors = category_vectors.astype(np.float64)
    on_path = vectors.copy()  # sums from the root down
    for level in range(1, int(levels.max(initial=0)) + 1):
        at = np.flatnonzero(levels == level)
        on_path[at] += on_path[parents[at]]
    on_path /= (levels + 1)[:, np.newaxis]

    result = np.zeros((len(points), 2 * points.shape[1]), np.float32)
    result[:, : points.shape[1]] = points
    counts = np.bincount(members.rows, minlength=len(points))
    path = result[:, points.shape[1] :]
    for category in np.flatnonzero(members.sizes).tolist():
        rows = members.of(category)
        path[rows] += (weight * on_path[category] / counts[rows, np.newaxis]).astype(np.float32)
    path[counts == 0] = weight * everywhere
    return result


def category_levels(parents: Int[np.ndarray, " n_categories"]) -> Int64[np.ndarray, " n_categories"]:
    """How many categories stand above each: 0 for a root.

    Parameters
    ----------
    parents : ndarray of int, shape (n_categories,)
        The category above each, -1 for a root.

    Raises
    ------
    DataError
        If a parent is no category, or a category stands above itself.
    """
    wrong = np.flatnonzero((parents < -1) | (parents >= len(parents)))
    if len(wrong):
        raise DataError(
            f"Category {wrong[0]} has the parent {parents[wrong[0]]}; expected 0 to {len(parents) - 1}, or -1 for none. "
            "Add the parent as a category, or make this one a root."
        )
    levels = np.full(len(parents), -1, dtype=np.int64)
    waiting: list[list[int]] = [[] for _ in parents]
    for category, parent in enumerate(parents.tolist()):
        if parent >= 0:
            waiting[parent].append(category)
    reached = np.flatnonzero(parents == -1).tolist()
    level = 0
    while reached:
        levels[reached] = level
        reached = [child for category in reached for child in waiting[category]]
        level += 1
    if (levels < 0).any():
        raise DataError(f"The hierarchy has a cycle: {_cycle(parents, levels)}. Make one of them a root.")
    return levels


def _means_below(points: Points, members: CategoryRows, parents: np.ndarray, levels: np.ndarray, everywhere: np.ndarray) -> np.ndarray:
    sums, counts = category_sums(points, members), members.sizes.astype(np.float64)
    for level in range(int(levels.max(initial=0)), 0, -1):
        at = np.flatnonzero(levels == level)
        np.add.at(sums, parents[at], sums[at])
        np.add.at(counts, parents[at], counts[at])
    means = sums / np.maximum(counts, 1.0)[:, np.newaxis]
    means[counts == 0] = everywhere
    return means


def _cycle(parents: np.ndarray, levels: np.ndarray) -> str:
    """One of the cycles, as ``0 < 3 < 5 < 0``; long ones cut short."""
    at = int(np.flatnonzero(levels < 0)[0])
    for _ in range(len(parents)):  # after as many steps upwards it is on the cycle
        at = int(parents[at])
    path = [at]
    while len(path) < 2 or path[-1] != at:
        path.append(int(parents[path[-1]]))
    names = [str(category) for category in path]
    return " < ".join(names if len(names) <= 12 else [*names[:10], "...", names[-1]])
