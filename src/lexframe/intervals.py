"""A number over units with its interval: what it would be had other units of the same kind been drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lexframe.exceptions import DataError

Interval = tuple[float, float]
"""Low and high end, 95% unless said otherwise."""
RESAMPLES_A_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval, where not said otherwise the percentile bootstrap over its units.

    Attributes
    ----------
    value, low, high : float
        In the units that the holder of the estimate states; for accuracy and macro-F1 a share in [0, 1].
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """``{"value", "interval"}``, for JSON."""
        return {"value": self.value, "interval": [self.low, self.high]}

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


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


def _interval(drawn: Float[np.ndarray, " n_resamples"]) -> Interval:
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


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


def bootstrap_ratio(
    numerators: Float[np.ndarray, " n_units"], denominators: Float[np.ndarray, " n_units"], *, n_resamples: int = 1000, seed: int = 0
) -> Interval | None:
    """The interval of :func:`ratio_estimate`, or None if there is one unit only, which says nothing of the spread.

    Parameters
    ----------
    numerators, denominators : ndarray of shape (n_units,)
        One entry a unit, such as bits and bytes of a document; denominators of one give the interval of a mean.
    n_resamples, seed : int
        See :func:`resampled_sums`.
    """
    if len(numerators) < 2:
        return None
    found = ratio_estimate(numerators, denominators, n_resamples=n_resamples, seed=seed)
    return found.low, found.high
