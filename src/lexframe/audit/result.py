"""What an audit of categories found, item by item and category by category."""

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int
from scipy.special import expit, logit

from lexframe.artifacts import Artifact, Persistent
from lexframe.audit.category_posterior import OPEN, CategoryPosterior
from lexframe.audit.near_duplicates import DuplicateGroups
from lexframe.audit.neighbor_votes import Neighborhood
from lexframe.audit.outliers import benjamini_hochberg, pooled_p_values, reference_needed
from lexframe.audit.planting import PlantedCheck
from lexframe.audit.relations import CategoryRelation, expected_counts
from lexframe.audit.review_curve import review_curve_chart
from lexframe.audit.saved_audit import audit_artifact, audit_fields
from lexframe.exceptions import InputError
from lexframe.intervals import Estimate
from lexframe.provenance import Provenance
from lexframe.results import Result, WithPage
from lexframe.text_forms import counted
from lexframe.verdicts import Verdict, Worth

if TYPE_CHECKING:
    import altair
    import pandas

MAX_SHOWN = 200
WORTH_A_LOOK, ODD, MAX_ODD = 0.1, 4.0, 50
"""Least probability of an item that is shown for review; least strangeness of one that seems to belong nowhere, and how many."""
MODEL_ERROR = 0.5
"""Share of the number of wrong labels by which the model may be off."""
FOUND_TO_COUNT = 0.5
"""Share of the planted labels that has to be found surely for the wrong ones to be counted: more found than missed."""
FEW_ITEMS, ENOUGH_ITEMS = 5, 10
"""Items a category below which little can be told, and from which much can."""
NOTHING_KNOWN = (
    "The points say no more about these categories than their sizes do, so no label is called wrong. Check the label column, or try "
    "another model."
)


@dataclass(frozen=True, slots=True)
class AuditResult(Result, Persistent, WithPage):
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
    settled : ndarray of int, shape (n_items,)
        The category that a person has settled the item in: a number of a category for those that are trusted, -1 for open items, -2 for
        items of no category.
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

    page: ClassVar[str] = "lexframe.audit.page:audit_report"

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
    settled: Int[np.ndarray, " n_items"]
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

    def to_review(self, n_items: int | None = None) -> Int[np.ndarray, " n_ranked"]:
        """Rows of the ranking that are worth a look: wrong with a probability of 0.1 or more.

        None where wrong labels were planted and are not shown to be found: the order of such a ranking says nothing.

        Parameters
        ----------
        n_items : int, optional
            At most. Default: all.
        """
        if self.check is not None and self.verdict().worth is not Worth.HOLDS:
            return np.zeros(0, np.int64)
        rows = self.ranked()
        return rows[self.probability[rows] >= WORTH_A_LOOK][:n_items]

    def strangers(self, n_items: int = MAX_ODD) -> Int[np.ndarray, " n_ranked"]:
        """Rows of :meth:`out_of_category` whose strangeness is 4 robust standard deviations or more."""
        rows = self.out_of_category()
        return rows[self.strangeness[rows] >= ODD][:n_items]

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

    def error_count(self) -> Estimate:
        """Wrong labels that are expected among the open items, with what the data leave possible.

        The interval holds three things: the rate of wrong labels, as far as the items beyond doubt tell it, its standard error doubled;
        the chance of each item to be wrong at that rate; and half of the number, by which the model itself may be off (of 16 sets of
        planted labels, on which the half was chosen, it was by more in one). Without ends where not surely half of the planted labels are
        found: there the number is one of items that lie between categories, and was up to eight times that of planted labels.
        """
        noise, probability = self.posterior.noise, self.probability[self.ranked()]
        value = float(probability.sum())
        unseen = self.check is not None and not self.check.gain.low + self.check.chance >= FOUND_TO_COUNT
        if unseen or not (self.posterior.informative and len(probability)):
            return Estimate(value, float("nan"), float("nan"))
        odds = logit(np.clip(probability, 1e-12, 1 - 1e-12))
        ends = [float(expit(odds + logit(rate) - logit(noise.error_rate)).sum()) for rate in noise.error_interval]
        chance = 1.96 * float(np.sqrt(np.sum(probability * (1 - probability))))
        reach = [float(np.linalg.norm([end - value, chance, MODEL_ERROR * value])) for end in ends]
        low, high = value - reach[0], value + reach[1]
        return Estimate(value, max(low, 0.0), min(high, float(len(probability))))

    def verdict(self) -> Verdict:
        """Whether the ranking finds wrong labels here, by those that were planted and looked for."""
        if not self.posterior.informative:
            return Verdict(Worth.WORTHLESS, NOTHING_KNOWN + ("" if self.check is None else self.check.beside))
        if self.check is None:
            return Verdict(Worth.UNSURE, "No wrong labels were planted, so nothing tells how many are found here.")
        found = self.check.verdict()
        sizes = np.bincount(self.given, minlength=len(self.categories))
        if found.worth is Worth.HOLDS or float(np.median(sizes)) >= ENOUGH_ITEMS:
            return found
        few = counted(int(np.sum(sizes < FEW_ITEMS)), "category has", "categories have")
        more = f"Half of the categories have {np.median(sizes):.0f} items or fewer"
        more += f", and {few} fewer than {FEW_ITEMS}" if (sizes < FEW_ITEMS).any() else ""
        return Verdict(found.worth, f"{found.reason} {more}: give {ENOUGH_ITEMS} or more of each.")

    def review_curve(self, points: int = 50) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Numbers of reviews, and how many wrong labels they are expected to find."""
        found = np.cumsum(self.probability[self.ranked()])
        if not len(found):
            return np.zeros(0, np.int64), np.zeros(0)
        at = np.unique(np.geomspace(1, len(found), points).astype(np.int64))
        return at, found[at - 1]

    def outliers(self, level: float = 0.1) -> Bool[np.ndarray, " n_items"]:
        """Open items far from their own category, with at most a share `level` of right ones among them (Benjamini and Hochberg).

        What is far is measured by the items that a person has kept or moved, which therefore have to be as odd as right items are: a
        random draw of them. Where they were reviewed from the top of the ranking they are odder, and less is found.

        Parameters
        ----------
        level : float
            False discovery rate: above 0, below 1.

        Returns
        -------
        ndarray of bool, shape (n_items,)
            False for items that were decided on.

        Raises
        ------
        InputError
            If fewer items are trusted than the level needs to call anything an outlier, with how many it needs.

        Notes
        -----
        Distances are standardised within each category by its trusted items and ranked among those of all categories [1]_. A category
        without a trusted item has no outliers.

        References
        ----------
        .. [1] Bates, Candès, Lei, Romano and Sesia (2023), Testing for outliers with conformal p-values, Annals of Statistics 51(1).
        """
        trusted, asked = self.settled >= 0, self.settled == OPEN
        n_trusted, n_asked = int(trusted.sum()), int(asked.sum())
        least = reference_needed(level, n_asked, max(n_asked, 1))
        if n_trusted < least:
            few = max(n_asked // 20, 1)
            raise InputError(
                f"Outliers at a rate of {level:g} are measured by items known to be right, and "
                f"{counted(n_trusted, 'item is', 'items are')} kept or moved so far: {least:,} are the least, and to name {few:,} of "
                f"{n_asked:,} open items takes {reference_needed(level, max(n_asked, 1), few):,}. Review a random draw of the items first.",
                parameter="level",
            )
        known = np.where(trusted, self.settled, self.given).astype(np.int64)
        p = pooled_p_values(self.posterior.misfit, known, reference=trusted)
        called = np.zeros(len(self), bool)
        called[asked] = benjamini_hochberg(p[asked], level)
        return called

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
            "verdict": self.verdict().to_dict(),
            "expected_errors": self.expected_errors(),
            "expected_errors_interval": self.error_count().to_dict()["interval"],
            "n_to_review": len(self.to_review()),
            "error_rate": self.error_rate,
            "similar_share": self.similar_share,
            "reviewed": int(self.reviewed.sum()),
            "items": [self.item(int(row)) for row in self.to_review(n_items)],
            "out_of_category": [self.item(int(row)) for row in self.strangers(min(n_items, MAX_ODD))],
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
        """What was found, in a few sentences, and what it is worth."""
        kinds = Counter(relation.kind for relation in self.relations)
        said = [f"{counted(len(self), 'item')} in {counted(len(self.categories), 'category')}: {self.expectation()}"]
        said.append(str(self.verdict()))
        if self.duplicates is not None and self.duplicates.groups:
            groups = counted(len(self.duplicates.groups), "group of duplicates", "groups of duplicates")
            said.append(f"{groups}, {len(self.duplicates.conflicting):,} with different labels.")
        if kinds:
            said.append("Categories that " + ", ".join(f"{kind}: {number}" for kind, number in sorted(kinds.items())) + ".")
        return " ".join(said)

    def expectation(self) -> str:
        """How many wrong labels there are, and where, in a sentence."""
        if self.reviewed.all():
            return "everything has been reviewed."
        worth_a_look = self.to_review()
        count = self.error_count()
        ends = count.interval
        if ends is None and self.check is not None and not len(worth_a_look):
            return "nothing to review, and nothing is known of how many labels are wrong."
        if ends is None and self.check is not None:
            worth = counted(len(worth_a_look), "item is", "items are")
            return f"{worth} worth a look; how many labels are wrong is not known, as too few of those that were planted are found."
        between = "" if ends is None else f" [{ends[0]:,.0f}, {ends[1]:,.0f}]"
        noun = "label" if round(count.value) == 1 else "labels"
        expected = f"about {count.value:,.0f}{between} wrong {noun} expected"
        if not len(worth_a_look):
            return f"nothing to review: {expected}, none of them likely enough to be named."
        there = float(self.probability[worth_a_look].sum())
        return f"{expected}, {there:,.0f} of them among the {counted(len(worth_a_look), 'item')} worth a look."

    def _repr_html_(self) -> str:
        """The summary and the items worth a look."""
        table = self.to_frame().iloc[: len(self.to_review())]
        return f"<p>{escape(self.summary())}</p>{table.to_html(float_format='{:.3f}'.format, escape=True, max_rows=40)}"

    def to_artifact(self) -> Artifact:
        """Everything of it; the texts too, where it has them."""
        return audit_artifact(self, self.artifact_kind, self.artifact_version)

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> "AuditResult":
        """Back from :meth:`to_artifact`."""
        return cls(**audit_fields(cls, artifact))

    def chart(self) -> "altair.LayerChart":
        """How many reviews find how many errors, an Altair chart."""
        planted = None if self.check is None else (self.check.reviews, self.check.found, self.check.n_planted)
        return review_curve_chart(*self.review_curve(), planted)
