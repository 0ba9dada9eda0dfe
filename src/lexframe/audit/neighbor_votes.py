"""What the nearest items say about an item's category: shares of its neighbors, the near ones counting for more."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Float, Float32, Int, Int64

from lexframe.audit.discriminant import Categories, PointSums, blocks, point_sums
from lexframe.latents.neighbors import MOST_EXACT_ROWS, NeighborIndex, unit_length
from lexframe.typing import Points

SIMILARITY_SCALE = 0.1
"""Cosine by which a neighbor lies farther than the nearest when it counts e times less."""
PRIOR_VOTES, GRAPH_DIMS = 0.2, 96
SPHERE, MAX_ANSWERS, MAX_ASKED = 0.3, 10_000, 1_000
"""Share of the sphere in the covariance that whitens; items that choose between plain and whitened."""


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """The nearest other items of every item.

    Attributes
    ----------
    rows : ndarray of int64, shape (n_items, k)
        The nearest first; -1 where there are fewer.
    similarity : ndarray of float32, shape (n_items, k)
        Cosine; NaN where there is none.
    whitening : ndarray of shape (n_dims, n_dims), float32, optional
        What points were multiplied by before the cosine was taken.
    """

    rows: Int64[np.ndarray, "n_items k"]
    similarity: Float32[np.ndarray, "n_items k"]
    whitening: Float32[np.ndarray, "n_dims n_dims"] | None = None


def choose_neighborhood(
    points: Points, given: Int[np.ndarray, " n_items"], n_categories: int, k: int, *, sums: PointSums | None = None, seed: int = 0
) -> Neighborhood:
    """The neighbourhood, by plain or by whitened cosine, whose votes make the given categories likelier.

    Sentence encoders are trained for the cosine; states of language models have a few strong directions that say little of what a
    text is about. Whitening looks at no label, so no item votes for itself through it.

    Parameters
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    given : ndarray of int, shape (n_items,)
    n_categories : int
    k : int
    sums : PointSums, optional
        Of the points, where known already.
    seed : int
        Draws the 1,000 items that are asked, and the 10,000 that answer, where there are more.

    Returns
    -------
    Neighborhood
        With `whitening` where whitened points won.
    """
    whitening = _whitening(point_sums(points) if sums is None else sums)
    answering = np.sort(np.random.default_rng(seed).permutation(len(points))[:MAX_ANSWERS])
    sample, labels = points[answering], given[answering]
    asked = np.random.default_rng(seed).permutation(len(sample))[:MAX_ASKED]
    prior = (np.bincount(labels, minlength=n_categories) + 1) / (len(labels) + n_categories)
    likelihoods = [_vote_likelihood(places, labels, asked, min(k, len(sample) - 1), prior) for places in (sample, sample @ whitening)]
    if likelihoods[1] <= likelihoods[0]:
        return find_neighborhood(points, k)
    moved = np.empty(points.shape, np.float32)
    for rows in blocks(len(points), points.shape[1]):
        moved[rows] = points[rows] @ whitening
    found = find_neighborhood(moved, k)
    return Neighborhood(found.rows, found.similarity, whitening)


def find_neighborhood(points: Points, k: int) -> Neighborhood:
    """The `k` nearest other items of every item by cosine, among centered points.

    Below 20,000 rows the search is exact. Above, candidates come from a graph (HNSW) over the leading 96 principal directions,
    twice as many as are asked for, and are put in order by their cosines in all dimensions.

    Parameters
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    k : int

    Returns
    -------
    Neighborhood
    """
    center = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    if len(points) < MOST_EXACT_ROWS or points.shape[1] <= GRAPH_DIMS:
        centered = points - center
        found = NeighborIndex(metric="cosine").fit(centered).search(centered, k + 1)
        return _without_self(found.rows, found.scores, k)
    leading = _leading_directions(points, center)
    narrow = np.concatenate([unit_length(points[rows] - center) @ leading for rows in blocks(len(points), points.shape[1])])
    found = NeighborIndex(metric="euclidean", search_width=max(64, 2 * k), build_width=100).fit(narrow).search(narrow, 2 * k + 1)
    del narrow
    scores = cosines(points, found.rows)
    order = np.argsort(-scores, axis=1, kind="stable")
    return _without_self(np.take_along_axis(found.rows, order, axis=1), np.take_along_axis(scores, order, axis=1), k)


def votes(
    neighborhood: Neighborhood,
    categories: Int[np.ndarray, "n_items n_held"],
    weights: Float[np.ndarray, "n_items n_held"],
    asked: Categories,
    n_categories: int,
    shares: Float[np.ndarray, "n_items n_candidates"],
) -> Float[np.ndarray, "n_items n_candidates"]:
    """Logarithm of the neighbors' share over the category's share of all items, for the categories that are asked about.

    Parameters
    ----------
    neighborhood : Neighborhood
    categories, weights : ndarray of shape (n_items, n_held)
        To which categories each item belongs, and how much.
    asked : ndarray of int, shape (n_items, n_candidates)
    n_categories : int
    shares : ndarray of shape (n_items, n_candidates)
        Share of each category that is asked about among all other items; counts for a sixth of the neighbors.

    Returns
    -------
    ndarray of shape (n_items, n_candidates), float32
        In nats; 0 where the neighbors say what all items say.
    """
    n = len(asked)
    near = neighbor_weights(neighborhood)
    ends = np.arange(n + 1) * categories.shape[1]
    held = scipy.sparse.csr_array((weights.ravel().astype(np.float32), categories.ravel(), ends), shape=(n, n_categories))
    out = np.empty(asked.shape, dtype=np.float32)
    for rows in blocks(n, n_categories):
        voted = (near[rows] @ held).toarray()
        out[rows] = np.take_along_axis(voted, asked[rows], axis=1)
    return np.log((out + PRIOR_VOTES * shares) / ((1 + PRIOR_VOTES) * shares)).astype(np.float32)


def neighbor_weights(neighborhood: Neighborhood) -> scipy.sparse.csr_array:
    """Sparse (n_items, n_items): how much each neighbor counts; rows sum to 1, or to 0 without neighbors."""
    n, k = neighborhood.rows.shape
    there = neighborhood.rows >= 0
    similarity = np.where(there, neighborhood.similarity, -np.inf)
    best = np.max(similarity, axis=1, keepdims=True, initial=-1.0)
    size = np.exp((similarity - best) / SIMILARITY_SCALE)
    size /= np.maximum(size.sum(axis=1, keepdims=True), 1e-30)
    ends = np.arange(n + 1) * k
    return scipy.sparse.csr_array((size.ravel().astype(np.float32), np.maximum(neighborhood.rows, 0).ravel(), ends), shape=(n, n))


def _without_self(rows: np.ndarray, scores: np.ndarray, k: int) -> Neighborhood:
    """Drop each row's own number, or the farthest where copies have crowded it out, and keep `k`."""
    n, width = rows.shape
    own = rows == np.arange(n)[:, np.newaxis]
    missing = ~own.any(axis=1)
    own[missing, -1] = True
    kept = np.flatnonzero(~own)
    kept_rows = rows.ravel()[kept].reshape(n, width - 1)[:, :k]
    kept_scores = scores.ravel()[kept].reshape(n, width - 1)[:, :k]
    return Neighborhood(np.ascontiguousarray(kept_rows, dtype=np.int64), np.ascontiguousarray(kept_scores, dtype=np.float32))


def _leading_directions(points: Points, center: np.ndarray, *, max_rows: int = 20_000) -> Float[np.ndarray, "n_dims few"]:
    part = unit_length(points[:: max(1, -(-len(points) // max_rows))] - center).astype(np.float64)
    _, vectors = np.linalg.eigh(part.T @ part)
    return np.ascontiguousarray(vectors[:, ::-1][:, :GRAPH_DIMS], dtype=np.float32)


def cosines(points: Points, rows: Int[np.ndarray, "n_items k"]) -> Float32[np.ndarray, "n_items k"]:
    """Cosine of every item, centered, with the items of its row; minus infinity where the number is -1."""
    center = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    lengths = np.concatenate([np.linalg.norm(points[part] - center, axis=1) for part in blocks(len(points), points.shape[1])])
    lengths = np.where(lengths > 0, lengths, 1)
    scores = np.empty(rows.shape, dtype=np.float32)
    for part in blocks(len(rows), points.shape[1] * rows.shape[1]):
        own = points[part] - center
        scores[part] = np.einsum("nd,nkd->nk", own, points[rows[part]] - center)
        scores[part] /= lengths[part, np.newaxis] * lengths[rows[part]]
    return np.where(rows < 0, np.float32(-np.inf), scores)


def _whitening(sums: PointSums) -> Float32[np.ndarray, "n_dims n_dims"]:
    values, vectors = np.linalg.eigh(sums.scatter / sums.n_items)
    values = (1 - SPHERE) * np.maximum(values, 0) + SPHERE * max(float(values.mean()), 1e-30)
    return np.ascontiguousarray(vectors / np.sqrt(values), dtype=np.float32)


def _vote_likelihood(
    points: Points,
    given: Int[np.ndarray, " n_items"],
    asked: Int[np.ndarray, " n_asked"],
    k: int,
    prior: Float[np.ndarray, " n_categories"],
) -> float:
    """Mean log-probability that the neighbors of some items give to the categories of these items."""
    centered = points - points.mean(axis=0)
    found = NeighborIndex(metric="cosine", kind="exact").fit(centered).search(centered[asked], k + 1)
    near = np.where(found.rows == asked[:, np.newaxis], -np.inf, found.scores)
    size = np.exp((near - near.max(axis=1, keepdims=True)) / SIMILARITY_SCALE)
    share = np.sum(size * (given[found.rows] == given[asked][:, np.newaxis]), axis=1) / size.sum(axis=1)
    return float(np.log((share + PRIOR_VOTES * prior[given[asked]]) / (1 + PRIOR_VOTES)).mean())
