"""What an audit of categories found, item by item and category by category."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int

from lexframe.artifacts import Artifact, Persistent
from lexframe.audit.category_posterior import CategoryPosterior
from lexframe.audit.near_duplicates import DuplicateGroups
from lexframe.audit.neighbor_votes import Neighborhood
from lexframe.audit.outliers import adjusted_p
from lexframe.audit.planting import PlantedCheck
from lexframe.audit.relations import CategoryRelation
from lexframe.audit.review_curve import review_curve_chart
from lexframe.audit.saved_audit import audit_artifact, audit_fields
from lexframe.provenance import Provenance
from lexframe.results import Result

if TYPE_CHECKING:
    import altair
    import pandas

MAX_SHOWN = 200
NOTHING_KNOWN = (
    "The points say no more about these categories than their sizes do, so no label is called wrong. Check the label column, or try "
    "another model."
)


@dataclass(frozen=True, slots=True)
class AuditResult(Result, Persistent):
    """An audit of items with one category each; saved, it makes reports and review sheets later.

    Attributes
    ----------
    categories : tuple of str
        Sorted; numbers below index it.
    given : ndarray of int, shape (n_items,)
    probability : ndarray of shape (n_items,)
        Reconsideration probability: that the given category is wrong. Of 100 items at 0.8 about 80 are.
    suggested : ndarray of int, shape (n_items,)
        The likeliest other category.
    suggestion_probability : ndarray of shape (n_items,)
        That the suggested category is the true one.
    outlier_p : ndarray of shape (n_items,)
        Conformal p-value: how far the item lies from the other members of its category, among their own distances.
    out_of_category_p : ndarray of shape (n_items,)
        The same for the distance to the nearest category, whichever it is: small for items that belong to none.
    strangeness : ndarray of shape (n_items,)
        The distance behind `out_of_category_p`.
    reviewed : ndarray of bool, shape (n_items,)
        Items that a person has decided on; they are not ranked again.
    error_rate, similar_share : float
        Of the noise model: share of wrong labels, and of those that went to a similar category.
    posterior : CategoryPosterior
    neighborhood : Neighborhood
    duplicates : DuplicateGroups or None
    relations : tuple of CategoryRelation
    check : PlantedCheck or None
    texts : tuple of str or None
    seconds : dict of str to float
        What each step took.
    notes : tuple of str
    digest : str
        Of the texts, or of the points where there are none: decisions belong to one collection.
    provenance : Provenance
    """

    artifact_kind = "audit"

    categories: tuple[str, ...]
    given: Int[np.ndarray, " n_items"]
    probability: Float[np.ndarray, " n_items"]
    suggested: Int[np.ndarray, " n_items"]
    suggestion_probability: Float[np.ndarray, " n_items"]
    outlier_p: Float[np.ndarray, " n_items"]
    out_of_category_p: Float[np.ndarray, " n_items"]
    strangeness: Float[np.ndarray, " n_items"]
    reviewed: Bool[np.ndarray, " n_items"]
    error_rate: float
    similar_share: float
    posterior: CategoryPosterior = field(repr=False)
    neighborhood: Neighborhood = field(repr=False)
    duplicates: DuplicateGroups | None
    relations: tuple[CategoryRelation, ...]
    check: PlantedCheck | None
    texts: tuple[str, ...] | None = field(repr=False)
    seconds: dict[str, float]
    notes: tuple[str, ...]
    digest: str
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.given)

    def ranked(self, n_items: int | None = None) -> Int[np.ndarray, " n_ranked"]:
        """Rows that nobody has decided on, the likeliest errors first.

        Parameters
        ----------
        n_items : int, optional
            How many. Default: all.
        """
        order = np.argsort(-self.probability, kind="stable")
        return order[~self.reviewed[order]][:n_items]

    def out_of_category(self, n_items: int | None = None) -> Int[np.ndarray, " n_ranked"]:
        """Rows that nobody has decided on, those that fit no category first."""
        order = np.argsort(-self.strangeness, kind="stable")
        return order[~self.reviewed[order]][:n_items]

    def candidates_for(self, category: str, n_items: int | None = None) -> Int[np.ndarray, " n_ranked"]:
        """Rows given another category that should be considered for this one, the likeliest first.

        Raises
        ------
        KeyError
            If there is no such category.
        """
        if category not in self.categories:
            raise KeyError(f"There is no category {category!r}; there are {', '.join(self.categories[:8])}.")
        number = self.categories.index(category)
        rows = np.flatnonzero((self.suggested == number) & (self.given != number) & ~self.reviewed)
        return rows[np.argsort(-self.suggestion_probability[rows], kind="stable")][:n_items]

    def expected_errors(self, n_reviews: int | None = None) -> float:
        """Wrong labels that are expected among the first `n_reviews` of the ranking; among all of it by default."""
        return float(self.probability[self.ranked(n_reviews)].sum())

    def review_curve(self, points: int = 50) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Numbers of reviews, and how many wrong labels they are expected to find."""
        found = np.cumsum(self.probability[self.ranked()])
        if not len(found):
            return np.zeros(0, np.int64), np.zeros(0)
        at = np.unique(np.geomspace(1, len(found), points).astype(np.int64))
        return at, found[at - 1]

    def outliers(self, level: float = 0.1) -> Bool[np.ndarray, " n_items"]:
        """Items far from their own category, at a false discovery rate of `level` (Benjamini and Hochberg)."""
        return adjusted_p(self.outlier_p) <= level

    def neighbors_in(self, row: int, category: int, n_neighbors: int = 3) -> list[int]:
        """The nearest rows of that category among the item's neighbors."""
        near = self.neighborhood.rows[row]
        near = near[near >= 0]
        return [int(other) for other in near[self.given[near] == category][:n_neighbors]]

    def confusion(self) -> scipy.sparse.csr_array:
        """Expected numbers of items given k (row) that belong to l (column); sparse, shape (n_categories, n_categories)."""
        return expected_counts(self.given, self.posterior.candidates, self.posterior.informed, len(self.categories))

    def reason(self, row: int) -> str:
        """Why the row is ranked where it is, in a sentence."""
        own, rival = self.categories[self.given[row]], self.categories[self.suggested[row]]
        near = self.neighborhood.rows[row]
        near = self.given[near[near >= 0]]
        parts = [
            f"{np.sum(near == self.suggested[row])} of {len(near)} neighbors are in {rival!r}, {np.sum(near == self.given[row])} in {own!r}"
        ]
        others = self.posterior
        ratio = others.own_distance[row] / max(float(others.nearest_distance[row]), 1e-9)
        if ratio > 1.02:
            parts.append(f"{np.sqrt(ratio):.2f} times as far from {own!r} as from the nearest category")
        group = [] if self.duplicates is None else [rows for rows in self.duplicates.conflicting if row in rows]
        if group:
            names = sorted({self.categories[self.given[other]] for other in group[0] if other != row})
            parts.append(f"a near duplicate is in {', '.join(map(repr, names[:3]))}")
        return "; ".join(parts)

    def to_frame(self, n_items: int | None = None) -> "pandas.DataFrame":
        """A row an item, in the order of the ranking, as a pandas table."""
        import pandas as pd

        rows = self.ranked(n_items)
        columns: dict[str, Any] = {"row": rows}
        if self.texts is not None:
            columns["text"] = [self.texts[row] for row in rows]
        names = np.array(self.categories, dtype=object)
        columns |= {
            "given": names[self.given[rows]],
            "suggested": names[self.suggested[rows]],
            "probability": self.probability[rows],
            "suggestion_probability": self.suggestion_probability[rows],
            "outlier_p": self.outlier_p[rows],
            "out_of_category_p": self.out_of_category_p[rows],
        }
        return pd.DataFrame(columns)

    def to_dict(self, n_items: int = MAX_SHOWN) -> dict[str, Any]:
        """As plain types, for JSON: counts, relations, and the first of each list."""
        return {
            "n_items": len(self),
            "categories": list(self.categories),
            "expected_errors": self.expected_errors(),
            "error_rate": self.error_rate,
            "similar_share": self.similar_share,
            "reviewed": int(self.reviewed.sum()),
            "items": [self.item(int(row)) for row in self.ranked(n_items)],
            "out_of_category": [self.item(int(row)) for row in self.out_of_category(min(n_items, 50))],
            "duplicates": None if self.duplicates is None else self.duplicates.to_dict(),
            "relations": [relation.to_dict() for relation in self.relations],
            "check": None if self.check is None else self.check.to_dict(),
            "seconds": self.seconds,
            "notes": list(self.notes),
            "digest": self.digest,
            "provenance": self.provenance.to_dict(),
        }

    def item(self, row: int) -> dict[str, Any]:
        """One item with its evidence, as plain types."""
        shown: dict[str, Any] = {"row": row}
        if self.texts is not None:
            shown["text"] = self.texts[row]
        return shown | {
            "given": self.categories[self.given[row]],
            "suggested": self.categories[self.suggested[row]],
            "probability": float(self.probability[row]),
            "suggestion_probability": float(self.suggestion_probability[row]),
            "outlier_p": float(self.outlier_p[row]),
            "out_of_category_p": float(self.out_of_category_p[row]),
            "reason": self.reason(row),
            "nearest_given": self.neighbors_in(row, int(self.given[row])),
            "nearest_suggested": self.neighbors_in(row, int(self.suggested[row])),
        }

    def summary(self) -> str:
        """What was found, in a few sentences, and whether the points say anything about the categories."""
        first = min(100, len(self.ranked()))
        kinds: dict[str, int] = {}
        for relation in self.relations:
            kinds[relation.kind] = kinds.get(relation.kind, 0) + 1
        said = [
            f"{len(self):,} items in {len(self.categories):,} categories: about {self.expected_errors():,.0f} wrong labels expected, "
            f"{self.expected_errors(first):,.0f} of them among the first {first} of the ranking."
        ]
        if not self.posterior.informative:
            said.append(NOTHING_KNOWN)
        if self.duplicates is not None and self.duplicates.groups:
            said.append(
                f"{len(self.duplicates.groups):,} groups of duplicates, {len(self.duplicates.conflicting):,} with different labels."
            )
        if kinds:
            said.append("Categories that " + ", ".join(f"{kind}: {number}" for kind, number in sorted(kinds.items())) + ".")
        return " ".join(said)

    def to_artifact(self) -> Artifact:
        """Everything of it; the texts too, where it has them."""
        return audit_artifact(self, self.artifact_kind, self.artifact_version)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "AuditResult":
        """Back from :meth:`to_artifact`."""
        return cls(**audit_fields(cls, artifact))

    def chart(self) -> "altair.LayerChart":
        """How many reviews find how many errors, an Altair chart."""
        check = self.check
        planted = None if check is None else (check.reviews, check.found, check.n_planted)
        return review_curve_chart(*self.review_curve(), planted)


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
