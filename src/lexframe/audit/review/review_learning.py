"""What a curator's decisions teach about the items that are still open.

Decisions settle items, which moves means, votes and the noise. Beyond that they show where the probabilities are off: for everything
alike, for single categories, for single pairs of categories. A logistic regression with the probability as its offset learns those
corrections, each drawn to zero, so that few decisions change little.
"""

import numpy as np
import scipy.optimize
import scipy.sparse
from jaxtyping import Bool, Float, Int

SLOPE_SPREAD, COMMON_SPREAD, CATEGORY_SPREAD, PAIR_SPREAD = 0.1, 0.3, 0.4, 0.4
FEWEST = 5
SUREST = 5.0


def corrected_probability(
    probability: Float[np.ndarray, " n_items"],
    given: Int[np.ndarray, " n_items"],
    suggested: Int[np.ndarray, " n_items"],
    n_categories: int,
    reviewed: Int[np.ndarray, " n_reviewed"],
    wrong: Bool[np.ndarray, " n_reviewed"],
) -> Float[np.ndarray, " n_items"]:
    """Reconsideration probabilities after what reviews have shown.

    Parameters
    ----------
    probability : ndarray of shape (n_items,)
        That the given category is wrong; of reviewed items as if they had not been reviewed.
    given, suggested : ndarray of int, shape (n_items,)
    n_categories : int
    reviewed : ndarray of int, shape (n_reviewed,)
        Rows that were decided on. Fewer than five change nothing.
    wrong : ndarray of bool, shape (n_reviewed,)
        Whether the given category was.

    Returns
    -------
    ndarray of shape (n_items,)
    """
    clipped = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    offset = np.log(clipped / (1 - clipped))
    bounded = np.clip(offset, -SUREST, SUREST)  # one surprise among the surest items must not outweigh all others
    if len(reviewed) < FEWEST:
        return clipped
    pairs = given.astype(np.int64) * n_categories + suggested
    known = np.unique(pairs[reviewed])
    spread = np.concatenate([[SLOPE_SPREAD, COMMON_SPREAD], np.full(n_categories, CATEGORY_SPREAD), np.full(len(known), PAIR_SPREAD)])

    def features(rows: np.ndarray) -> scipy.sparse.csr_array:
        place = np.minimum(np.searchsorted(known, pairs[rows]), len(known) - 1)
        seen = known[place] == pairs[rows]
        count = np.arange(len(rows))
        columns = np.concatenate([np.zeros(len(rows), int), np.ones(len(rows), int), 2 + given[rows], 2 + n_categories + place])
        values = np.concatenate([bounded[rows], np.ones(2 * len(rows)), seen.astype(float)])
        return scipy.sparse.csr_array((values, (np.tile(count, 4), columns)), shape=(len(rows), len(spread)))

    table, target = features(reviewed), wrong.astype(np.float64)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        score = bounded[reviewed] + table @ weights
        fitted = 1 / (1 + np.exp(-np.clip(score, -40, 40)))
        value = np.logaddexp(0, score).sum() - target @ score + 0.5 * np.sum((weights / spread) ** 2)
        return float(value), table.T @ (fitted - target) + weights / spread**2

    found = scipy.optimize.minimize(loss, np.zeros(len(spread)), jac=True, method="L-BFGS-B").x
    score = offset + features(np.arange(len(offset))) @ found
    return np.asarray(1 / (1 + np.exp(-np.clip(score, -40, 40))))
