"""A number over units with its interval: what it would be had other units of the same kind been drawn.

Long because every interval of the package is defined here, and what they share is used by all.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse
import scipy.stats
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
    unit : str
        What the interval is over, in the plural, such as ``"sets"``, ``"seeds"`` or ``"texts"``; empty where it is not said. It takes no
        part in comparisons.
    n_units : int, optional
        How many of them there were.
    """

    value: float
    low: float
    high: float
    unit: str = field(default="", compare=False)
    n_units: int | None = field(default=None, compare=False)

    @property
    def over(self) -> str:
        """Such as ``"7 sets"``, for summaries; empty where the unit is not said."""
        return " ".join(str(part) for part in (self.n_units, self.unit) if part not in (None, ""))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends; None where there is no interval."""
        return None if np.isnan(self.low) or np.isnan(self.high) else (self.low, self.high)

    def mapped(self, function: Callable[[float], float]) -> "Estimate":
        """Value and ends under a function that rises, such as the exponential that makes a perplexity of nats."""
        value, low, high = (float(function(number)) for number in (self.value, self.low, self.high))
        return Estimate(value, low, high, self.unit, self.n_units)

    def to_dict(self) -> dict[str, Any]:
        """``{"value", "interval"}``, for JSON."""
        return {"value": plain(self.value), "interval": plain(self.interval)}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Estimate":
        """Back from :meth:`to_dict`, without its unit; what was not finite is NaN."""
        ends = document["interval"] or (None, None)
        value, low, high = (float("nan") if number is None else float(number) for number in (document["value"], *ends))
        return cls(value, low, high)

    def __str__(self) -> str:
        ends = self.interval
        return f"{self.value:.3f}" if ends is None else f"{self.value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def t_interval(values: Sequence[float] | Float[np.ndarray, " n_units"], *, unit: str = "sets", level: float = 0.95) -> Estimate:
    """Mean of independent units with the interval of Student's t, n - 1 degrees of freedom.

    For few units, such as sets, seeds or runs. The percentile bootstrap draws its spread from the same few numbers and is too narrow:
    over seven normal units it covers 87%, over three 74%, over two 50%, where it says 95%. This one covers 95% at each of them.

    Parameters
    ----------
    values : array-like of shape (n_units,)
        One number a unit, such as the difference of two methods on a set.
    unit : str
        What a number stands for, in the plural.
    level : float
        Share of such intervals that hold the mean, in (0, 1).

    Returns
    -------
    Estimate
        Without ends where there is one unit: it says nothing of how units differ.

    Raises
    ------
    DataError
        If there is no unit.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers):
        raise DataError(f"A mean over {unit} needs a number for each, in one row; the shape is {numbers.shape}. Give one number or more.")
    with np.errstate(invalid="ignore"):
        mean = float(numbers.mean())
        error = float(numbers.std(ddof=1) / np.sqrt(len(numbers))) if len(numbers) > 1 else float("nan")
    return _t_estimate(mean, error, len(numbers) - 1.0, level, unit, len(numbers))


def _t_estimate(mean: float, error: float, freedom: float, level: float, unit: str, n_units: int) -> Estimate:
    reach = float(scipy.stats.t.ppf((1 + level) / 2, freedom)) * error if freedom > 0 else float("nan")
    return Estimate(mean, mean - reach, mean + reach, unit, n_units)


def mean_over_sets(
    values: Sequence[float] | Float[np.ndarray, " n_items"], set_of: Iterable[Hashable], *, unit: str = "sets", level: float = 0.95
) -> Estimate:
    """Mean over sets of the means within them, with the interval over sets; what is inside a set is no unit of its own.

    Texts, cells or draws of one set have the set in common. Taken as independent they make the interval too narrow, however many there
    are. Each set counts the same, so a long set does not decide. What differs within sets, such as seeds, adds to how their means differ,
    and so is inside the interval.

    Parameters
    ----------
    values : array-like of shape (n_items,)
        Such as the difference of two methods on a text.
    set_of : iterable of n_items names
        The set that each belongs to.
    unit : str
        What a set is called, in the plural.
    level : float
        As in :func:`t_interval`.

    Raises
    ------
    DataError
        If there is no item, or not one set for each.
    """
    numbers = np.asarray(values, dtype=np.float64)
    names = list(set_of)
    if len(numbers) != len(names):
        raise DataError(f"There are {len(numbers)} values and {len(names)} names of {unit}; expected as many. Give one for each value.")
    inside: dict[Hashable, list[float]] = {}
    for number, name in zip(numbers, names, strict=True):
        inside.setdefault(name, []).append(float(number))
    return t_interval([float(np.mean(row)) for row in inside.values()], unit=unit, level=level)


def mean_over_seeds(
    values: Float[np.ndarray, "n_seeds n_texts"], *, units: tuple[str, str] = ("seeds", "texts"), level: float = 0.95
) -> Estimate:
    r"""Mean of what several seeds give on the same texts, with the interval over other seeds and other texts at once.

    Averaging the seeds first leaves their variation out. Here both are random: with the mean squares :math:`M` of the two-way table,
    the variance of the mean is :math:`(M_s + M_t - M_{st}) / n_s n_t`, and its degrees of freedom are Satterthwaite's. It is never
    taken as smaller than that of either alone.

    Parameters
    ----------
    values : ndarray of shape (n_seeds, n_texts)
        A difference of two models whose seeds are paired, or a measure of one.
    units : tuple of str
        What rows and columns are, in the plural.
    level : float
        As in :func:`t_interval`.

    Returns
    -------
    Estimate
        Its unit is that of the rows, of which there are few as a rule.

    Raises
    ------
    DataError
        If there is no text. A single row leaves no interval.
    """
    if not values.size:
        raise DataError(f"A mean over {units[0]} and {units[1]} needs a number for each; the shape is {values.shape}. Give one or more.")
    n_seeds, n_texts = values.shape
    mean = float(values.mean())
    if min(n_seeds, n_texts) < 2:
        return Estimate(mean, float("nan"), float("nan"), units[0], n_seeds)
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    of_rows, of_columns = n_texts * rows.var(ddof=1), n_seeds * columns.var(ddof=1)
    left = values - rows[:, np.newaxis] - columns + mean
    of_both = (left**2).sum() / ((n_seeds - 1) * (n_texts - 1))
    total = of_rows + of_columns - of_both
    terms = of_rows**2 / (n_seeds - 1) + of_columns**2 / (n_texts - 1) + of_both**2 / ((n_seeds - 1) * (n_texts - 1))
    candidates = [(of_rows, n_seeds - 1.0), (of_columns, n_texts - 1.0)]
    if total > 0 and terms > 0:
        candidates.append((total, max(total**2 / terms, 1.0)))
    reach = max(float(scipy.stats.t.ppf((1 + level) / 2, freedom)) * float(np.sqrt(square)) for square, freedom in candidates)
    reach /= np.sqrt(values.size)
    return Estimate(mean, mean - reach, mean + reach, units[0], n_seeds)


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


def share_over_items(right: Float[np.ndarray, " n"], *, n_resamples: int = 1000, seed: int = 0) -> Estimate:
    """Share of items that are 1, not 0, with an interval that keeps its width where all are alike.

    Draws with replacement from items that are all right are all right again: the percentile bootstrap would say [1, 1] of three of
    three. There the interval of Clopper and Pearson stands, [.29, 1] for three of three.

    Parameters
    ----------
    right : ndarray of shape (n,)
        1 or 0 an item.
    n_resamples, seed : int
        Of the bootstrap. Equal seeds draw equal items.
    """
    alike = _all_alike(float(right.mean()), len(right))
    return alike or mean_estimate(right, n_resamples=n_resamples, seed=seed)


def share_over_draws(right: Float[np.ndarray, "n_draws n_items"], *, n_resamples: int = 1000, seed: int = 0) -> Estimate:
    """:func:`mean_over_draws` of what is 1 or 0; where all are alike as :func:`share_over_items`, for as many items as there are.

    Parameters
    ----------
    right : ndarray of shape (n_draws, n_items)
        1 where an item was classified rightly.
    n_resamples, seed : int
        Of the bootstrap.
    """
    alike = _all_alike(float(right.mean()), right.shape[1])
    return alike or mean_over_draws(right, n_resamples=n_resamples, seed=seed)


def _all_alike(share: float, n: int) -> Estimate | None:
    end = 0.025 ** (1 / n)
    return {1.0: Estimate(1.0, end, 1.0), 0.0: Estimate(0.0, 0.0, 1 - end)}.get(share)


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
