"""The posterior of each item's true category, from all items but itself.

Distances to categories and votes of neighbors are pooled in the exponent, with two weights that make the given categories
likeliest once wrong ones are allowed for. The wrong ones are then found by Bayes' rule.

Nothing is fitted anew with what was found. A second fit knows each item's label through what its neighbors were then thought to be,
so no item is left out of it exactly; and on sets that had no part in its choice it found no more errors (benchmarks/audit.py).
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int

from lexframe.audit.discriminant import (
    Categories,
    Discriminant,
    PointSums,
    Weights,
    blocks,
    fit_discriminant,
    point_sums,
    weighted_sums,
)
from lexframe.audit.neighbor_votes import Neighborhood, votes
from lexframe.audit.noise_model import NoiseModel, fit_noise
from lexframe.linalg import rows_by_class, softmax
from lexframe.typing import Points

MAX_CANDIDATES = 24
ROWS_TO_CHOOSE, ROWS_TO_POOL = 8_000, 4_000
SHRINKAGES, KAPPAS = (0.05, 0.15, 0.4, 0.8), (0.3, 1.0, 4.0)
FAR, SURE = 4.0, 3.0
OPEN, NOWHERE = -1, -2
"""In place of a settled category: nobody has decided; the item belongs to none."""
PRECISION = 1e-3
"""Of a weak prior on the logarithms of weights: keeps them finite where categories part perfectly."""


@dataclass(frozen=True, slots=True)
class CategoryPosterior:
    """What is known of each item's category.

    Attributes
    ----------
    candidates : ndarray of int32, shape (n_items, n_candidates)
        The given category first, then the nearest others.
    posterior : ndarray of float32, shape (n_items, n_candidates)
        P(true category | item), from all items but this one and without its label.
    informed : ndarray of float32, shape (n_items, n_candidates)
        P(true category | item, its given category).
    discriminant : Discriminant
    noise : NoiseModel
    weights : tuple of float
        Of distances and of votes in the exponent.
    prior : ndarray of shape (n_categories,)
        Shares of the categories.
    own_distance : ndarray of float32, shape (n_items,)
        Squared Mahalanobis distance to the category that a person has settled the item in, or to the given one, from the other items
        alone.
    nearest_distance : ndarray of float32, shape (n_items,)
        To the nearest category.
    center_distance : ndarray of float32, shape (n_items,)
        To the centre of all points, in the same coordinates.
    shrinkage, kappa : float
        Of the covariance and of the means.
    informative : bool
        Whether the points say more about the categories than their sizes do. Where they do not, the posterior is the sizes' and no label
        is called wrong.
    """

    candidates: Categories
    posterior: Weights
    informed: Weights
    discriminant: Discriminant
    noise: NoiseModel
    weights: tuple[float, float]
    prior: Float[np.ndarray, " n_categories"]
    own_distance: Float[np.ndarray, " n_items"]
    nearest_distance: Float[np.ndarray, " n_items"]
    center_distance: Float[np.ndarray, " n_items"]
    shrinkage: float
    kappa: float
    informative: bool

    @property
    def strangeness(self) -> Float[np.ndarray, " n_items"]:
        """How far the nearest category is; the higher, the likelier that the item belongs to none.

        In the main the distance beyond that to the centre of all points, in robust standard deviations (a relative Mahalanobis
        distance, Ren et al. 2021, A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection, arXiv:2106.09022): what is
        odd in directions that matter to no category then does not count. Far outside of all points both distances grow alike and
        the difference says nothing, so what the plain distance has above four standard deviations is added.
        """
        return self._far(self.nearest_distance)

    @property
    def misfit(self) -> Float[np.ndarray, " n_items"]:
        """How far the item's own category is, in the same measure: higher for items of none, and for those of another category."""
        return self._far(self.own_distance)

    def _far(self, distance: Float[np.ndarray, " n_items"]) -> Float[np.ndarray, " n_items"]:
        relative = robust_scores((distance - self.center_distance).astype(np.float64))
        return relative + np.maximum(robust_scores(distance.astype(np.float64)) - FAR, 0)


def robust_scores(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Distance from the median in units of the median absolute deviation, scaled to a Gaussian's standard deviation."""
    middle = np.median(values)
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    return (values - middle) / (spread or 1.0)


def fit_posterior(
    points: Points,
    given: Int[np.ndarray, " n_items"],
    n_categories: int,
    neighborhood: Neighborhood,
    *,
    groups: Int[np.ndarray, " n_categories"] | None = None,
    settings: tuple[float, float] | None = None,
    settled: Int[np.ndarray, " n_items"] | None = None,
    sums: PointSums | None = None,
    seed: int = 0,
) -> CategoryPosterior:
    """Fit distances, votes, their weights and the noise.

    Parameters
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    given : ndarray of int, shape (n_items,)
    n_categories : int
    neighborhood : Neighborhood
        The nearest other items of every item.
    groups : ndarray of int, shape (n_categories,), optional
        Parent of each category in a hierarchy.
    settings : (float, float), optional
        Shrinkage of the covariance and kappa. Default: found by the likelihood of items that are left out.
    settled : ndarray of int, shape (n_items,), optional
        The true category of items that a person has decided on; :data:`OPEN` for the others, :data:`NOWHERE` for items that
        belong to no category. Their given category no longer counts.
    sums : PointSums, optional
        Of the points, where known already.
    seed : int
        Draws the items that weights are fitted on.

    Returns
    -------
    CategoryPosterior
    """
    settled = np.full(len(given), OPEN) if settled is None else settled
    known = np.where(settled >= 0, settled, given)
    if sums is None:  # items of no category are not part of any spread
        sums = point_sums(points[settled != NOWHERE] if (settled == NOWHERE).any() else points)
    presence = (settled != NOWHERE).astype(np.float32)
    unsettled = np.flatnonzero(settled == OPEN) if (settled == OPEN).any() else np.arange(len(given))
    pool = unsettled[rows_by_class(given[unsettled], ROWS_TO_POOL, seed=seed)]
    if settings is None:
        placed = settled != NOWHERE
        some, theirs = (points, known) if placed.all() else (points[placed], known[placed])
        settings = choose_settings(some, theirs, n_categories, sums, groups=groups, seed=seed)
    categories, weights = known[:, np.newaxis].astype(np.int32), presence[:, np.newaxis]
    totals, counts = weighted_sums(points, sums.center, categories, weights, n_categories)
    model = fit_discriminant(sums, totals, counts, groups=groups, shrinkage=settings[0], kappa=settings[1])
    candidates, distances, lengths = _candidate_distances(points, model, given, known, presence)
    others = left_out_shares(counts, known, presence, candidates)
    voted = votes(neighborhood, categories, weights, candidates, n_categories, others)
    near = -0.5 * (distances - distances.min(axis=1, keepdims=True))
    log_prior = np.log(others).astype(np.float32)
    pooled = _pool_weights(near[pool], voted[pool], log_prior[pool], n_categories)
    posterior = softmax(pooled[0] * near + pooled[1] * voted + log_prior).astype(np.float32)
    noise = fit_noise(*_with_settled(posterior, candidates, given, settled), n_categories, seed=seed)
    informed = posterior * noise.given_probability(given, candidates)
    likelihood = informed.sum(axis=1)
    informed = (informed / informed.sum(axis=1, keepdims=True)).astype(np.float32)
    judged = unsettled[counts[known[unsettled]] >= 2]  # of an item that is alone in its category nothing else speaks
    informative = len(judged) > 0 and _says_something(likelihood[judged], log_prior[judged])
    if not informative:
        posterior = softmax(log_prior.astype(np.float64)).astype(np.float32)
        informed = np.zeros_like(posterior)
        informed[:, 0] = 1
        noise = replace(noise, error_rate=0.0)
    return CategoryPosterior(
        candidates=candidates,
        posterior=posterior,
        informed=informed,
        discriminant=model,
        noise=noise,
        weights=pooled,
        prior=(counts + 1) / (counts.sum() + n_categories),
        own_distance=lengths[0],
        nearest_distance=lengths[1],
        center_distance=lengths[2],
        shrinkage=settings[0],
        kappa=settings[1],
        informative=informative,
    )


def _says_something(likelihood: Float[np.ndarray, " n_asked"], log_prior: Float[np.ndarray, "n_asked n_candidates"]) -> bool:
    """Whether given categories are likelier than by their sizes alone, by three standard errors, when each item is left out."""
    by_size = log_prior[:, 0] - np.log(np.exp(log_prior.astype(np.float64)).sum(axis=1))
    gain = np.log(np.maximum(likelihood.astype(np.float64), 1e-300)) - by_size
    return bool(gain.mean() > SURE * gain.std() / np.sqrt(len(gain)))


def _with_settled(
    posterior: Weights, candidates: Categories, given: Int[np.ndarray, " n_items"], settled: Int[np.ndarray, " n_items"]
) -> tuple[Float[np.ndarray, "n_asked n_candidates"], Int[np.ndarray, "n_asked n_candidates"], Int[np.ndarray, " n_asked"]]:
    """What the noise is fitted on: settled items are known for certain, and those of no category are not asked.

    Open items alone would not do. People look at the likeliest errors first, and what is left would seem free of them.
    """
    if (settled == OPEN).all():
        return posterior, candidates, given
    certain, holds = posterior.copy(), candidates == settled[:, np.newaxis]
    known = (settled >= 0) & holds.any(axis=1)
    certain[known] = holds[known]
    kept = (settled == OPEN) | known
    return certain[kept], candidates[kept], given[kept]


def choose_settings(
    points: Points,
    given: Int[np.ndarray, " n_items"],
    n_categories: int,
    sums: PointSums,
    *,
    groups: Int[np.ndarray, " n_categories"] | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """Shrinkage and kappa under which items that are left out are likeliest in their given categories.

    At most 8,000 items are asked about; the sums are those of all.
    """
    totals, counts = weighted_sums(points, sums.center, given[:, np.newaxis], np.ones((len(given), 1), np.float32), n_categories)
    rows = rows_by_class(given, ROWS_TO_CHOOSE, seed=seed)
    some, own = points[rows], given[rows]
    log_prior = np.log((counts + 1) / (counts.sum() + n_categories)).astype(np.float32)
    found: dict[tuple[float, float], float] = {}

    def loss(shrinkage: float, kappa: float) -> float:
        if (shrinkage, kappa) not in found:
            model = fit_discriminant(sums, totals, counts, groups=groups, shrinkage=shrinkage, kappa=kappa)
            pieces = [_given_and_best(model, some[part], own[part], log_prior) for part in blocks(len(some), n_categories + some.shape[1])]
            found[shrinkage, kappa] = _best_scaled_loss([np.concatenate(listed) for listed in zip(*pieces, strict=True)])
        return found[shrinkage, kappa]

    shrinkage = min(SHRINKAGES, key=lambda value: loss(value, 1.0))
    return shrinkage, min(KAPPAS, key=lambda value: loss(shrinkage, value))


def left_out_shares(
    counts: Float[np.ndarray, " n_categories"],
    known: Int[np.ndarray, " n_items"],
    presence: Float[np.ndarray, " n_items"],
    candidates: Categories,
) -> Float[np.ndarray, "n_items n_candidates"]:
    """Share of each candidate among all items but the one that is asked about, with one imagined item in every category.

    With the item in, its own category would seem larger than the others that stand beside it: by a tenth among ten members.
    """
    own = presence[:, np.newaxis] * (candidates == known[:, np.newaxis])
    return (counts[candidates] - own + 1) / (counts.sum() - presence[:, np.newaxis] + len(counts))


def _candidate_distances(
    points: Points,
    model: Discriminant,
    given: Int[np.ndarray, " n_items"],
    known: Int[np.ndarray, " n_items"],
    presence: Float[np.ndarray, " n_items"],
) -> tuple[Categories, Float[np.ndarray, "n_items n_candidates"], Float[np.ndarray, "three n_items"]]:
    """Candidates of each item, the given category first, with their squared distances; distances to its own, the nearest, the centre."""
    n_candidates = min(len(model.counts), MAX_CANDIDATES)
    candidates = np.empty((len(points), n_candidates), dtype=np.int32)
    kept = np.empty((len(points), n_candidates), dtype=np.float32)
    lengths = np.empty((3, len(points)), dtype=np.float32)
    for rows in blocks(len(points), points.shape[1] + 2 * len(model.counts)):
        z = model.whiten(points[rows])
        squared = model.distances(z, known[rows], presence[rows])
        lengths[0, rows] = squared[np.arange(len(z)), known[rows]]
        lengths[1, rows] = squared.min(axis=1)
        lengths[2, rows] = np.einsum("ij,ij->i", z, z)
        candidates[rows] = _given_first(squared, given[rows], n_candidates)
        kept[rows] = np.take_along_axis(squared, candidates[rows], axis=1)
    return candidates, kept, lengths


def _given_first(squared: np.ndarray, given: np.ndarray, n_candidates: int) -> np.ndarray:
    """The given category, then the nearest others in the order of their distance."""
    rows = np.arange(len(squared))
    ranked = squared.copy()
    ranked[rows, given] = -1
    if n_candidates < ranked.shape[1]:
        part = np.argpartition(ranked, n_candidates - 1, axis=1)[:, :n_candidates]
    else:
        part = np.broadcast_to(np.arange(ranked.shape[1]), ranked.shape)
    order = np.argsort(np.take_along_axis(ranked, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)


def _pool_weights(near: Weights, voted: Weights, log_prior: Weights, n_categories: int) -> tuple[float, float]:
    """Weights of distances and votes under which the given categories are likeliest, wrong ones allowed for.

    Any other category is as likely as the next, at a rate that is found too.
    """

    def loss(values: np.ndarray) -> float:
        posterior = softmax(np.exp(values[0]) * near + np.exp(values[1]) * voted + log_prior)
        rate = 1 / (1 + np.exp(-values[2]))
        likelihood = (1 - rate) * posterior[:, 0] + rate / n_categories
        return float(-np.log(likelihood + 1e-12).mean() + PRECISION * np.sum(values**2))

    start = np.array([-1.5, -0.5, -3.0])
    found = scipy.optimize.minimize(loss, start, method="Nelder-Mead", options={"maxiter": 200, "xatol": 0.02, "fatol": 1e-4}).x
    return float(np.exp(found[0])), float(np.exp(found[1]))


def _given_and_best(
    model: Discriminant, points: Points, own: Int[np.ndarray, " n_items"], log_prior: Float[np.ndarray, " n_categories"]
) -> tuple[np.ndarray, np.ndarray]:
    squared = model.distances(model.whiten(points), own)
    chosen = _given_first(squared, own, min(len(model.counts), MAX_CANDIDATES))
    kept = np.take_along_axis(squared, chosen, axis=1)
    return -0.5 * (kept - kept.min(axis=1, keepdims=True)), log_prior[chosen]


def _best_scaled_loss(pieces: list[np.ndarray]) -> float:
    """Mean negative log-likelihood of the given categories (the first) at the best scale and share of errors."""
    near, log_prior = pieces

    def loss(values: np.ndarray) -> float:
        own = softmax(np.exp(values[0]) * near + log_prior)[:, 0]
        rate = 1 / (1 + np.exp(-values[1]))
        return float(-np.log((1 - rate) * own + rate / near.shape[1] + 1e-12).mean() + PRECISION * np.sum(values**2))

    start = np.array([-1.5, -3.0])
    return float(scipy.optimize.minimize(loss, start, method="Nelder-Mead", options={"maxiter": 60, "xatol": 0.05, "fatol": 1e-4}).fun)
