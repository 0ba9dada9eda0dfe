"""How categories relate: which overlap, judged by where the posterior puts their items."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse
import scipy.special
from jaxtyping import Float, Int, Int64

from lexframe.exceptions import InputError


@dataclass(frozen=True, slots=True)
class CategoryRelation:
    """One finding about a category, or two.

    Attributes
    ----------
    kind : {"overlap", "merge", "split"}
        ``overlap``: many items of each look like the other. ``merge``: members of the two cannot be told apart. ``split``: one category
        has two well separated modes.
    categories : tuple of str
        Two, or one for a split.
    strength : float
        From 0 to 1. Overlap: the share of items that look like the other, geometric mean of both directions. Merge: 1 - 2·(AUC - 0.5) of
        the better classifier, 1 where it guesses. Split: the share of the variance between the modes, along the line through them;
        0.64 for a single Gaussian cut in two.
    evidence : str
        A sentence for the report.
    """

    kind: Literal["overlap", "merge", "split"]
    categories: tuple[str, ...]
    strength: float
    evidence: str

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return asdict(self) | {"categories": list(self.categories)}


def find_overlaps(
    confusion: Float[np.ndarray, "K K"] | scipy.sparse.sparray,
    counts: Int64[np.ndarray, " K"],
    names: Sequence[str],
    *,
    least_share: float = 0.05,
    least_lift: float = 1.5,
    level: float = 0.01,
) -> tuple[CategoryRelation, ...]:
    r"""Pairs of categories each of which the posterior puts much of the other into.

    Items of k that the posterior puts elsewhere, :math:`m_k=\sum_{l\ne k}C_{kl}`, would spread over the others in proportion to their
    sizes if no two were closer than any: :math:`E_{kl}=m_k n_l/(N-n_k)`. A pair overlaps where, in both directions,

    * the share :math:`C_{kl}/n_k` is at least `least_share`,
    * :math:`C_{kl}\ge` `least_lift` :math:`\cdot E_{kl}`, and
    * a binomial draw of :math:`m_k` items with probability :math:`n_l/(N-n_k)` reaches :math:`C_{kl}` with probability at most `level`
      over the number of pairs looked at.

    With two categories there is nowhere else to go, so the share alone counts.

    Parameters
    ----------
    confusion : ndarray or sparse array of shape (K, K)
        Expected items given k (row) that the posterior puts in l (column): sums of out-of-fold probabilities. Sparse stays sparse.
    counts : ndarray of int64, shape (K,)
        Items given each category.
    names : sequence of str, length K
    least_share, least_lift, level : float
        See above.

    Returns
    -------
    tuple of CategoryRelation
        The strongest first.

    Raises
    ------
    InputError
        If shapes differ, or the confusion holds negative numbers or NaN.
    """
    table: Any = scipy.sparse.coo_array(confusion).astype(np.float64)  # type: ignore[arg-type]  # the stubs know no union
    table.sum_duplicates()
    n_categories = len(counts)
    if table.shape != (n_categories, n_categories) or len(names) != n_categories:
        raise InputError(
            f"The confusion has shape {table.shape}, with {n_categories} counts and {len(names)} names; expected K x K, K and K."
        )
    if not (table.data >= 0).all():
        raise InputError("The confusion holds negative numbers or NaN; expected sums of probabilities.")
    off = (table.row != table.col) & (table.data > 0)
    given, placed, found = table.row[off], table.col[off], table.data[off]
    misplaced = np.bincount(given, weights=found, minlength=n_categories)[given]
    chance = counts[placed] / np.maximum(counts.sum() - counts[given], 1)
    share = found / np.maximum(counts[given], 1)
    lift = found / np.maximum(misplaced * chance, 1e-300)
    holds = share >= least_share
    if n_categories > 2:
        # The upper tail of the binomial for a number of items that need not be whole.
        tail = scipy.special.betainc(found, np.maximum(misplaced - found, 0) + 1, np.minimum(chance, 1))
        holds &= (lift >= least_lift) & (tail <= level / max(len(found) / 2, 1))
    given, placed, share, lift = given[holds], placed[holds], share[holds], lift[holds]
    forward = {pair: place for place, pair in enumerate(zip(given.tolist(), placed.tolist(), strict=True))}
    relations = []
    for (k, other), there in forward.items():
        back = forward.get((other, k))
        if k < other and back is not None:
            strength = float(np.sqrt(min(share[there], 1.0) * min(share[back], 1.0)))
            times = f", {lift[there]:.1f} and {lift[back]:.1f} times what their sizes would give" if n_categories > 2 else ""
            evidence = (
                f"The posterior puts {share[there]:.0%} of {names[k]!r} in {names[other]!r} and {share[back]:.0%} of "
                f"{names[other]!r} in {names[k]!r}{times}."
            )
            relations.append(CategoryRelation("overlap", (names[k], names[other]), strength, evidence))
    return tuple(sorted(relations, key=lambda relation: (-relation.strength, relation.categories)))


def expected_counts(
    given: Int[np.ndarray, " n_items"],
    candidates: Int[np.ndarray, "n_items n_candidates"],
    probability: Float[np.ndarray, "n_items n_candidates"],
    n_categories: int,
) -> scipy.sparse.csr_array:
    """Sums of probabilities by given category (row) and candidate (column), sparse, shape (n_categories, n_categories)."""
    own = np.broadcast_to(given[:, np.newaxis], candidates.shape)
    places = own.ravel(), candidates.ravel()
    return scipy.sparse.csr_array(
        scipy.sparse.coo_array((probability.ravel().astype(np.float64), places), shape=(n_categories, n_categories))
    )
