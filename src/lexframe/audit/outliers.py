"""Members that do not fit their category: conformal p-values, and which of them to call outliers at a stated rate of false ones.

What can be had from p-values depends on where the scores they are ranked among come from:

* Ranked among the other members (no reference), p-values order members, and one member picked in advance has a p below t with
  probability at most t. Taken together they are always 1/n, 2/n, ..., 1, outliers or not, so Benjamini-Hochberg over a whole
  category, or over the whole pool, can never find anything.
* Ranked among a reference of members known to be right (held out, or confirmed by review), p-values of the others are valid and
  may be handed to Benjamini-Hochberg [1]_. A reference that holds outliers itself makes them larger: safe, but blind.

References
----------
.. [1] Bates, Candès, Lei, Romano and Sesia (2023), Testing for outliers with conformal p-values, Annals of Statistics 51(1), theorem 2.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64

from lexframe.exceptions import InputError

_ROUNDING = 1 + 1e-12  # p-values are ratios of whole numbers, and meet the level exactly


def conformal_p_values(reference_scores: Float[np.ndarray, " n_reference"], scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    r"""Share of a held-out reference, with the item itself, that fits as badly as the item or worse.

    :math:`p = (1 + \#\{j: r_j \ge s\}) / (n_{reference} + 1)` [1]_, eq. (3). If an item and the reference are exchangeable, p is at
    most t with probability at most t.

    Parameters
    ----------
    reference_scores : ndarray of shape (n_reference,)
        Nonconformity of items known to be right that the score was not fitted on; higher fits worse.
    scores : ndarray of shape (n,)
        Nonconformity of the items in question.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 1 / (n_reference + 1) to 1. Ties count against the item being an outlier.

    Raises
    ------
    InputError
        If a score is not finite.

    References
    ----------
    .. [1] Bates, Candès, Lei, Romano and Sesia (2023), Testing for outliers with conformal p-values, Annals of Statistics 51(1).
    """
    _check_finite(reference_scores, "reference scores")
    _check_finite(scores, "scores")
    common = np.result_type(reference_scores, scores)
    ordered = np.sort(reference_scores.astype(common))
    as_bad = len(ordered) - np.searchsorted(ordered, scores.astype(common), side="left")
    return (1.0 + as_bad) / (len(ordered) + 1.0)


def category_p_values(
    scores: Float[np.ndarray, " n"], numbers: Int64[np.ndarray, " n"], *, reference: Bool[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, " n"]:
    r"""Conformal p-value of each membership among the reference of its own category.

    :math:`p_i = (1 + \#\{j \in R_c, j \ne i: s_j \ge s_i\}) / (1 + |R_c \setminus i|)`, for all categories by one sort. Without
    `reference` every member is one, and p is the rank of the score in its category over n_c.

    The smallest p that a category can give is 1 / n_c: with four members nothing goes below 0.25, a single member always has 1, and at
    a level of 0.01 no category with fewer than 100 members can say anything. :func:`pooled_p_values` is for those.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Nonconformity of each membership with its category, of a score that the item itself did not take part in (leave-one-out or
        out-of-fold); higher fits worse.
    numbers : ndarray of int64, shape (n,)
        The category of each membership. An item in several categories has several memberships.
    reference : ndarray of bool, shape (n,), optional
        Memberships that others are ranked among: those known to be right. Default: all.

    Returns
    -------
    ndarray of float64, shape (n,)
        1 where the category has no reference. Ties count against being an outlier.

    Raises
    ------
    InputError
        If a score is not finite.
    """
    _check_finite(scores, "scores")
    trusted = np.ones(len(scores), bool) if reference is None else reference
    order = np.lexsort((scores, numbers))
    s, c, r = scores[order], numbers[order], trusted[order]
    seen = np.concatenate([[0], np.cumsum(r)])
    start, stop = np.searchsorted(c, c), np.searchsorted(c, c, side="right")
    is_new = np.ones(len(s), bool)
    is_new[1:] = (s[1:] != s[:-1]) | (c[1:] != c[:-1])
    first_tie = np.maximum.accumulate(np.where(is_new, np.arange(len(s)), 0))
    as_bad = seen[stop] - seen[first_tie] - r
    p = np.empty(len(s))
    p[order] = (1.0 + as_bad) / (1.0 + seen[stop] - seen[start] - r)
    return p


def pooled_p_values(
    scores: Float[np.ndarray, " n"],
    numbers: Int64[np.ndarray, " n"],
    *,
    reference: Bool[np.ndarray, " n"] | None = None,
    prior_members: float = 10.0,
) -> Float[np.ndarray, " n"]:
    """P-values of scores standardised within their category and ranked among those of all categories.

    Each score has the mean of the other members taken off, and is divided by their spread, which is drawn towards the spread of all
    categories. What is assumed: scores of different categories then have one law. That is exact for categories of one size whose
    scores differ in place alone, and about right otherwise; a category's own p-values assume nothing of the sort, so use them where
    it has members enough.

    Parameters
    ----------
    scores, numbers, reference
        As for :func:`category_p_values`.
    prior_members : float
        How many members the common spread counts as, above 0.

    Returns
    -------
    ndarray of float64, shape (n,)
        1 for a membership whose category has no other member in the reference: there is nothing to compare it with.

    Raises
    ------
    InputError
        If a score is not finite, or `prior_members` not above 0.
    """
    if not prior_members > 0:
        raise InputError(f"prior_members is {prior_members}; expected a number above 0, such as 10.")
    trusted = np.ones(len(scores), bool) if reference is None else reference
    standard, has_others = standardized_scores(scores, numbers, trusted, prior_members)
    p = np.ones(len(scores))
    p[has_others] = category_p_values(
        standard[has_others], np.zeros(int(has_others.sum()), np.int64), reference=np.ascontiguousarray(trusted[has_others])
    )
    return p


def outlier_p_values(
    scores: Float[np.ndarray, " n"],
    numbers: Int64[np.ndarray, " n"],
    *,
    reference: Bool[np.ndarray, " n"] | None = None,
    fewest: int = 20,
) -> Float[np.ndarray, " n"]:
    """A category's own p-values where it has `fewest` members in the reference, pooled ones where it has fewer.

    Parameters
    ----------
    scores, numbers, reference
        As for :func:`category_p_values`.
    fewest : int
        20 lets a category reach a p of 0.05 by itself.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    members = numbers if reference is None else numbers[reference]
    counts = np.bincount(members, minlength=int(numbers.max(initial=-1)) + 1)
    own = category_p_values(scores, numbers, reference=reference)
    return np.where(counts[numbers] >= fewest, own, pooled_p_values(scores, numbers, reference=reference))


def standardized_scores(
    scores: Float[np.ndarray, " n"], numbers: Int64[np.ndarray, " n"], reference: Bool[np.ndarray, " n"], prior_members: float
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Scores less the mean of the other reference members of the category, over the spread to expect of that difference.

    Returns
    -------
    standard : ndarray of float64, shape (n,)
        0 where there is no other member.
    has_others : ndarray of bool, shape (n,)
    """
    _check_finite(scores, "scores")
    s, r = scores.astype(np.float64), reference.astype(np.float64)
    n_members = np.bincount(numbers, weights=r)
    means = np.bincount(numbers, weights=r * s) / np.maximum(n_members, 1)
    off = s - means[numbers]
    squares = np.bincount(numbers, weights=r * off**2)
    freedom = np.maximum(n_members - 1, 0).sum()
    common = squares.sum() / freedom if freedom else 0.0
    others = n_members[numbers] - r
    has_others = others >= 1
    n_others = np.maximum(others, 1)
    # Leaving member i out of n moves the mean by off/(n-1) and takes off²·n/(n-1) from the squares.
    difference = off * (1 + r / n_others)
    left = np.maximum(squares[numbers] - r * off**2 * (n_others + 1) / n_others, 0)
    variance = (left + prior_members * common) / (n_others - 1 + prior_members) * (1 + 1 / n_others)
    spread = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = np.where(spread > 0, difference / spread, np.where(difference == 0, 0.0, np.sign(difference) * np.inf))
    return np.where(has_others, np.nan_to_num(standard), 0.0), has_others


def adjusted_p(
    p: Float[np.ndarray, " n"], *, method: Literal["bh", "by"] = "bh", numbers: Int64[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, " n"]:
    r"""Least false discovery rate at which each item is called an outlier.

    :math:`\tilde p_{(k)} = \min_{l \ge k} \min(1, h\, p_{(l)}\, m / l)` with h = 1 ("bh": Benjamini-Hochberg [1]_, for independent
    p-values, or conformal ones that share a reference) or h = 1 + 1/2 + ... + 1/m ("by": Benjamini-Yekutieli [2]_, for any).

    Parameters
    ----------
    p : ndarray of shape (n,)
        From 0 to 1.
    method : {"bh", "by"}
    numbers : ndarray of int64, shape (n,), optional
        Adjust within each category by itself. Default: over all.

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    InputError
        If a p-value is not from 0 to 1, or `method` is neither.

    References
    ----------
    .. [1] Benjamini and Hochberg (1995), Controlling the false discovery rate, JRSS B 57(1).
    .. [2] Benjamini and Yekutieli (2001), The control of the false discovery rate under dependency, Annals of Statistics 29(4).
    """
    if method not in ("bh", "by"):
        raise InputError(f"method is {method!r}; expected 'bh' (Benjamini-Hochberg) or 'by' (Benjamini-Yekutieli).")
    wrong = np.flatnonzero(~((p >= 0) & (p <= 1)))
    if len(wrong):
        raise InputError(f"P-value {wrong[0]} is {p[wrong[0]]}; expected a number from 0 to 1.")
    n = len(p)
    groups = np.zeros(n, np.int64) if numbers is None else numbers
    order = np.lexsort((p, groups))
    group = groups[order]
    sizes = np.bincount(group)
    size = sizes[group]
    rank = np.arange(n) - np.searchsorted(group, group) + 1
    harmonic = np.cumsum(1.0 / np.arange(1, sizes.max(initial=0) + 1))
    scaled = np.minimum(p[order].astype(np.float64) * (size / rank) * (harmonic[size - 1] if method == "by" else 1.0), 1.0)
    # A running minimum from the end that starts anew in each group: over places in the sorted values, shifted by group.
    values = np.argsort(scaled, kind="stable")
    place = np.empty(n, np.int64)
    place[values] = np.arange(n)
    least = np.minimum.accumulate((place + group * n)[::-1])[::-1] - group * n
    result = np.empty(n)
    result[order] = scaled[values][least]
    return result


def benjamini_hochberg(p: Float[np.ndarray, " n"], level: float) -> Bool[np.ndarray, " n"]:
    """Items called outliers so that at most a share `level` of them is expected to be none.

    Parameters
    ----------
    p : ndarray of shape (n,)
        Independent, or conformal with a shared held-out reference.
    level : float
        Above 0, below 1.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return adjusted_p(p) <= _checked_level(level) * _ROUNDING


def benjamini_yekutieli(p: Float[np.ndarray, " n"], level: float) -> Bool[np.ndarray, " n"]:
    """As :func:`benjamini_hochberg` for p-values that depend on each other in any way; finds fewer.

    Parameters
    ----------
    p : ndarray of shape (n,)
    level : float
        Above 0, below 1.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return adjusted_p(p, method="by") <= _checked_level(level) * _ROUNDING


def reference_needed(level: float, n_asked: int, n_outliers: int = 1) -> int:
    r"""How many members the reference needs for Benjamini-Hochberg to call that many outliers at all.

    A p-value is :math:`1 / (n_{reference} + 1)` at least, and k of m items are called where k of them are :math:`level \cdot k / m` or
    less. Where all are outliers that is :math:`1 / level - 1`; for fewer among many it is more.

    Parameters
    ----------
    level : float
        Above 0, below 1.
    n_asked : int
        Items that p-values are handed in for.
    n_outliers : int
        Of those, as many as should be called; 1 or more.
    """
    return max(int(np.ceil(n_asked / (_checked_level(level) * n_outliers) / _ROUNDING)) - 1, 1)


def _check_finite(scores: np.ndarray, what: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise InputError(f"Of the {what}, number {wrong[0]} is {scores[wrong[0]]}. Leave out items without a score, or look at its cause.")


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise InputError(f"level is {level}; expected a share above 0 and below 1, such as 0.1.")
    return level
