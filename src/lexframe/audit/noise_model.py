"""How given categories come about: each item has a true category, and is sometimes filed under another.

Wrong labels are of two kinds, and which kind it is decides what should be looked at first: an item filed anywhere at random is
found by how unlikely its own category is, one filed under a similar category by how much likelier the rival is. The transition
from true to given category therefore has two numbers: the share of errors, and the share of those that went to similar
categories. (Errors of single pairs of categories, as confident learning [1]_ counts them, were tried with a prior of several
strengths and found fewer errors on every development set: what they learn is mostly where the posterior itself is a little off.)
Only items whose category is beyond doubt are looked at, for the same reason.

References
----------
.. [1] Northcutt, Jiang and Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels, section 3.1.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from lexframe.audit.discriminant import Categories, Weights

CONFIDENT, LEAST_CONFIDENT, MAX_ITEMS = 0.8, 50, 100_000
LEAST_ERRORS, MAX_ERRORS = 1e-4, 0.6
N_STEPS = 60
DROP = 7.68
"""A 95% interval has 1.92 where the model is right. It is not quite: four times that is twice the standard error."""


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Probability of the given category for each true one.

    Attributes
    ----------
    error_rate : float
        Share of items under a wrong category.
    similar_share : float
        Share of those that were filed under a similar category; the others lie anywhere.
    pair_keys : ndarray of int, shape (n_pairs,)
        Pairs of categories that the posterior confuses, ``first * n_categories + second``, rising.
    pair_similarity : ndarray of shape (n_pairs,)
        How much; rows sum to 1, or to 0 where a category is confused with none.
    n_categories : int
    error_interval : tuple of float
        Error rates that the items beyond doubt leave possible: those whose log-likelihood is at most :data:`DROP` below the best.
    """

    error_rate: float
    similar_share: float
    pair_keys: Int[np.ndarray, " n_pairs"]
    pair_similarity: Float[np.ndarray, " n_pairs"]
    n_categories: int
    error_interval: tuple[float, float] = (0.0, 1.0)

    def similarity(self, first: Int[np.ndarray, "..."], second: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """How much pairs of categories are confused."""
        keys = first.astype(np.int64) * self.n_categories + second
        place = np.minimum(np.searchsorted(self.pair_keys, keys), len(self.pair_keys) - 1)
        return np.where(self.pair_keys[place] == keys, self.pair_similarity[place], 0.0)

    def given_probability(self, given: Int[np.ndarray, " n_items"], true: Categories) -> Weights:
        """P(given | true) for each item's candidates.

        Parameters
        ----------
        given : ndarray of int, shape (n_items,)
        true : ndarray of int, shape (n_items, n_candidates)
        """
        own = given[:, np.newaxis]
        anywhere = (1 - self.similar_share) / max(self.n_categories - 1, 1)
        moved = self.error_rate * (anywhere + self.similar_share * self.similarity(true, own))
        return np.where(true == own, 1 - self.error_rate, moved)

    def draw(self, true: Int[np.ndarray, " n_items"], rng: np.random.Generator) -> Int[np.ndarray, " n_items"]:
        """A wrong category for each item, as errors of this kind come about."""
        anywhere = (true + rng.integers(1, max(self.n_categories, 2), len(true))) % self.n_categories
        first = self.pair_keys // self.n_categories
        total = np.cumsum(self.pair_similarity)
        starts = np.searchsorted(first, np.arange(self.n_categories))
        ends = np.searchsorted(first, np.arange(self.n_categories), side="right")
        before = np.concatenate([[0.0], total])
        low, high = before[starts[true]], before[ends[true]]
        place = np.minimum(np.searchsorted(total, low + rng.random(len(true)) * (high - low), side="right"), len(total) - 1)
        near = self.pair_keys[place] % self.n_categories
        similar = (rng.random(len(true)) < self.similar_share) & (high > low) & (near != true)
        return np.where(similar, near, anywhere)


def fit_noise(
    posterior: Weights, candidates: Categories, given: Int[np.ndarray, " n_items"], n_categories: int, *, seed: int = 0
) -> NoiseModel:
    """Fit the transition by expectation maximisation on items whose category is beyond doubt.

    Parameters
    ----------
    posterior : ndarray of shape (n_items, n_candidates)
        P(true category | item) of each candidate, from all items but this one.
    candidates : ndarray of int, shape (n_items, n_candidates)
        The given category is among them.
    given : ndarray of int, shape (n_items,)
    n_categories : int
    seed : int
        Draws 100,000 items where there are more.

    Returns
    -------
    NoiseModel
    """
    rng = np.random.default_rng(seed)
    some = _at_most(np.arange(len(given)), rng)
    model = NoiseModel(0.0, 0.0, *_similarity(posterior[some], candidates[some], given[some], n_categories), n_categories)
    chosen = _at_most(np.flatnonzero(_beyond_doubt(posterior)), rng)
    posterior, candidates, own = posterior[chosen], candidates[chosen], given[chosen][:, np.newaxis]
    right = np.sum(posterior * (candidates == own), axis=1)
    anywhere = np.maximum(1 - right, 0) / max(n_categories - 1, 1)
    near = np.sum(posterior * model.similarity(candidates, own), axis=1)
    rate, share = 0.05, 0.5
    for _ in range(N_STEPS):
        parts = np.stack([(1 - rate) * right, rate * (1 - share) * anywhere, rate * share * near]) + 1e-300
        parts /= parts.sum(axis=0)
        wrong = float(parts[1:].sum())
        rate = min(max(wrong / len(right), LEAST_ERRORS), MAX_ERRORS)
        share = float(parts[2].sum()) / max(wrong, 1e-12)
    moved = (1 - share) * anywhere + share * near
    return replace(model, error_rate=rate, similar_share=share, error_interval=_rate_interval(rate, right, moved))


def _rate_interval(rate: float, right: Float[np.ndarray, " n"], moved: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Rates at which items whose labels are right, or wrong, with these likelihoods are nearly as likely as at the best rate."""
    rates = np.geomspace(LEAST_ERRORS, 0.95, 300)
    logs = np.array([np.log((1 - one) * right + one * moved + 1e-300).sum() for one in rates])
    possible = rates[logs >= logs.max() - DROP]
    return float(min(possible[0], rate)), float(max(possible[-1], rate))


def _at_most(rows: Int[np.ndarray, " n_rows"], rng: np.random.Generator) -> Int[np.ndarray, " n_kept"]:
    return rows if len(rows) <= MAX_ITEMS else np.sort(rng.choice(rows, MAX_ITEMS, replace=False))


def _beyond_doubt(posterior: Weights) -> Bool[np.ndarray, " n_items"]:
    top = posterior.max(axis=1)
    chosen = top >= CONFIDENT
    return chosen if chosen.sum() >= min(LEAST_CONFIDENT, len(top)) else top >= np.median(top)


def _similarity(
    posterior: Weights, candidates: Categories, given: Int[np.ndarray, " n_items"], n_categories: int
) -> tuple[Int[np.ndarray, " n_pairs"], Float[np.ndarray, " n_pairs"]]:
    """How much of the posterior of items of one category lies on the other, both ways; rows sum to 1."""
    own = np.broadcast_to(given[:, np.newaxis], candidates.shape)
    other = candidates != own
    first, second = own[other].astype(np.int64), candidates[other].astype(np.int64)
    both = np.concatenate([first * n_categories + second, second * n_categories + first])
    keys, places = np.unique(both, return_inverse=True)
    total = np.bincount(places, weights=np.tile(posterior[other].astype(np.float64), 2), minlength=len(keys))
    if not len(keys):
        return np.zeros(1, dtype=np.int64), np.zeros(1)
    rows = np.bincount(keys // n_categories, weights=total, minlength=n_categories)
    return keys, total / np.maximum(rows[keys // n_categories], 1e-12)
