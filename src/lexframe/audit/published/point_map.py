"""Points as a map in the plane: by principal axes, or by UMAP where it is installed."""

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float64

from lexframe.exceptions import InputError, MissingExtraError
from lexframe.latents.neighbors import NeighborIndex
from lexframe.typing import Points

MAP_METHODS = ("auto", "pca", "umap")
FEWEST_FOR_UMAP = 4
AUTO_ROWS = (10, 200_000)
_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class PointMap:
    """Where every point lies on a map.

    Attributes
    ----------
    coordinates : ndarray of shape (n_texts, 2), float64
        Principal coordinates are in the units of the points; those of UMAP have no units.
    method : str
        ``pca`` or ``umap``: what was used.
    seed : int or None
        Of UMAP; None where nothing was drawn.
    n_neighbors : int or None
        Neighbors of a point that UMAP looked at, the point itself among them.
    min_dist : float or None
        How close UMAP lets points come.
    """

    coordinates: Float64[np.ndarray, "n_texts 2"]
    method: str
    seed: int | None = None
    n_neighbors: int | None = None
    min_dist: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "coordinates": self.coordinates.tolist(),
            "method": self.method,
            "seed": self.seed,
            "n_neighbors": self.n_neighbors,
            "min_dist": self.min_dist,
        }


def map_points(points: Points, *, method: str = "auto", seed: int = 0, n_neighbors: int = 15, min_dist: float = 0.1) -> PointMap:
    """Lay points out in the plane.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
    method : {"auto", "pca", "umap"}
        ``pca``: the first two principal axes. ``umap`` [1]_: Euclidean, from neighbors found by
        :class:`~lexframe.latents.NeighborIndex` (exact below 20,000 rows, HNSW above). ``auto``: UMAP where it is installed and there
        are 10 to 200,000 rows, else principal axes; the result says which.
    seed : int
        Of UMAP. The same seed gives the same map on the same machine; above 20,000 rows only if faiss runs on one thread.
    n_neighbors : int
        Of UMAP, at least 2; no more than there are other points is used.
    min_dist : float
        Of UMAP, from 0 to 1.

    Returns
    -------
    PointMap
        Points that are all equal lie at the origin, whatever the method.

    Raises
    ------
    InputError
        If the points are not a table of finite numbers, the method is unknown, there are too few points for UMAP or its settings
        are out of range.
    MissingExtraError
        If UMAP is asked for and not installed.

    Notes
    -----
    UMAP starts from the principal coordinates instead of its spectral layout: global structure is kept as well [2]_, and the layout
    of graphs that are not connected (many equal texts) needs no second method.

    References
    ----------
    .. [1] McInnes, Healy and Melville (2018), UMAP: Uniform Manifold Approximation and Projection, arXiv:1802.03426.
    .. [2] Kobak and Linderman (2021), Initialization is critical for preserving global data structure in both t-SNE and UMAP.
    """
    if points.ndim != 2 or not points.shape[1]:
        raise InputError(f"The points have shape {points.shape}; expected (n, n_dims) with at least one dimension.")
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise InputError(f"Row {row} of the points holds NaN or infinity. Remove the row, or look at what makes such values.")
    if method not in MAP_METHODS:
        raise InputError(f"method is {method!r}; expected one of {', '.join(MAP_METHODS)}.")
    if n_neighbors < 2 or not 0 <= min_dist <= 1:
        raise InputError(f"n_neighbors is {n_neighbors} and min_dist {min_dist}; expected 2 or more, and 0 to 1.")
    if method == "auto":
        fits = AUTO_ROWS[0] <= len(points) <= AUTO_ROWS[1]
        method = "umap" if fits and importlib.util.find_spec("umap") is not None else "pca"
    start = principal_coordinates(points)
    if method == "pca":
        return PointMap(start, method)
    if len(points) < FEWEST_FOR_UMAP:
        raise InputError(f"UMAP needs {FEWEST_FOR_UMAP} points or more, but there are {len(points)}. Use method='pca'.")
    used = min(n_neighbors, len(points) - 1)
    coordinates = _umap(points, start, seed, used, min_dist)
    return PointMap(coordinates, method, seed=seed, n_neighbors=used, min_dist=min_dist)


def principal_coordinates(points: Points) -> Float64[np.ndarray, "n_texts 2"]:
    """Centered points along their two widest directions, in float64; 0 along directions in which they do not differ.

    The axes are right singular vectors of the centered table, found as eigenvectors of its covariance over blocks of rows, so that a
    million rows need no second copy. The largest entry of an axis is positive.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
    """
    n_rows, n_dims = points.shape
    coordinates = np.zeros((n_rows, 2))
    if n_rows < 2:
        return coordinates
    blocks = [slice(start, start + _BLOCK) for start in range(0, n_rows, _BLOCK)]
    first = points[0].astype(np.float64)  # taken off before the mean, so that columns of one value come out as exactly 0
    mean = sum((points[block] - first).sum(axis=0) for block in blocks) / n_rows
    scatter = np.zeros((n_dims, n_dims))
    for block in blocks:
        part = points[block] - first - mean
        scatter += part.T @ part
    values, axes = scipy.linalg.eigh(scatter, subset_by_index=[max(0, n_dims - 2), n_dims - 1])
    values, axes = values[::-1], axes[:, ::-1]
    axes = axes[:, values > 1e-14 * max(values[0], 0.0)]  # of squared widths: what is left of float32 rounding
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    for block in blocks:
        coordinates[block, : axes.shape[1]] = (points[block] - first - mean) @ axes
    return coordinates


def _umap(points: Points, start: np.ndarray, seed: int, n_neighbors: int, min_dist: float) -> np.ndarray:
    if not start.any():
        return start
    with warnings.catch_warnings():
        # What is missing is a second kind of UMAP that is not used here.
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        try:
            from umap import UMAP
        except ImportError as error:
            raise MissingExtraError("umap-learn", "umap") from error
    rows, distances = _neighbors_with_self(points, n_neighbors)
    layout = UMAP(
        n_neighbors=n_neighbors,
        min_dist=min_dist,
        random_state=seed,
        n_jobs=1,  # the only number that a seed allows
        init=start if start.any(axis=0).all() else "random",  # it divides by the width of the start, which a line does not have
        precomputed_knn=(rows, distances),
    )
    with warnings.catch_warnings():
        # New points are never added to this map.
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]", category=UserWarning)
        return layout.fit_transform(points).astype(np.float64)


def _neighbors_with_self(points: Points, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbors as UMAP wants them: every row first finds itself, which equal rows may otherwise crowd out."""
    centered = points - points.mean(axis=0)  # distances stay, and lose fewer digits where all points share a large offset
    found = NeighborIndex(metric="euclidean").fit(centered).search(centered, n_neighbors)
    own = np.arange(len(points))[:, np.newaxis]
    # The last entry makes room where the row did not find itself.
    place = np.where((found.rows == own).any(axis=1), (found.rows == own).argmax(axis=1), n_neighbors - 1)[:, np.newaxis]
    columns = np.arange(n_neighbors - 1)[np.newaxis]
    others = columns + (columns >= place)
    rows = np.hstack([own, np.take_along_axis(found.rows, others, axis=1)])
    distances = np.hstack([np.zeros_like(own, dtype=np.float32), np.take_along_axis(found.scores, others, axis=1)])
    return rows, distances
