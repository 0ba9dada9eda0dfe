"""Categories whose members cannot be told apart: candidates for one category."""

from collections.abc import Sequence

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float, Float32, Int64

from lexframe.audit.relations import CategoryRelation
from lexframe.exceptions import InputError
from lexframe.intervals import Estimate
from lexframe.latents.neighbors import NeighborIndex
from lexframe.typing import Points

VOTERS, FEWEST = 10, 20


def find_merges(
    points: Points,
    numbers: Int64[np.ndarray, " n_texts"],
    names: Sequence[str],
    pairs: Int64[np.ndarray, "n_pairs 2"],
    *,
    highest_auc: float = 0.65,
    max_members: int = 400,
) -> tuple[CategoryRelation, ...]:
    """Of some pairs of categories, those that no classifier here tells apart.

    Two classifiers are asked, and each leaves out the item that it judges: the nearer of the two means, and the votes of the ten nearest
    members, which sees differences that means do not (one category inside the other, several modes). The area under the ROC curve is
    0.5 where a classifier guesses, and one below counts as 0.5. A pair is named where the upper ends of both 95% intervals are at most
    `highest_auc`. So it takes evidence to be named: two equal categories of 200 members nearly always are, of 60 every other time, of
    fewer than 20 never.

    Parameters
    ----------
    points : ndarray of shape (n_texts, n_dims), float32
        Whitened by the covariance within categories.
    numbers : ndarray of int64, shape (n_texts,)
    names : sequence of str
        Of all categories.
    pairs : ndarray of int64, shape (n_pairs, 2)
        Category numbers to compare; see :func:`nearest_pairs`, and take those that overlap.
    highest_auc : float
        Above 0.5, below 1.
    max_members : int
        Of each category, evenly spread over its rows.

    Returns
    -------
    tuple of CategoryRelation
        The strongest first.

    Raises
    ------
    InputError
        If there is not a number for each point, or `highest_auc` is not between 0.5 and 1.
    """
    if len(numbers) != len(points):
        raise InputError(f"There are {len(points)} points, but {len(numbers)} category numbers. Give one for each point.")
    if not 0.5 < highest_auc < 1:
        raise InputError(f"highest_auc is {highest_auc}; expected above 0.5 (guessing) and below 1.")
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    relations = []
    for first, second in pairs.tolist():
        members = [_spread(order[starts[number] : starts[number + 1]], max_members) for number in (first, second)]
        if min(map(len, members)) < FEWEST:
            continue
        one, other = (points[rows].astype(np.float64) for rows in members)
        results = [auc_interval(*scores) for scores in (mean_scores(one, other), vote_scores(one, other))]
        # Leaving an item out pushes it away from its own category, which small ones show as an area below a half.
        if max(found.high + max(0.5 - found.value, 0.0) for found in results) > highest_auc:
            continue
        auc = max(results, key=lambda found: (found.value, found.low, found.high))
        evidence = (
            f"Members of {names[first]!r} and {names[second]!r} cannot be told apart: the area under the ROC curve is {auc.value:.2f} (95% "
            f"interval {auc.low:.2f} to {auc.high:.2f}; 0.5 is guessing), from {len(one)} and {len(other)} members."
        )
        relations.append(CategoryRelation("merge", (names[first], names[second]), 1 - 2 * max(auc.value - 0.5, 0.0), evidence))
    return tuple(sorted(relations, key=lambda relation: (-relation.strength, relation.categories)))


def nearest_pairs(
    means: Float32[np.ndarray, "K n_dims"], counts: Int64[np.ndarray, " K"], *, n_nearest: int = 5, max_pairs: int = 200
) -> Int64[np.ndarray, "n_pairs 2"]:
    r"""Pairs of categories whose means lie closest, among the nearest of each.

    Means of few items lie apart by chance alone: :math:`n_{dims}(1/n_k+1/n_l)` is taken off the squared distance.

    Parameters
    ----------
    means : ndarray of shape (K, n_dims), float32
        After whitening.
    counts : ndarray of int64, shape (K,)
        Members of each; categories without any are left out.
    n_nearest : int
        Means to look at around each, so that 10,000 categories need no table of all pairs.
    max_pairs : int
        Pairs to return.

    Returns
    -------
    ndarray of int64, shape (n_pairs, 2)
        The closest first, the smaller number on the left.
    """
    held = np.flatnonzero(counts > 0)
    found = NeighborIndex(metric="euclidean").fit(means[held]).search(means[held], n_nearest + 1)
    left, right = np.repeat(held, found.rows.shape[1]), held[found.rows.ravel()]
    keys, first = np.unique(np.minimum(left, right) * len(counts) + np.maximum(left, right), return_index=True)
    pairs = np.stack([keys // len(counts), keys % len(counts)], axis=1)
    chance = means.shape[1] * (1 / counts[pairs[:, 0]] + 1 / counts[pairs[:, 1]])
    squares = found.scores.ravel()[first].astype(np.float64) ** 2 - chance
    squares[pairs[:, 0] == pairs[:, 1]] = np.inf
    nearest = np.argsort(squares, kind="stable")[:max_pairs]
    return pairs[nearest[np.isfinite(squares[nearest])]].astype(np.int64)


def auc_interval(first: Float[np.ndarray, " n_first"], second: Float[np.ndarray, " n_second"], *, confidence: float = 0.95) -> Estimate:
    """Area under the ROC curve of scores that should be higher in `second`, with the interval of normal theory.

    Parameters
    ----------
    first, second : ndarray of shape (n_first,) and (n_second,)
        Two or more of each. Ties count half.
    confidence : float

    Returns
    -------
    Estimate
        From 0 to 1.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated receiver operating characteristic
    curves, Biometrics 44(3), eq. (5).
    """
    ranks = scipy.stats.rankdata(np.concatenate([first, second]))
    below = (ranks[len(first) :] - scipy.stats.rankdata(second)) / len(first)  # of each in second, the share of first that lies below
    above = 1 - (ranks[: len(first)] - scipy.stats.rankdata(first)) / len(second)
    auc = float(below.mean())
    error = np.sqrt(below.var(ddof=1) / len(second) + above.var(ddof=1) / len(first))
    reach = float(scipy.special.ndtri(0.5 + confidence / 2) * error)
    return Estimate(auc, max(auc - reach, 0.0), min(auc + reach, 1.0))


def mean_scores(
    one: Float[np.ndarray, "n_one n_dims"], other: Float[np.ndarray, "n_other n_dims"]
) -> tuple[Float[np.ndarray, " n_one"], Float[np.ndarray, " n_other"]]:
    """How much nearer each point is to the mean of `other` than to that of `one`, in squares, its own part in a mean left out."""

    def squares(points: np.ndarray, center: np.ndarray) -> np.ndarray:
        return np.square(points - center).sum(axis=1)

    def own(points: np.ndarray, center: np.ndarray) -> np.ndarray:
        """Without x, the mean of n lies at n/(n-1) times the distance from x."""
        return squares(points, center) * (len(points) / (len(points) - 1)) ** 2

    center, other_center = one.mean(axis=0), other.mean(axis=0)
    return own(one, center) - squares(one, other_center), squares(other, center) - own(other, other_center)


def vote_scores(
    one: Float[np.ndarray, "n_one n_dims"], other: Float[np.ndarray, "n_other n_dims"]
) -> tuple[Float[np.ndarray, " n_one"], Float[np.ndarray, " n_other"]]:
    """The share of `other` among the ten nearest of both, each point itself left out."""
    points = np.concatenate([one, other])
    lengths = np.square(points).sum(axis=1)
    distances = lengths[:, np.newaxis] + lengths - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    k = min(VOTERS, len(points) - 1)
    nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
    votes = (nearest >= len(one)).mean(axis=1)
    return votes[: len(one)], votes[len(one) :]


def _spread(rows: np.ndarray, max_rows: int) -> np.ndarray:
    return rows if len(rows) <= max_rows else rows[np.linspace(0, len(rows) - 1, max_rows).astype(np.int64)]
