"""A number over units with its interval: what it would be had other units of the same kind been drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float, Float32, Int

from lexframe.checks import plain
from lexframe.exceptions import DataError

RESAMPLES_A_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval, where not said otherwise the percentile bootstrap over its units.

    Attributes
    ----------
    value, low, high : float
        In the units that the holder of the estimate states; for accuracy and macro-F1 a share in [0, 1]. Ends are NaN where there is
        no interval, such as for a single unit.
    """

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends; None where there is no interval."""
        return None if np.isnan(self.low) or np.isnan(self.high) else (self.low, self.high)

    def mapped(self, function: Callable[[float], float]) -> "Estimate":
        """Value and ends under a function that rises, such as the exponential that makes a perplexity of nats."""
        return Estimate(*(float(function(number)) for number in (self.value, self.low, self.high)))

    def to_dict(self) -> dict[str, Any]:
        """``{"value", "interval"}``, for JSON."""
        return {"value": plain(self.value), "interval": plain(self.interval)}

    def __str__(self) -> str:
        ends = self.interval
        return f"{self.value:.3f}" if ends is None else f"{self.value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def resampled_sums(
    table: Float[np.ndarray, "n_units n_columns"], *, n_resamples: int = 1000, seed: int = 0
) -> Float[np.ndarray, "n_resamples n_columns"]:
    """Sums of the columns when the rows are drawn anew with replacement.

    Every measure here is a function of such sums, so resamples need no copy of the rows: how often a row was drawn is enough.

    Parameters
    ----------
    table : ndarray of shape (n_units, n_columns)
        What a unit, such as a text, adds to each sum.
    n_resamples : int
        Draws of n_units rows.
    seed : int
        Of the draws. Equal seeds draw equal rows, so measures of two models on the same texts are paired.
    """
    rng = np.random.default_rng(seed)
    n = len(table)
    sums = np.empty((n_resamples, table.shape[1]))
    for start in range(0, n_resamples, RESAMPLES_A_BLOCK):
        stop = min(start + RESAMPLES_A_BLOCK, n_resamples)
        counts = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(start, stop)])
        sums[start:stop] = counts.astype(np.float64) @ table
    return sums


def estimates(
    table: Float[np.ndarray, "n_units n_columns"],
    statistics: Callable[[Float[np.ndarray, "n_rows n_columns"]], Float[np.ndarray, "n_rows n_statistics"]],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> list[Estimate]:
    """Statistics of column sums, each with its interval over units. One set of draws serves all.

    Parameters
    ----------
    table : ndarray of shape (n_units, n_columns)
        What a unit, such as a text, adds to each sum.
    statistics : callable
        Takes rows of sums, shape (n_rows, n_columns), and gives a row of numbers for each; NaN where draws leave one undefined, which
        the interval passes over.
    n_resamples, seed : int
        See :func:`resampled_sums`.

    Raises
    ------
    DataError
        If there are fewer than two units, which leave no interval.
    """
    if len(table) < 2:
        raise DataError(f"An interval needs 2 units or more, such as texts; there is {len(table)}. Give more.")
    with np.errstate(invalid="ignore"):  # units that are not finite make every statistic of theirs NaN, which says it
        values = statistics(table.sum(axis=0)[np.newaxis])[0]
        drawn = statistics(resampled_sums(table, n_resamples=n_resamples, seed=seed))
    return [Estimate(float(value), *_interval(column)) for value, column in zip(values, drawn.T, strict=True)]


def _interval(drawn: Float[np.ndarray, " n_resamples"]) -> tuple[float, float]:
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def mean_over_draws(values: Float[np.ndarray, "n_draws n_items"], *, n_resamples: int = 1000, seed: int = 0) -> Estimate:
    """Mean of what several draws, such as of training labels, give on the same items; both draws and items are drawn anew.

    Parameters
    ----------
    values : ndarray of shape (n_draws, n_items)
        1 where an item was classified rightly, or a difference of two such tables.
    n_resamples, seed : int
        Of the bootstrap. Equal seeds draw equal items, so comparisons on one set of items are paired.
    """
    of_draws, of_items = _drawn_twice(*values.shape, n_resamples, seed)
    means = ((of_draws @ values) * of_items).sum(axis=1) / values.size
    return Estimate(float(values.mean()), *_interval(means))


@lru_cache(maxsize=8)  # a comparison asks for the same draws for every pair of methods
def _drawn_twice(
    n_draws: int, n_items: int, n_resamples: int, seed: int
) -> tuple[Float32[np.ndarray, "n_resamples n_draws"], Float32[np.ndarray, "n_resamples n_items"]]:
    """How often each draw and each item comes in every resample."""
    rng = np.random.default_rng(seed)
    counts = [np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(n_resamples) for n in (n_draws, n_items)]
    of_draws, of_items = (np.array(counts[first::2], dtype=np.float32) for first in (0, 1))
    of_draws.flags.writeable = of_items.flags.writeable = False
    return of_draws, of_items


def ratio_estimate(
    numerators: Float[np.ndarray, " n_units"], denominators: Float[np.ndarray, " n_units"], *, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """``sum(numerators) / sum(denominators)``; see :func:`estimates`.

    Parameters
    ----------
    numerators, denominators : ndarray of shape (n_units,)
        What a unit adds to each, such as bits and bytes of a text.
    n_resamples, seed : int
        See :func:`resampled_sums`.
    """
    table = np.stack([numerators, denominators], axis=1)
    return estimates(table, lambda sums: sums[:, :1] / sums[:, 1:], n_resamples=n_resamples, seed=seed)[0]


def mean_estimate(values: Float[np.ndarray, " n_units"], *, n_resamples: int = 1000, seed: int = 0) -> Estimate:
    """Mean over units; see :func:`estimates`.

    Parameters
    ----------
    values : ndarray of shape (n_units,)
        One number a unit; of paired units their differences.
    n_resamples, seed : int
        See :func:`resampled_sums`.
    """
    return ratio_estimate(values, np.ones(len(values)), n_resamples=n_resamples, seed=seed)


def mean_over_items(values: Float[np.ndarray, " n"], *, n_resamples: int = 1000, seed: int = 0) -> Estimate:
    """Mean over items as :func:`mean_estimate` has it; of one item alone the interval has no width.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Of paired items their differences.
    n_resamples, seed : int
        Of the bootstrap. Equal seeds draw equal items.
    """
    if len(values) == 1:
        return Estimate(float(values[0]), float(values[0]), float(values[0]))
    return mean_estimate(values, n_resamples=n_resamples, seed=seed)


def ratio_over_items(
    numerators: Float[np.ndarray, " n"], denominators: Float[np.ndarray, " n"], *, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """:func:`ratio_estimate`, where one item alone may stand: it says nothing of the spread, so the ends are then NaN.

    Parameters
    ----------
    numerators, denominators : ndarray of shape (n,)
        One entry an item, such as bits and bytes of a document; denominators of one give a mean.
    n_resamples, seed : int
        See :func:`resampled_sums`.
    """
    if len(numerators) == 1:
        return Estimate(float(numerators[0] / denominators[0]), float("nan"), float("nan"))
    return ratio_estimate(numerators, denominators, n_resamples=n_resamples, seed=seed)


def product_estimates(
    values: Float[np.ndarray, " n_items"],
    group_of: Int[np.ndarray, " n_items"],
    pairs: Int[np.ndarray, "n_items 2"],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[list[Estimate], Estimate]:
    r"""Means over items that are products of two units each, such as questions that each combine two word pairs.

    20 units make 380 items, and a unit that is odd spoils 38 of them. So units are drawn with replacement, within each group, and an
    item counts as often as the product of the draws of its two units (the pigeonhole bootstrap of Owen, 2007). Groups are not drawn:
    which ones are asked is a choice.

    Parameters
    ----------
    values : ndarray of shape (n_items,)
        Right or wrong, or a difference of two methods.
    group_of : ndarray of int, shape (n_items,)
        Number of the group, from 0.
    pairs : ndarray of int, shape (n_items, 2)
        Numbers of both units within the group, from 0.
    n_resamples, seed : int
        Equal seeds draw equal units, so that methods are compared on the same draws.

    Returns
    -------
    by_group : list of Estimate
    total : Estimate
        Over all items.
    """
    rng = np.random.default_rng(seed)
    sums: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    means: list[float] = []
    for group in range(int(group_of.max()) + 1):
        chosen = group_of == group
        left, right = pairs[chosen].T
        n_units = int(max(left.max(), right.max())) + 1
        draws = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_resamples).astype(np.float64)
        for content, into in ((values[chosen].astype(float), sums), (np.ones(len(left)), sizes)):
            table = scipy.sparse.coo_array((content, (left, right)), shape=(n_units, n_units)).tocsr()
            into.append(np.einsum("rp,rp->r", draws @ table, draws))
        means.append(float(values[chosen].mean()))
    by_group = [_product_estimate(*row) for row in zip(means, sums, sizes, strict=True)]
    return by_group, _product_estimate(float(values.mean()), np.sum(sums, axis=0), np.sum(sizes, axis=0))


def _product_estimate(mean: float, sums: Float[np.ndarray, " n_resamples"], sizes: Float[np.ndarray, " n_resamples"]) -> Estimate:
    drawn = sums[sizes > 0] / sizes[sizes > 0]  # a draw of one unit alone, again and again, makes no item
    return Estimate(mean, *_interval(drawn if len(drawn) else np.array([mean])))
