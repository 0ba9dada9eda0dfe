"""Intervals by drawing the units of a measurement anew."""

import numpy as np
from jaxtyping import Float

Interval = tuple[float, float]
"""Low and high end, 95% unless said otherwise."""


def bootstrap_ratio(
    numerators: Float[np.ndarray, " n"], denominators: Float[np.ndarray, " n"], *, n_resamples: int = 1000, seed: int = 0
) -> Interval | None:
    """95% percentile interval of ``sum(numerators) / sum(denominators)`` when the units are drawn anew.

    Parameters
    ----------
    numerators, denominators : ndarray of shape (n,)
        One entry a unit, such as bits and bytes of a document; denominators of one give the interval of a mean.
    n_resamples : int
        Draws of n units with replacement.
    seed : int
        Of the draws.

    Returns
    -------
    tuple of float or None
        None if there is one unit only, which says nothing of the spread.
    """
    n = len(numerators)
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    ratios = np.empty(n_resamples)
    for number in range(n_resamples):
        drawn = rng.integers(n, size=n)
        ratios[number] = numerators[drawn].sum() / denominators[drawn].sum()
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
