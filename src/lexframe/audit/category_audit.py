"""The audit of categories: which items carry a wrong label, which belong nowhere, which categories should change."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator

from lexframe.audit.category_merges import find_merges
from lexframe.audit.category_posterior import NOWHERE, OPEN, CategoryPosterior, fit_posterior
from lexframe.audit.category_splits import find_splits
from lexframe.audit.category_tree import CategoryTree
from lexframe.audit.discriminant import point_sums
from lexframe.audit.memberships.memberships import Memberships, single_label
from lexframe.audit.near_duplicates import find_duplicates
from lexframe.audit.neighbor_votes import choose_neighborhood, cosines
from lexframe.audit.ngram_control import NO_WORDS, are_ngrams, check_beside_ngrams
from lexframe.audit.outliers import conformal_p_values, outlier_p_values, pooled_p_values
from lexframe.audit.planting import View, planted_check
from lexframe.audit.relations import CategoryRelation, expected_counts, find_overlaps
from lexframe.audit.result import NOTHING_KNOWN, AuditResult
from lexframe.audit.review.decisions import Decisions
from lexframe.audit.review.review_learning import corrected_probability
from lexframe.checks import is_missing, texts_in
from lexframe.exceptions import InputError
from lexframe.latents.neighbors import Neighbors
from lexframe.provenance import Provenance, SpaceFingerprint, array_hash
from lexframe.text_forms import counted
from lexframe.typing import Points, Texts

MAX_FOR_RELATIONS = 20_000
FEWEST_ITEMS = 4
FEWEST_TRUSTED = 20
"""Items known to be right from which others are ranked among them alone."""


class CategoryAudit(BaseEstimator):
    """Finds items whose category should be reconsidered, with one calibrated probability for each.

    The posterior of each item's true category comes from all items but itself: from its distance to every category, with one shrunken
    covariance and means that lean on their siblings, and from its neighbors. A model of how wrong labels come about turns it into
    the probability that the given label is wrong. Nothing is trained for epochs; time grows about linearly with the items.

    Parameters
    ----------
    n_neighbors : int
        Neighbors that vote.
    duplicates : bool
        Look for near duplicates.
    relations : bool
        Look for categories that overlap, that should be merged, and that should be split, on at most 20,000 items.
    check : bool
        Plant wrong labels and look for them, which is what the verdict rests on; about doubles the time. With texts, n-grams of
        1,500 items at most are held against the points.
    random_state : int
        Of draws where not all items are looked at.

    Attributes
    ----------
    result_ : AuditResult
    """

    def __init__(
        self,
        *,
        n_neighbors: int = 20,
        duplicates: bool = True,
        relations: bool = True,
        check: bool = True,
        random_state: int = 0,
    ):
        self.n_neighbors = n_neighbors
        self.duplicates = duplicates
        self.relations = relations
        self.check = check
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        texts: Texts | None = None,
        tree: CategoryTree | None = None,
        decisions: Decisions | None = None,
        space: SpaceFingerprint | None = None,
    ) -> "CategoryAudit":
        """Audit items.

        Parameters
        ----------
        X : array-like of shape (n_items, n_dims)
            Points of the items, from any space.
        y : sequence, array or pandas Series of length n_items
            The category of each item, as text or as anything that can be written as text; 3, 3.0 and "3" are one category.
        texts : sequence of str, length n_items, optional
            For exact duplicates, for people to read, and for the check to say what n-grams alone would find.
        tree : CategoryTree, optional
            Parents of the categories: means of small categories lean on their siblings.
        decisions : Decisions, optional
            What people have decided on these items so far; rows count from 0. Later ones replace earlier ones on the same row.
        space : SpaceFingerprint, optional
            Where the points come from, for the record. Where they are n-grams, they are not held against themselves.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If points and categories do not fit together, a category is missing, points are not finite, all points are equal, there are
            fewer than four items, or a decision names a row or a category that does not exist.
        """
        watch = _Stopwatch()
        with watch("read"):
            labels = single_label(label_texts(y))
            points, notes = checked_item_points(X, len(labels))
            texts = None if texts is None else texts_in(texts)
            if texts is not None and len(texts) != len(points):
                raise InputError(f"There are {len(points)} points, but {len(texts)} texts. Give one for each.")
            assert labels.numbers is not None
            given, categories = labels.numbers, labels.categories
            settled = settle(decisions, given, categories)
        with watch("neighbors"):
            sums = point_sums(points)
            known = np.where(settled >= 0, settled, given)
            k = min(self.n_neighbors, len(points) - 1)
            neighborhood = choose_neighborhood(points, known, len(categories), k, sums=sums, seed=self.random_state)
        common: dict[str, Any] = {
            "groups": None if tree is None else tree.groups(categories),
            "settled": settled,
            "seed": self.random_state,
        }
        with watch("posterior"):
            kept = None if (settled == NOWHERE).any() else sums
            found = fit_posterior(points, given, len(categories), neighborhood, sums=kept, **common)
        check = None
        if self.check:
            with watch("check"):
                if texts is None or are_ngrams(space):
                    check = planted_check(points, given, neighborhood, found, **common)
                else:
                    check = check_beside_ngrams(View(points, neighborhood, found), given, texts, **common)
                    notes += [] if check.control is not None or not check.n_planted else [NO_WORDS]
        with watch("outliers"):
            probability, suggested, suggestion = _reconsider(found, given, settled, len(categories))
            outlier_p, out_of_category_p = _p_values(found, given, settled)
        duplicates = None
        if self.duplicates:
            with watch("duplicates"):
                near = Neighbors(neighborhood.rows, cosines(points, neighborhood.rows), "cosine")
                duplicates = find_duplicates(points, texts=texts, memberships=labels, neighbors=near)
        relations: tuple[CategoryRelation, ...] = ()
        if self.relations:
            with watch("relations"):
                relations = find_relations(points, found, given, categories, seed=self.random_state)
        self.result_ = AuditResult(
            categories=categories,
            given=given,
            probability=probability,
            suggested=suggested,
            suggestion_probability=suggestion,
            outlier_p=outlier_p,
            out_of_category_p=out_of_category_p,
            strangeness=found.strangeness,
            reviewed=settled != OPEN,
            settled=settled,
            error_rate=found.noise.error_rate,
            similar_share=found.noise.similar_share,
            posterior=found,
            neighborhood=neighborhood,
            duplicates=duplicates,
            relations=relations,
            check=check,
            texts=None if texts is None else tuple(texts),
            seconds=watch.seconds(),
            notes=(*([] if found.informative else [NOTHING_KNOWN]), *notes, *small_categories(labels)),
            digest=data_digest(texts if texts is not None else points),
            provenance=Provenance(space=space, seed=self.random_state, parameters={**self.get_params(), "categories": len(categories)}),
        )
        return self


class _Stopwatch:
    """Seconds that named steps take, and all of them together."""

    def __init__(self) -> None:
        self._started, self._steps = time.perf_counter(), dict[str, float]()

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        before = time.perf_counter()
        yield
        self._steps[step] = time.perf_counter() - before

    def seconds(self) -> dict[str, float]:
        return self._steps | {"all": time.perf_counter() - self._started}


def data_digest(items: Sequence[str] | Points) -> str:
    """Twelve hex digits over texts or points: what decisions are kept for, whichever labels and models come later.

    Parameters
    ----------
    items : sequence of str, or ndarray of shape (n_items, n_dims)
    """
    if isinstance(items, np.ndarray):
        return array_hash([("points", items)])[:12]
    digest = hashlib.sha256()
    for text in items:
        digest.update(f"{len(text)} {text} ".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]


def settle(decisions: Decisions | None, given: Int[np.ndarray, " n_items"], categories: Sequence[str]) -> Int[np.ndarray, " n_items"]:
    """The category that people have settled each item in; ``OPEN`` for the others, ``NOWHERE`` for items of none.

    Raises
    ------
    InputError
        If a decision is on a row or a category that does not exist.
    """
    settled = np.full(len(given), OPEN)
    if decisions is None:
        return settled
    place = {name: number for number, name in enumerate(categories)}
    for row, verdict, category in zip(decisions.rows, decisions.verdicts, decisions.categories, strict=True):
        if row >= len(given):
            raise InputError(f"A decision is on row {row}, but there are {len(given)} items, from 0. Give the decisions of this data.")
        if verdict in ("move", "add"):
            if category not in place:
                raise InputError(f"The decision on row {row} names {str(category)!r}, which no item carries. Name one of the categories.")
            settled[row] = place[category]
        elif verdict == "keep":
            settled[row] = given[row]
        elif verdict in ("nowhere", "remove"):
            settled[row] = NOWHERE
    return settled


def find_relations(
    points: Points,
    found: CategoryPosterior,
    given: Int[np.ndarray, " n_items"],
    categories: Sequence[str],
    *,
    seed: int = 0,
) -> tuple[CategoryRelation, ...]:
    """Categories that overlap, cannot be told apart, or have two modes, judged on their likely members.

    Parameters
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    found : CategoryPosterior
    given : ndarray of int, shape (n_items,)
    categories : sequence of str
    seed : int
        Draws 20,000 items where there are more.
    """
    # The posterior, not what the given label adds to it: two categories that share items overlap even if every label is right.
    confusion = expected_counts(given, found.candidates, found.posterior, len(categories))
    counts = np.bincount(given, minlength=len(categories)).astype(np.int64)
    overlaps = find_overlaps(confusion, counts, categories)
    rows = np.flatnonzero(found.informed[:, 0] > 0.5)
    if len(rows) > MAX_FOR_RELATIONS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_FOR_RELATIONS, replace=False))
    if not len(rows):
        return overlaps
    whitened, numbers = found.discriminant.whiten(points[rows]).astype(np.float32), given[rows]
    place = {name: number for number, name in enumerate(categories)}
    pairs = np.array([[place[name] for name in relation.categories] for relation in overlaps], dtype=np.int64).reshape(-1, 2)
    merges = find_merges(whitened, numbers, categories, pairs) if len(pairs) else ()
    splits = find_splits(whitened, numbers, categories)
    return (*merges, *overlaps, *splits)


def small_categories(labels: Memberships) -> list[str]:
    """What to say of categories that are too small to judge."""
    small = [labels.categories[number] for number in np.flatnonzero(labels.counts <= 2)]
    if not small:
        return []
    named = ", ".join(map(repr, small[:5])) + (f" and {len(small) - 5:,} more" if len(small) > 5 else "")
    have = counted(len(small), "category has", "categories have")
    return [f"{have} one or two members ({named}): little can be said of those members."]


def _reconsider(
    found: CategoryPosterior,
    given: Int[np.ndarray, " n_items"],
    settled: Int[np.ndarray, " n_items"],
    n_categories: int,
) -> tuple[Float[np.ndarray, " n_items"], Int[np.ndarray, " n_items"], Float[np.ndarray, " n_items"]]:
    """Probability that the given category is wrong, the likeliest other one, and the probability of that."""
    rows = np.arange(len(given))
    best = 1 + np.argmax(found.informed[:, 1:], axis=1)
    suggested = found.candidates[rows, best].astype(np.int64)
    raw = 1 - found.informed[:, 0].astype(np.float64)
    reviewed = np.flatnonzero(settled != OPEN)
    wrong = settled[reviewed] != given[reviewed]
    probability = corrected_probability(raw, given, suggested, n_categories, reviewed, wrong)
    share = found.informed[rows, best] / np.maximum(found.informed[:, 1:].sum(axis=1), 1e-30)
    probability[reviewed] = wrong
    return probability, suggested, probability * share


def _p_values(
    found: CategoryPosterior, given: Int[np.ndarray, " n_items"], settled: Int[np.ndarray, " n_items"]
) -> tuple[Float[np.ndarray, " n_items"], Float[np.ndarray, " n_items"]]:
    """Of the distance to the own category and to the nearest one: among trusted items where there are enough, or among all."""
    known, trusted = np.where(settled >= 0, settled, given).astype(np.int64), settled >= 0
    own, strange = found.misfit, found.strangeness
    if trusted.sum() >= FEWEST_TRUSTED:
        return pooled_p_values(own, known, reference=trusted), conformal_p_values(strange[trusted], strange)
    return outlier_p_values(own, known), conformal_p_values(strange, strange) * (len(strange) + 1) / len(strange) - 1 / len(strange)


def label_texts(labels: Any) -> list[str]:
    """Labels as text; equal numbers are one label, whichever type they come in.

    Raises
    ------
    InputError
        If one is missing: None, NaN, or pandas' NA.
    """
    given: list[Any] = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    missing = [row for row, label in enumerate(given) if is_missing(label)]
    if missing:
        raise InputError(
            f"{counted(len(missing), 'item has', 'items have')} no label, the first in row {missing[0]}. An audit judges labels: leave "
            "these rows out of points, labels and texts.",
            parameter="y",
        )
    return [label_text(label) for label in given]


def label_text(label: Any) -> str:
    """One label as text: 3, 3.0 and "3" are the same category."""
    if isinstance(label, str):
        return str.__str__(label)  # numpy's strings are strings too, but write themselves as np.str_('...')
    plain = label.item() if isinstance(label, np.generic) else label
    if isinstance(plain, float) and plain.is_integer():
        return str(int(plain))
    return str(plain)


def checked_item_points(X: Any, n_labels: int) -> tuple[Points, list[str]]:
    """Points as float32, and what is odd about them.

    Raises
    ------
    InputError
        If they are not a table of finite numbers with a row for each label, or are all equal.
    """
    try:
        points = np.ascontiguousarray(X, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"The points are not a table of numbers ({error}). Give an array of shape (n_items, n_dims).") from error
    if points.ndim != 2:
        raise InputError(f"The points have shape {points.shape}; expected (n_items, n_dims).")
    if len(points) != n_labels:
        raise InputError(f"There are {len(points)} points, but {n_labels} categories. Give one category for each point.")
    if len(points) < FEWEST_ITEMS:
        raise InputError(f"An audit of {counted(len(points), 'item')} says nothing; it needs {FEWEST_ITEMS} or more.")
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        wrong = np.flatnonzero(~finite)
        raise InputError(
            f"{len(wrong)} points hold NaN or infinity, the first in row {wrong[0]}. Remove these rows, or look at what makes such values."
        )
    spread = points.std(axis=0)
    if not spread.any():
        raise InputError("All points are equal, so nothing tells the categories apart. Check the texts, the template and the layer.")
    constant = int((spread == 0).sum())
    return points, [f"{counted(constant, 'dimension is', 'dimensions are')} constant, of {points.shape[1]:,}."] if constant else []
