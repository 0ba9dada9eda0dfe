"""What the columns are that posterior calibration reads: tables of scores of labels, then blocks of points, by view."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

WORDS, PHRASES = "words", "phrases"
"""What zero-shot scores are of: log-probabilities of label words in a vocabulary, or cosines with phrases in the space itself."""


@dataclass(frozen=True)
class ColumnLayout:
    """Tables of scores first, zero-shot scores before opinions; then the points of all views.

    Attributes
    ----------
    order : ndarray of int, shape (n_labels,)
        Columns of a table in the order of sorted labels.
    views : list of list of int
        Widths of the blocks of points, by view.
    prior_kinds : list of str
        What the tables of zero-shot scores are of.
    prior_views, opinion_views : list of int
        The view of each table.
    """

    order: np.ndarray
    views: list[list[int]]
    prior_kinds: list[str]
    prior_views: list[int]
    opinion_views: list[int]

    @classmethod
    def of(
        cls,
        n_columns: int,
        *,
        labels: Sequence[Any] | None,
        views: Sequence[Sequence[int]] | None,
        priors: Sequence[str | None] | None,
        opinions: Sequence[int],
    ) -> "ColumnLayout":
        """From what :class:`~lexframe.instruments.classifiers.posterior_calibration.PosteriorCalibration` was told.

        Parameters
        ----------
        n_columns : int
            That there are.
        labels, views, priors, opinions
            As there.

        Raises
        ------
        ValueError
            If they do not fit together.
        """
        order = np.argsort(np.array([] if labels is None else list(labels)))
        n_views = 1 if views is None else len(views)
        kinds = [WORDS, *[None] * (n_views - 1)] if priors is None else list(priors)
        if len(kinds) != n_views or not set(kinds) <= {WORDS, PHRASES, None}:
            raise ValueError(f"priors is {kinds}; expected one of '{WORDS}', '{PHRASES}' and None for each of {n_views} views.")
        said = [int(number) for number in opinions]
        if said and not (len(order) and set(said) <= set(range(n_views))):
            raise ValueError(f"opinions is {said}; expected numbers of {n_views} views, and prior_labels that name the columns.")
        kinds = kinds if len(order) else [None] * n_views
        n_scores = len(order) * (sum(kind is not None for kind in kinds) + len(said))
        if n_columns <= n_scores:
            raise ValueError(f"X has {n_columns} columns; expected {n_scores} scores of labels and the points after them.")
        widths = [[n_columns - n_scores]] if views is None else [[int(width) for width in listed] for listed in views]
        if sum(map(sum, widths)) != n_columns - n_scores:
            raise ValueError(f"views {widths} add up to {sum(map(sum, widths))} columns, but there are {n_columns - n_scores} of points.")
        asked = [number for number, kind in enumerate(kinds) if kind is not None]
        return cls(order, widths, [kind for kind in kinds if kind is not None], asked, said)

    @property
    def block_parts(self) -> list[slice]:
        """Columns of each block among those of points."""
        edges = np.cumsum([0, *[width for view in self.views for width in view]])
        return [slice(int(start), int(stop)) for start, stop in pairwise(edges)]

    @property
    def block_views(self) -> list[int]:
        """The view of each block."""
        return [number for number, view in enumerate(self.views) for _ in view]

    @property
    def prior_parts(self) -> list[slice]:
        """Columns of points of the view of each table of zero-shot scores."""
        ends = np.cumsum([0, *[sum(view) for view in self.views]])
        return [slice(int(ends[view]), int(ends[view + 1])) for view in self.prior_views]

    def split(self, X: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """Zero-shot scores and opinions, each table in the order of sorted labels and centered by row, and the points.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
        """
        n_labels, n_priors = len(self.order), len(self.prior_views)
        n_tables = n_priors + len(self.opinion_views)
        tables = [X[:, number * n_labels : (number + 1) * n_labels][:, self.order] for number in range(n_tables)]
        tables = [table - table.mean(axis=1, keepdims=True) for table in tables]
        return tables[:n_priors], tables[n_priors:], X[:, n_labels * n_tables :]
