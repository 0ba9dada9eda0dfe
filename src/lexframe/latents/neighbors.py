"""Nearest neighbors among points: exact below 20,000 rows, a navigable small-world graph above. faiss does both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from lexframe.artifacts import Artifact, Persistent, read_document
from lexframe.exceptions import DataError, InputError
from lexframe.latents.schema import VectorColumn
from lexframe.latents.store import LatentStore
from lexframe.linalg import shrunken_whitening
from lexframe.provenance import Provenance
from lexframe.typing import Points

METRICS = ("cosine", "standardized", "inner-product", "euclidean", "whitened")
MOST_EXACT_ROWS = 20_000
LEAST_TO_STANDARDIZE = 32
"""Rows that tell how far the dimensions of a space spread."""
WIDTHS = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
RECALL_AIMED_AT, QUERIES_TO_CHOOSE = 0.993, 500
_SETTINGS = ("metric", "kind", "n_links", "build_width", "search_width")


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The nearest rows of each query, the nearest first.

    Attributes
    ----------
    rows : ndarray of int64, shape (n_queries, k)
        Of the points that were indexed; -1 where there are fewer than k.
    scores : ndarray of float32, shape (n_queries, k)
        Cosine or inner product (higher is nearer), or distance (lower is nearer), as the metric says; NaN where there is no row.
    metric : str
    """

    rows: Int64[np.ndarray, "n_queries k"]
    scores: Float32[np.ndarray, "n_queries k"]
    metric: str


class NeighborIndex(Persistent):
    """Finds the nearest of many points.

    Parameters
    ----------
    metric : {"cosine", "standardized", "inner-product", "euclidean", "whitened"}
        ``standardized`` is the cosine after the mean of the points has been taken off and every dimension brought to one spread: in the
        states of language models a direction that all texts share and a few large dimensions make every plain cosine about the same.
        ``whitened`` is the Euclidean distance after the points' own covariance, drawn towards a sphere (Ledoit and Wolf), has
        been made the identity: Mahalanobis distance. The cosine of a zero vector with anything is 0.
    kind : {"auto", "exact", "graph"}
        ``auto``: exact below 20,000 rows.
    n_links : int
        Links of a point in the graph (M of HNSW).
    build_width : int
        Candidates held while building (efConstruction).
    search_width : int, optional
        Candidates held while searching (efSearch). Default: found while building, the least of some that finds 99.3% of the
        ten nearest of 500 points that are not yet in the graph.

    Attributes
    ----------
    n_rows_, n_dims_ : int
    is_exact_ : bool
    search_width_ : int
    source : str
        What was indexed, such as the digest of a column of a store; it is kept with the index. Empty where nobody says.

    References
    ----------
    Malkov and Yashunin (2018), Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
    Small World graphs.
    """

    artifact_kind = "neighbor-index"

    def __init__(
        self, *, metric: str = "cosine", kind: str = "auto", n_links: int = 16, build_width: int = 200, search_width: int | None = None
    ):
        if metric not in METRICS:
            raise InputError(f"metric is {metric!r}; expected one of {', '.join(METRICS)}.")
        if kind not in ("auto", "exact", "graph"):
            raise InputError(f"kind is {kind!r}; expected auto, exact or graph.")
        self.metric, self.kind = metric, kind
        self.n_links, self.build_width, self.search_width = n_links, build_width, search_width
        self.source = ""

    def fit(self, points: Points) -> "NeighborIndex":
        """Index `points`, shape (n_rows, n_dims), float32.

        Raises
        ------
        InputError
            If they are not a table of finite numbers.
        """
        import faiss

        points = _checked(points, "points")
        self.n_rows_, self.n_dims_ = points.shape
        self.is_exact_ = self.kind == "exact" or (self.kind == "auto" and self.n_rows_ < MOST_EXACT_ROWS)
        self._center, self._whitening = np.zeros(self.n_dims_, np.float32), None
        if self.metric == "whitened":
            self._center, self._whitening = shrunken_whitening(points)
        if self.metric == "standardized":
            self._center, self._whitening = _standard(points)
        measure = faiss.METRIC_L2 if self._is_distance else faiss.METRIC_INNER_PRODUCT
        self._index: Any
        if self.is_exact_:
            self._index = faiss.IndexFlat(self.n_dims_, measure)
        else:
            self._index = faiss.IndexHNSWFlat(self.n_dims_, self.n_links, measure)
            self._index.hnsw.efConstruction = self.build_width
        moved = self._moved(points)
        self._rows: np.ndarray | None = None
        self.search_width_ = self.search_width or WIDTHS[0]
        if self.is_exact_ or self.search_width is not None or self.n_rows_ < 2:
            self._index.add(moved)
        else:
            self._add_and_find_width(moved)
        return self

    def search(
        self,
        queries: Points,
        k: int = 10,
        *,
        among: Bool[np.ndarray, " n_rows"] | Int[np.ndarray, " n_allowed"] | Sequence[int] | None = None,
    ) -> Neighbors:
        """The `k` nearest rows of each query.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_dims), float32
        k : int
            More than there are rows gives all of them.
        among : ndarray of bool, shape (n_rows,), or row numbers, optional
            Only these rows count. Fewer than 20,000 are searched exactly, whatever the index.

        Returns
        -------
        Neighbors

        Raises
        ------
        InputError
            If the queries are of another width or not finite, `k` is below 1, or `among` names rows that do not exist.
        """
        queries = _checked(queries, "queries")
        if queries.shape[1] != self.n_dims_:
            raise InputError(f"The queries have {queries.shape[1]} dimensions, the points that were indexed {self.n_dims_}.")
        if k < 1:
            raise InputError(f"k is {k}; ask for one neighbor or more.")
        allowed = None if among is None else self._allowed(among)
        n_allowed = self.n_rows_ if allowed is None else len(allowed)
        width = min(k, n_allowed)
        moved = self._moved(queries)
        if width == 0 or not len(queries):
            return Neighbors(np.zeros((len(queries), width), np.int64), np.zeros((len(queries), width), np.float32), self.metric)
        if self.is_exact_ or (allowed is not None and n_allowed < MOST_EXACT_ROWS):
            scores, rows = self._exact(moved, width, allowed)
        else:
            scores, rows = self._approximate(moved, width, allowed, self.search_width_)
            short = np.flatnonzero((rows < 0).any(axis=1))
            if len(short):  # the graph did not reach enough points
                scores[short], rows[short] = self._exact(moved[short], width, allowed)
        return Neighbors(rows, self._as_asked(scores, rows), self.metric)

    def recall(self, queries: Points, k: int = 10) -> float:
        """Share of the true `k` nearest rows that :meth:`search` finds; 1 for an exact index."""
        queries = _checked(queries, "queries")
        found = self.search(queries, k).rows
        _, exact = self._exact(self._moved(queries), found.shape[1], None)
        return float(np.mean([len(np.intersect1d(a, b)) / max(len(b), 1) for a, b in zip(found, exact, strict=True)]))

    def to_artifact(self) -> Artifact:
        """The index as faiss writes it, with what is needed to ask it the same way."""
        import faiss

        known = {
            "settings": {name: getattr(self, name) for name in _SETTINGS},
            "width_found": self.search_width_,
            "n_rows": self.n_rows_,
            "n_dims": self.n_dims_,
            "is_exact": self.is_exact_,
            "source": self.source,
        }
        arrays = {"index": faiss.serialize_index(self._index)}
        if self._rows is not None:
            arrays["rows"] = self._rows
        if self._whitening is not None:
            arrays |= {"center": self._center, "whitening": self._whitening}
        return Artifact(self.artifact_kind, known, arrays, Provenance(), self.artifact_version)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "NeighborIndex":
        """Back from :meth:`to_artifact`."""
        import faiss

        known, arrays = artifact.parameters, artifact.arrays
        index = cls(**known["settings"])
        index.n_rows_, index.n_dims_, index.is_exact_ = (known[name] for name in ("n_rows", "n_dims", "is_exact"))
        index.search_width_, index.source = known["width_found"], known["source"]
        index._index, index._rows = faiss.deserialize_index(arrays["index"]), arrays.get("rows")
        index._center, index._whitening = np.zeros(index.n_dims_, np.float32), None
        if index.metric in ("whitened", "standardized"):
            index._center, index._whitening = arrays["center"], arrays["whitening"]
        if (index._index.ntotal, index._index.d) != (index.n_rows_, index.n_dims_):
            raise ValueError(f"the index has {index._index.ntotal} rows, its facts say {index.n_rows_}")
        return index

    def _add_and_find_width(self, moved: np.ndarray) -> None:
        """Add all points but some, ask for the neighbors of those, and add them too.

        Points that are in the graph already would be too easy to ask for: it was built around them.
        """
        n_asked = min(QUERIES_TO_CHOOSE, len(moved) // 2)
        order = np.random.default_rng(0).permutation(len(moved))
        asked = np.sort(order[:n_asked])
        rest = np.sort(order[n_asked:])
        self._index.add(moved[rest])
        self._rows = np.concatenate([rest, asked])
        k = min(10, len(rest))
        truth = self._exact(moved[asked], k, None)[1]
        for width in WIDTHS:
            self.search_width_ = width
            _, found = self._approximate(moved[asked], k, None, width)
            if np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(found, truth, strict=True)]) >= RECALL_AIMED_AT:
                break
        self._index.add(moved[asked])

    @property
    def _is_distance(self) -> bool:
        return self.metric in ("euclidean", "whitened")

    def _moved(self, points: np.ndarray) -> np.ndarray:
        """Where the index sees `points`."""
        if self.metric == "cosine":
            return unit_length(points)
        if self.metric == "standardized":
            assert self._whitening is not None
            return unit_length((points - self._center) * self._whitening)
        if self._whitening is not None:
            return np.ascontiguousarray((points - self._center) @ self._whitening)
        return np.ascontiguousarray(points)

    def _exact(self, moved: np.ndarray, width: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        import faiss

        flat = self._index
        if not self.is_exact_:
            flat = faiss.downcast_index(self._index.storage)
        if allowed is None:
            return self._named(*flat.search(moved, width))
        return self._named(*flat.search(moved, width, params=faiss.SearchParameters(sel=faiss.IDSelectorBatch(self._places(allowed)))))

    def _approximate(self, moved: np.ndarray, k: int, allowed: np.ndarray | None, width: int) -> tuple[np.ndarray, np.ndarray]:
        import faiss

        selector = None if allowed is None else faiss.IDSelectorBatch(self._places(allowed))
        return self._named(*self._index.search(moved, k, params=faiss.SearchParametersHNSW(efSearch=max(width, k), sel=selector)))

    def _named(self, scores: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places in the index to rows of the points."""
        return scores, places if self._rows is None else np.where(places < 0, -1, self._rows[places])

    def _places(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the points to places in the index."""
        return rows if self._rows is None else np.argsort(self._rows)[rows]

    def _allowed(self, among: Any) -> np.ndarray:
        chosen = np.asarray(among)
        if chosen.dtype == bool:
            if chosen.shape != (self.n_rows_,):
                raise InputError(f"among has shape {chosen.shape}; expected a truth value for each of {self.n_rows_} rows.")
            return np.flatnonzero(chosen).astype(np.int64)
        chosen = np.unique(chosen.astype(np.int64))
        if len(chosen) and not (chosen[0] >= 0 and chosen[-1] < self.n_rows_):
            raise InputError(f"among names row {chosen[0] if chosen[0] < 0 else chosen[-1]}, but rows are 0 to {self.n_rows_ - 1}.")
        return chosen

    def _as_asked(self, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
        found = np.sqrt(np.maximum(scores, 0)) if self._is_distance else scores  # faiss squares distances
        return np.where(rows < 0, np.float32(np.nan), found).astype(np.float32)


def _standard(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and what brings every dimension to one spread; one in which all points are equal counts for nothing."""
    if not len(points):
        return np.zeros(points.shape[1], np.float32), np.ones(points.shape[1], np.float32)
    center, spread = points.mean(axis=0, dtype=np.float64), points.std(axis=0, dtype=np.float64)
    least = 1e-6 * max(float(np.abs(points).max()), 1e-30)  # what is left where a dimension is constant is rounding
    return center.astype(np.float32), np.where(spread > least, 1 / np.maximum(spread, least), 0).astype(np.float32)


def suited_metric(column: VectorColumn, n_rows: int) -> str:
    """The metric that suits the points of a column: ``standardized`` for the states of a language model, ``cosine`` for all others.

    Measured in ``benchmarks/neighbor_metrics.py``: sentence encoders are trained for plain cosines and gain nothing.
    """
    is_read = column.fingerprint.kind == "language-model" and n_rows >= LEAST_TO_STANDARDIZE
    return "standardized" if is_read else "cosine"


def unit_length(points: np.ndarray) -> np.ndarray:
    """Rows scaled to length one, in float32: `linalg.unit_rows` would hold a large table in float64 twice. A zero row stays zero."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.ascontiguousarray(points / np.where(lengths > 0, lengths, 1))


def _checked(points: Any, name: str) -> np.ndarray:
    array = np.asarray(points, dtype=np.float32)
    if array.ndim != 2:
        raise InputError(f"The {name} have shape {array.shape}; expected (n, n_dims). Reshape a single point with [np.newaxis].")
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(f"Row {row} of the {name} holds NaN or infinity. Remove the row, or look at what makes such values.")
    return array


def store_index(
    store: LatentStore, column: str | None = None, *, metric: str | None = None, folder: str | Path | None = None
) -> NeighborIndex:
    """The index of a column of a store: the one kept beside it, or a new one if rows have come, gone or changed since.

    Parameters
    ----------
    store : LatentStore
    column : str, optional
        Needed where the store has several columns of points.
    metric : str, optional
        See :class:`NeighborIndex`. Default: what suits the points, see :func:`suited_metric`.
    folder : str or Path, optional
        Where indexes are kept. Default: ``_neighbors`` in a local store. A store that cannot be written, or on an object store,
        has its index built each time unless a folder is given.
    """
    chosen = store.column(column)
    name, metric = chosen.name, metric or suited_metric(chosen, len(store))
    local = "://" not in store.path
    home = Path(folder) if folder is not None else Path(store.path) / "_neighbors" if local else None
    digest = store.digest(name)
    kept = None if home is None else home / f"{name}-{metric}"
    if kept is not None:
        try:
            if read_document(kept, kind=NeighborIndex.artifact_kind)["parameters"].get("source") == digest:
                return NeighborIndex.load(kept)
        except DataError:
            pass  # none, of an earlier format, or damaged: built below
    index = NeighborIndex(metric=metric).fit(store.points(name))
    index.source = digest
    if kept is not None:
        try:
            index.save(kept)
        except InputError:
            if folder is not None:
                raise
    return index


def nearest_rows(store: LatentStore, index: NeighborIndex, query: Points, k: int = 10, *, where: str | None = None) -> list[dict[str, Any]]:
    """The nearest rows of a store with their metadata, as plain dicts with a ``score``, the nearest first.

    A column of the store that is called ``score`` itself is given as ``stored_score``.

    Parameters
    ----------
    store : LatentStore
    index : NeighborIndex
        Of a column of this store, see :func:`store_index`.
    query : ndarray of shape (1, n_dims), float32
    k : int
    where : str, optional
        A condition over the metadata: only rows that meet it count.
    """
    among = None if where is None else store.row_numbers(where)
    found = index.search(query, k, among=among)
    rows = store.take_metadata(found.rows[0])
    own = "stored_score"
    while rows and own in rows[0]:
        own = f"stored_{own}"
    return [
        {"score": float(score), **{own if name == "score" else name: value for name, value in row.items()}}
        for score, row in zip(found.scores[0], rows, strict=True)
    ]
