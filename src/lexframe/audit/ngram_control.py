"""The audit's planted check, held against n-grams of the same texts: what they find, a model's points have not added."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from lexframe.audit.category_posterior import fit_posterior
from lexframe.audit.neighbor_votes import choose_neighborhood
from lexframe.audit.planting import PlantedCheck, View, planted_check
from lexframe.linalg import rows_by_class
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.lexical import LexicalSpace

MOST_ITEMS = 1_500
"""Items at most on which both are looked at: a few seconds, of which counting n-grams takes most."""
NO_WORDS = "N-grams were not held against the points: no text has a letter, or all are alike."


def are_ngrams(space: SpaceFingerprint | None) -> bool:
    """Whether points of this space are n-grams already."""
    return space is not None and space.kind == LexicalSpace.__name__


def check_beside_ngrams(
    view: View,
    given: Int[np.ndarray, " n_items"],
    texts: Sequence[str],
    *,
    groups: Int[np.ndarray, " n_categories"] | None = None,
    settled: Int[np.ndarray, " n_items"],
    seed: int = 0,
) -> PlantedCheck:
    """The planted check on all items, and that of n-grams on 1,500 of them at most, with the same labels planted.

    Where there are more items, the points are looked at again on those that n-grams get: both have the same neighbors to learn from.

    Parameters
    ----------
    view : View
        Of the points.
    given : ndarray of int, shape (n_items,)
    texts : sequence of str, length n_items
    groups, settled, seed
        As for :func:`planted_check`. Items are drawn by category.

    Returns
    -------
    PlantedCheck
        Without `control` where the texts give no n-grams to tell them apart.
    """
    rows = rows_by_class(given, MOST_ITEMS, seed=seed)
    n_categories, k = len(view.found.prior), view.neighborhood.rows.shape[1]
    ngrams = _ngram_points([texts[row] for row in rows])
    common: dict[str, Any] = {"groups": groups, "seed": seed}

    def seen(points: np.ndarray) -> View:
        known = np.where(settled[rows] >= 0, settled[rows], given[rows])
        near = choose_neighborhood(points, known, n_categories, min(k, len(points) - 1), seed=seed)
        return View(points, near, fit_posterior(points, given[rows], n_categories, near, settled=settled[rows], **common))

    control = None if ngrams is None else seen(ngrams)
    here = control if len(rows) == len(given) else None
    check = planted_check(view.points, given, view.neighborhood, view.found, settled=settled, control=here, **common)
    if control is None or here is not None:
        return check
    part = seen(view.points[rows])
    drawn = planted_check(part.points, given[rows], part.neighborhood, part.found, settled=settled[rows], control=control, **common)
    return replace(check, control=drawn.control)


def _ngram_points(texts: Sequence[str]) -> Any:
    """Points of the texts, fitted on themselves; None where nothing tells them apart."""
    if not any(character.isalnum() for text in texts for character in text):
        return None
    points = LexicalSpace().fitted_on(texts).encode(texts)
    return points if points.std(axis=0).any() else None
