"""The audit of items that carry several categories: which memberships are wrong, and which are missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lexframe.audit.category_audit import checked_item_points, data_digest, label_text, label_texts
from lexframe.audit.memberships.membership_posterior import MembershipPosterior, fit_memberships
from lexframe.audit.memberships.memberships import Memberships, multi_label, split_labels
from lexframe.audit.neighbor_votes import find_neighborhood
from lexframe.checks import is_missing, texts_in
from lexframe.exceptions import InputError
from lexframe.provenance import Provenance, SpaceFingerprint
from lexframe.results import Result
from lexframe.text_forms import counted
from lexframe.typing import Points, Texts

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class MembershipAudit(Result):
    """An audit of items with any number of categories each.

    Attributes
    ----------
    memberships : Memberships
    posterior : MembershipPosterior
        Of every given membership and of the likeliest missing ones.
    texts : tuple of str or None
    digest : str
        Of the texts, or of the points where there are none.
    provenance : Provenance
    """

    memberships: Memberships
    posterior: MembershipPosterior = field(repr=False)
    texts: tuple[str, ...] | None = field(repr=False)
    digest: str
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.memberships)

    def findings(self, n_findings: int = 100) -> list[dict[str, Any]]:
        """Memberships to reconsider, the most probable first: ``remove`` where one is wrong, ``add`` where one is missing."""
        matrix, found = self.memberships.to_matrix(), self.posterior
        owner = np.repeat(np.arange(len(self)), np.diff(matrix.indptr))
        wrong = np.argsort(-found.given_wrong, kind="stable")[:n_findings]
        listed = [("remove", int(owner[i]), int(matrix.indices[i]), float(found.given_wrong[i])) for i in wrong]
        missing = zip(
            found.missing_rows[:n_findings], found.missing_categories[:n_findings], found.missing_probability[:n_findings], strict=True
        )
        listed += [("add", int(row), int(category), float(probability)) for row, category, probability in missing]
        listed.sort(key=lambda finding: -finding[3])
        names = self.memberships.categories
        return [
            {
                "row": row,
                "kind": kind,
                "category": names[category],
                "probability": probability,
                "given": list(self.memberships.of(row)),
                "text": None if self.texts is None else self.texts[row],
            }
            for kind, row, category, probability in listed[:n_findings]
        ]

    def to_frame(self, n_findings: int = 1000) -> "pandas.DataFrame":
        """The findings as a pandas table."""
        import pandas as pd

        return pd.DataFrame(self.findings(n_findings))

    def to_dict(self, n_findings: int = 200) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "n_items": len(self),
            "categories": list(self.memberships.categories),
            "wrong_rate": self.posterior.wrong_rate,
            "missing_rate": self.posterior.missing_rate,
            "expected_wrong": float(self.posterior.given_wrong.sum()),
            "findings": self.findings(n_findings),
            "digest": self.digest,
            "provenance": self.provenance.to_dict(),
        }

    def summary(self) -> str:
        """What was found, in a sentence."""
        given = self.posterior.given_wrong
        wrong, missing = round(float(given.sum())), round(float(self.posterior.missing_probability.sum()))
        return (
            f"{counted(len(self), 'item')} with {counted(len(given), 'membership')} in "
            f"{counted(len(self.memberships.categories), 'category')}: about {counted(wrong, 'wrong membership')} and "
            f"{counted(missing, 'missing one')} expected."
        )


def audit_memberships(
    points: Points,
    labels: Sequence[str] | Sequence[Sequence[str]],
    *,
    separator: str | None = None,
    texts: Texts | None = None,
    n_neighbors: int = 20,
    space: SpaceFingerprint | None = None,
    seed: int = 0,
) -> MembershipAudit:
    """Audit items that may carry several categories, or none.

    Parameters
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    labels : sequence of length n_items
        Lists of categories; or, with a separator, text that holds them.
    separator : str, optional
        What parts the categories of one item, such as ``;``.
    texts : sequence of str, length n_items, optional
    n_neighbors : int
        Neighbors that vote.
    space : SpaceFingerprint, optional
        Where the points come from, for the record.
    seed : int
        Draws the items that weights are fitted on.

    Returns
    -------
    MembershipAudit

    Raises
    ------
    InputError
        If points, labels and texts do not fit together.
    """
    if separator is None:
        if any(isinstance(listed, str) for listed in labels):
            raise InputError("An item's categories are one text; expected a list of them. Give a separator, or lists.")
        memberships = multi_label([[] if is_missing(listed) else label_texts(listed) for listed in labels])
    else:
        memberships = split_labels(["" if is_missing(label) else label_text(label) for label in labels], separator)
    checked, _ = checked_item_points(points, len(memberships))
    texts = None if texts is None else texts_in(texts)
    if texts is not None and len(texts) != len(checked):
        raise InputError(f"There are {len(checked)} points, but {len(texts)} texts. Give one for each.")
    neighborhood = find_neighborhood(checked, min(n_neighbors, len(checked) - 1))
    return MembershipAudit(
        memberships=memberships,
        posterior=fit_memberships(checked, memberships.to_matrix(), neighborhood, seed=seed),
        texts=None if texts is None else tuple(texts),
        digest=data_digest(texts if texts is not None else checked),
        provenance=Provenance(space=space, seed=seed, parameters={"n_neighbors": n_neighbors}),
    )
