"""The best of many, on the data that showed which one it is: which others it surely beats, and how good it really is.

The largest of many numbers is too large: of twelve equal methods on 500 texts the best looks 2.6 points better than it is, and plain
intervals of differences call one of the others surely worse in most runs.
"""

from functools import lru_cache

import numpy as np
import scipy.stats
from jaxtyping import Float

from lexframe.intervals import Estimate

N_FOLDS, N_REPEATS = 5, 20


def gaps_to_best(tables: Float[np.ndarray, "n_methods n_draws n_items"], *, level: float = 0.95) -> tuple[int, list[Estimate]]:
    r"""How far the best lies above each, with intervals that hold for all pairs at once (Tukey and Kramer).

    The variance of a difference has two parts, of items and of draws. The latter is known from few draws, so it is pooled over all
    methods, and that of the pair itself counts where it is larger; degrees of freedom are Satterthwaite's.

    Parameters
    ----------
    tables : ndarray of shape (n_methods, n_draws, n_items)
        How good each was on the same draws and items; 1 and 0 for right and wrong.
    level : float
        In that share of data sets with equal methods none of the intervals lies above 0.

    Returns
    -------
    best : int
        The method with the largest mean; the first of equal ones.
    gaps : list of Estimate
        Best less each, in their order. No interval where fewer items tell the two apart than a sign test over all pairs needs.
    """
    n_methods, n_draws, n_items = tables.shape
    means = tables.mean(axis=(1, 2))
    best = int(means.argmax())
    of_draws = tables.mean(axis=2)
    deviations = of_draws - of_draws.mean(axis=1, keepdims=True)
    deviations = deviations - deviations.mean(axis=0)  # what a draw does to all methods alike is in no difference
    freedom = (n_methods - 1) * (n_draws - 1)
    pooled = 2 * float((deviations**2).sum()) / freedom / n_draws if freedom else 0.0
    least = np.log2(n_methods * (n_methods - 1) / (1 - level)) if n_methods > 1 else 0.0
    gaps = []
    for other in range(n_methods):
        difference = tables[best] - tables[other]
        gap = float(difference.mean())
        if other == best:
            gaps.append(Estimate(gap, 0.0, 0.0))
        elif np.count_nonzero(difference.any(axis=0)) < least:
            gaps.append(Estimate(gap, float("nan"), float("nan")))
        else:
            variance, degrees = _variance(difference, pooled, freedom)
            reach = _tukey(n_methods, _rounded_down(degrees), level) * float(np.sqrt(variance))
            gaps.append(Estimate(gap, gap - reach, gap + reach, "texts", n_items))
    return best, gaps


def _variance(difference: Float[np.ndarray, "n_draws n_items"], pooled: float, freedom: int) -> tuple[float, float]:
    """Of the mean of a difference over other items and other draws, with its degrees of freedom."""
    n_draws, n_items = difference.shape
    rows, columns = difference.mean(axis=1), difference.mean(axis=0)
    items = float(columns.var(ddof=1)) / n_items
    if n_draws < 2:
        return items, n_items - 1.0
    left = difference - rows[:, np.newaxis] - columns + difference.mean()
    both = float((left**2).sum()) / ((n_draws - 1) * (n_items - 1)) / difference.size  # stands in the variance of items and of draws
    draws = max(float(rows.var(ddof=1)) / n_draws, pooled) - (both if n_draws > 2 else 0.0)  # two draws tell too little to take it off
    if draws <= 0 or items + draws <= 0:
        return items, n_items - 1.0
    return items + draws, (items + draws) ** 2 / (items**2 / (n_items - 1) + draws**2 / freedom)


def _rounded_down(degrees: float) -> int:
    """To a few values, for which the quantile is worked out once; fewer degrees of freedom make it larger."""
    return max(step for step in (*range(1, 31), 40, 60, 120, 1000) if step <= max(degrees, 1))


@lru_cache(maxsize=512)
def _tukey(n_methods: int, degrees: int, level: float) -> float:
    """By how many standard errors two of equal methods differ at most, in that share of data sets."""
    return float(scipy.stats.studentized_range.ppf(level, n_methods, degrees)) / np.sqrt(2)


def cross_fitted_best(tables: Float[np.ndarray, "n_methods n_draws n_items"], *, seed: int = 0) -> float:
    """How good the best is on items, and draws, that had no part in choosing it.

    Items are dealt into five parts, twenty times. On each part, and in each draw, that method counts which is the best on the other
    parts in the other draws; with one draw, on the other parts.

    Parameters
    ----------
    tables : ndarray of shape (n_methods, n_draws, n_items)
        See :func:`gaps_to_best`.
    seed : int
        Of the dealing.

    Returns
    -------
    float
        A mean over all draws and items. With one method it is that method's; with fewer items than parts, or one, the plain mean of
        all methods, since nothing can be left out.
    """
    n_methods, n_draws, n_items = tables.shape
    if n_methods == 1 or n_items < N_FOLDS:
        return float(tables.mean())
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(N_REPEATS):
        parts = np.array_split(rng.permutation(n_items), N_FOLDS)
        sums = np.stack([tables[:, :, part].sum(axis=2) for part in parts])  # parts, methods, draws
        chosen_on = sums.sum(axis=0) - sums
        if n_draws > 1:
            chosen_on = chosen_on.sum(axis=2, keepdims=True) - chosen_on
        chosen = chosen_on.argmax(axis=1)[:, np.newaxis]
        found.append(np.take_along_axis(sums, chosen, axis=1).sum())
    return float(np.sum(found) / (N_REPEATS * n_draws * n_items))
