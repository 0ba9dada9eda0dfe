"""Swapping what belongs to texts so that each gets that of another."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from lexframe.exceptions import DataError


def derangements(texts: Sequence[str], n_derangements: int, *, seed: int = 0) -> list[Int[np.ndarray, " n_texts"]]:
    """Orders of the texts in which none stands where one that reads the same stood.

    Texts are put in a drawn order with equal ones side by side, and each takes from as many places before it as the largest such group
    has. Where all differ, every other text is as likely a partner.

    Parameters
    ----------
    texts : sequence of str
        Two or more.
    n_derangements : int
        How many are drawn.
    seed : int
        Of the draws.

    Returns
    -------
    list of ndarray of int, shape (n_texts,)
        Entry i is the row of the partner of text i.

    Raises
    ------
    DataError
        If there are fewer than two texts, or more than half of them are the same.
    """
    if len(texts) < 2:
        raise DataError(f"There is {len(texts)} text; expected 2 or more, as each is read with the z of another. Give more texts.")
    numbers: dict[str, int] = {}
    groups = np.array([numbers.setdefault(text, len(numbers)) for text in texts])
    sizes = np.bincount(groups)
    largest = int(sizes.max())
    if 2 * largest > len(texts):
        raise DataError(
            f"{largest} of {len(texts)} texts are the same ({list(numbers)[sizes.argmax()][:40]!r}), so not every text "
            "has another to swap with. Drop repeated texts."
        )
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(n_derangements):
        order = rng.permutation(len(texts))
        order = order[np.argsort(rng.permutation(len(sizes))[groups[order]], kind="stable")]
        partner = np.empty(len(texts), dtype=np.int64)
        partner[order] = np.roll(order, largest)
        result.append(partner)
    return result
