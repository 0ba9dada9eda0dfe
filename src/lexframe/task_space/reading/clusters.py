"""Groups that tasks form by themselves, and how far other pairs would have made the same ones."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy.cluster.hierarchy as hierarchy
from jaxtyping import Float, Int
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score, silhouette_score

from lexframe.checks import plain
from lexframe.exceptions import InputError
from lexframe.task_space.reading.matrices import checked_matrix, usable_resamples

METHODS = ("average", "complete", "single", "weighted")
"""Linkages that need distances alone; Ward's and the centroids' need points."""


@dataclass(frozen=True, slots=True, eq=False)
class Clustering:
    """Tasks in clusters, cut from a tree.

    Attributes
    ----------
    labels : tuple of int
        Cluster of each task, from 0, in the order in which the tree shows them.
    order : tuple of int
        Tasks as the leaves of the tree come, so that neighbors are as alike as the tree allows.
    linkage : ndarray of shape (n_tasks - 1, 4)
        The tree as SciPy has it. With average linkage a height is 1 minus the mean similarity of what joins there.
    n_clusters : int
    silhouette : float
        Mean over tasks, in [-1, 1]; where the number of clusters was chosen, it was chosen by this and so flatters it.
    method : str
        The linkage.
    stability : float or None
        Mean adjusted Rand index of this clustering and those of the resamples: 1 for the same clusters in each, 0 for what chance
        gives. None without resamples.
    together : ndarray of shape (n_tasks, n_tasks), or None
        Share of the resamples in which two tasks fall in one cluster.
    """

    labels: tuple[int, ...]
    order: tuple[int, ...]
    linkage: Float[np.ndarray, "m 4"]
    n_clusters: int
    silhouette: float
    method: str = "average"
    stability: float | None = None
    together: Float[np.ndarray, "n n"] | None = None

    def summary(self) -> str:
        """How many clusters, how clear, how stable."""
        text = f"{len(self.labels)} tasks fall in {self.n_clusters} clusters (mean silhouette {self.silhouette:.2f})"
        if self.stability is None:
            return f"{text}."
        return f"{text}; clusters of resamples agree with them at an adjusted Rand index of {self.stability:.2f}."

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        names = ("labels", "order", "linkage", "n_clusters", "silhouette", "method", "stability", "together")
        return {name: plain(getattr(self, name)) for name in names}


def cluster_tasks(
    similarity: Float[np.ndarray, "n n"],
    *,
    n_clusters: int | None = None,
    resampled: Float[np.ndarray, "n_resamples n n"] | None = None,
    method: str = "average",
) -> Clustering:
    """Cluster tasks by their similarity.

    The distance of two tasks is 1 minus their similarity, and 0 where noise makes that negative. The length of the chord,
    the root of twice as much, has the same order, and so single and complete linkage would give the same tree; but mean linkage takes
    means, and here they are to be those of similarities, which a reader knows.

    Parameters
    ----------
    similarity : ndarray of shape (n_tasks, n_tasks)
        Symmetric; its diagonal takes no part.
    n_clusters : int, optional
        Default: of 2 to half the number of tasks, the one with the best mean silhouette, and of equals the smallest.
    resampled : ndarray of shape (n_resamples, n_tasks, n_tasks), optional
        The matrix in resamples; each is cut into as many clusters. Those that are not finite are passed over.
    method : {"average", "complete", "single", "weighted"}
        The linkage.

    Returns
    -------
    Clustering

    Raises
    ------
    InputError
        If there are fewer than 3 tasks, a matrix is not finite, not symmetric or of another size, the linkage is unknown, or there
        cannot be so many clusters.
    """
    matrix = checked_matrix(similarity, least=3)
    n_tasks = len(matrix)
    if method not in METHODS:
        raise InputError(f"method is {method!r}; expected one of {', '.join(METHODS)}.", parameter="method")
    if n_clusters is not None and not 2 <= n_clusters < n_tasks:
        raise InputError(f"n_clusters is {n_clusters}; expected 2 to {n_tasks - 1} for {n_tasks} tasks.", parameter="n_clusters")
    distances = _distances(matrix)
    tree = hierarchy.optimal_leaf_ordering(_tree(distances, method), squareform(distances))
    order = hierarchy.leaves_list(tree)
    choices = range(2, max(n_tasks // 2, 2) + 1) if n_clusters is None else (n_clusters,)
    cuts = {number: _cut(tree, number, order) for number in choices}
    clear = {number: float(silhouette_score(distances, labels, metric="precomputed")) for number, labels in cuts.items()}
    best = max(clear, key=lambda number: (round(clear[number], 12), -number))
    stability, together = None, None
    if resampled is not None:
        stability, together = _over_resamples(usable_resamples(resampled, n_tasks), cuts[best], method)
    return Clustering(
        labels=tuple(map(int, cuts[best])),
        order=tuple(map(int, order)),
        linkage=tree,
        n_clusters=best,
        silhouette=clear[best],
        method=method,
        stability=stability,
        together=together,
    )


def _distances(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    distances = np.maximum(1 - (matrix + matrix.T) / 2, 0.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def _tree(distances: Float[np.ndarray, "n n"], method: str) -> Float[np.ndarray, "m 4"]:
    return hierarchy.linkage(squareform(distances, checks=False), method=cast(Any, method))


def _cut(tree: Float[np.ndarray, "m 4"], n_clusters: int, order: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Exactly so many clusters, numbered as the leaves meet them."""
    found = hierarchy.cut_tree(tree, n_clusters=[n_clusters])[:, 0]
    numbers = {int(cluster): number for number, cluster in enumerate(dict.fromkeys(found[order].tolist()))}
    return np.array([numbers[int(cluster)] for cluster in found])


def _over_resamples(
    resampled: Float[np.ndarray, "n_resamples n n"], labels: Int[np.ndarray, " n"], method: str
) -> tuple[float, Float[np.ndarray, "n n"]]:
    n_clusters = int(labels.max()) + 1
    agreements, together = [], np.zeros(resampled.shape[1:])
    for matrix in resampled:
        found = hierarchy.cut_tree(_tree(_distances(matrix), method), n_clusters=[n_clusters])[:, 0]
        agreements.append(float(adjusted_rand_score(labels, found)))
        together += found[:, np.newaxis] == found
    return float(np.mean(agreements)), together / len(resampled)
