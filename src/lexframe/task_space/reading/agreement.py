"""Whether two task spaces order the pairs of tasks alike, and how far noise would let them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from lexframe.checks import plain
from lexframe.intervals import Estimate
from lexframe.task_space.reading.matrices import drawn_estimate, drawn_pairs


@dataclass(frozen=True, slots=True)
class SpacePair:
    """How two spaces order the pairs of tasks.

    Attributes
    ----------
    first, second : str
    rsa : Estimate
        Spearman correlation of their similarities; its interval is over tasks.
    ceiling : float
        What two spaces that are the same would reach, given how repeatable either is; NaN where one is not repeatable at all.
    corrected : Estimate
        The first over the second. Where both spaces were read from the same pairs of texts, what is odd about these is common to both,
        and it can pass 1.
    """

    first: str
    second: str
    rsa: Estimate
    ceiling: float
    corrected: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "rsa": self.rsa.to_dict(),
            "ceiling": plain(self.ceiling),
            "corrected": self.corrected.to_dict(),
        }


def space_pairs(
    names: Sequence[str],
    values: Float[np.ndarray, "n_spaces n_pairs"],
    retests: Sequence[float],
    n_tasks: int,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[SpacePair, ...]:
    """Rank correlation of every two spaces over pairs of tasks.

    Parameters
    ----------
    names : sequence of str
        Of the spaces.
    values : ndarray of shape (n_spaces, n_pairs)
        Similarities off the diagonal.
    retests : sequence of float
        How two halves of the pairs of texts agree in each space.
    n_tasks : int
    n_resamples, seed : int
        Of the draws of tasks.
    """
    weights = drawn_pairs(n_tasks, n_resamples, seed)
    ranks = [weighted_ranks(row, weights) for row in values]
    found = []
    for one, other in combinations(range(len(names)), 2):
        value = rank_correlation(values[one], values[other])
        rsa = drawn_estimate(value, _weighted_correlations(ranks[one], ranks[other], weights), "tasks", n_tasks)
        ceiling = noise_ceiling(whole_reliability(retests[one]), whole_reliability(retests[other]))
        found.append(SpacePair(names[one], names[other], rsa, ceiling, _corrected(rsa, ceiling)))
    return tuple(found)


def whole_reliability(retest: float) -> float:
    """Reliability of what all pairs give, from the correlation of two halves of them: the formula of Spearman and Brown."""
    return 2 * retest / (1 + retest) if retest > 0 else float("nan")


def noise_ceiling(one: float, other: float) -> float:
    """The correlation that two measures of one thing reach, from the reliability of each; NaN where one has none."""
    return float(np.sqrt(one * other)) if one > 0 and other > 0 else float("nan")


def _corrected(rsa: Estimate, ceiling: float) -> Estimate:
    return rsa.mapped(lambda number: number / ceiling)


def rank_correlation(one: Float[np.ndarray, " n_pairs"], other: Float[np.ndarray, " n_pairs"]) -> float:
    """Spearman's; NaN where either is constant."""
    ranks = np.stack([scipy.stats.rankdata(one), scipy.stats.rankdata(other)])
    return float(_weighted_correlations(ranks[:1], ranks[1:], np.ones((1, len(one))))[0])


def weighted_ranks(
    values: Float[np.ndarray, " n_pairs"], weights: Float[np.ndarray, "n_draws n_pairs"]
) -> Float[np.ndarray, "n_draws n_pairs"]:
    """Mean ranks, but for a constant, that values have where each comes as often as its weight says.

    Parameters
    ----------
    values : ndarray of shape (n_pairs,)
    weights : ndarray of shape (n_draws, n_pairs)
    """
    order = np.argsort(values, kind="stable")
    is_new = np.diff(values[order], prepend=np.nan) != 0
    sums = np.add.reduceat(weights[:, order], np.flatnonzero(is_new), axis=1)
    middles = np.cumsum(sums, axis=1) - sums / 2
    ranks = np.empty_like(weights)
    ranks[:, order] = middles[:, np.cumsum(is_new) - 1]
    return ranks


def _weighted_correlations(
    one: Float[np.ndarray, "n_draws n_pairs"], other: Float[np.ndarray, "n_draws n_pairs"], weights: Float[np.ndarray, "n_draws n_pairs"]
) -> Float[np.ndarray, " n_draws"]:
    totals = weights.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw of one task again and again makes no pair
        one, other = (side - (weights * side).sum(axis=1, keepdims=True) / totals for side in (one, other))
        products = (weights * one * other).sum(axis=1)
        return products / np.sqrt((weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1))
