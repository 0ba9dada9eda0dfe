"""Wrong labels planted into people's own data: how many of them the audit finds there.

Labels of some items are moved as the audit thinks that wrong labels come about, the audit is run again, and the moved items are
looked for. That is the evidence for the audit's verdict: where it does not find what was put there, its ranking is worth nothing.
(A correction of the probabilities by what was found lowered no calibration error on the development sets, and is left out.)
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from lexframe.audit.category_posterior import OPEN, CategoryPosterior, fit_posterior
from lexframe.audit.neighbor_votes import Neighborhood
from lexframe.checks import plain
from lexframe.intervals import Estimate, ratio_estimate
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.text_forms import counted
from lexframe.typing import Points
from lexframe.verdicts import Verdict, Worth, judged

if TYPE_CHECKING:
    import pandas

RATE, ENOUGH, MOST_DRAWS = 0.05, 100, 10
"""Share of the items that is moved at a time; planted labels that are enough; how often at most."""


@dataclass(frozen=True, slots=True)
class View:
    """One set of points of the items, what lies near in it, and what it makes of the labels as they are.

    Attributes
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    neighborhood : Neighborhood
    found : CategoryPosterior
    """

    points: Points
    neighborhood: Neighborhood
    found: CategoryPosterior


@dataclass(frozen=True, slots=True)
class PlantedControl:
    """What n-grams of the texts find of the same planted labels.

    Attributes
    ----------
    n_items : int
        Items that both were looked at on.
    n_planted : int
        Wrong labels on items that n-grams did not suspect before either; the audit suspected none of them.
    recall, ngrams : float
        Share of these that stand among as many first items: of the audit's ranking, and of that by n-grams. NaN where there are none.
    gain : Estimate
        The first minus the second, with its interval over the items whose labels were moved.
    """

    n_items: int
    n_planted: int
    recall: float
    ngrams: float
    gain: Estimate

    @property
    def reason(self) -> str:
        """Both shares, and what follows, in a sentence."""
        if not self.n_planted:
            return "What n-grams alone find could not be measured: they suspect every item whose label was moved."
        labels = counted(self.n_planted, "planted label", "planted labels")
        both = f"Of {labels} on items that neither suspected before, it finds {self.recall:.0%}, n-grams alone {self.ngrams:.0%}"
        ends = self.gain.interval
        if ends is not None and ends[1] < 0:
            more = f"more by {-self.gain.value:.0%} [{-ends[1]:.0%}, {-ends[0]:.0%}]"
            return f"{both}, {more}: audit their points, those of the model tfidf, instead."
        if ends is not None and ends[0] > 0:
            return f"{both}, fewer by {self.gain.value:.0%} [{ends[0]:.0%}, {ends[1]:.0%}]."
        return f"{both}; a difference is not shown."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "n_items": self.n_items,
            "n_planted": self.n_planted,
            "recall": plain(self.recall),
            "ngrams": plain(self.ngrams),
            "gain": self.gain.to_dict(),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class PlantedCheck(Result):
    """What the audit finds of wrong labels that were planted.

    Attributes
    ----------
    n_planted, n_draws : int
        Wrong labels in all, and in how many plantings.
    reviews : ndarray of int, shape (n,)
        Numbers of reviews.
    found : ndarray of float, shape (n,)
        Share of the planted labels among as many first items of the ranking, without items that were suspect before; the mean over
        plantings.
    recall, chance : float
        Share of the planted labels that stand among as many first items as were planted, and what a random order puts there.
    gain : Estimate
        Their difference, with its interval over the items whose labels were moved. NaN where nothing was planted.
    provenance : Provenance
    control : PlantedControl or None
        What n-grams find of the same labels, where that was measured.
    """

    n_planted: int
    n_draws: int
    reviews: Int[np.ndarray, " n"]
    found: Float[np.ndarray, " n"]
    recall: float
    chance: float
    gain: Estimate
    provenance: Provenance = field(default_factory=Provenance)
    control: PlantedControl | None = None

    @property
    def reason(self) -> str:
        """Recall and chance, in a sentence."""
        ends = self.gain.interval
        shown = "" if ends is None else f" [{max(ends[0] + self.chance, 0):.0%}, {min(ends[1] + self.chance, 1):.0%}]"
        planted = counted(self.n_planted, "wrong label was planted", "wrong labels were planted")
        return (
            f"{planted} here, and {self.recall:.0%}{shown} of them stand among as many first items of the ranking; "
            f"a random order puts {self.chance:.0%} there."
        )

    def summary(self) -> str:
        """How many of the planted labels are found, and the verdict."""
        return str(self.verdict())

    def verdict(self) -> Verdict:
        """Whether planted labels are found more often than by chance."""
        if not self.n_planted:
            return Verdict(Worth.UNSURE, "No wrong label could be planted, so nothing is known of how many are found.")
        return judged(self.gain, self.reason + self.beside)

    @property
    def beside(self) -> str:
        """What n-grams find, as a sentence that follows another one; empty where that was not measured."""
        return "" if self.control is None else f" {self.control.reason}"

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "n_planted": self.n_planted,
            "n_draws": self.n_draws,
            "reviews": self.reviews.tolist(),
            "found": self.found.tolist(),
            "recall": plain(self.recall),
            "chance": plain(self.chance),
            "gain": self.gain.to_dict(),
            "control": None if self.control is None else self.control.to_dict(),
            "verdict": self.verdict().to_dict(),
            "provenance": self.provenance.to_dict(),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """A row a number of reviews, with the share of the planted labels that they find."""
        import pandas as pd

        return pd.DataFrame({"reviews": self.reviews, "found": self.found})


def planted_check(
    points: Points,
    given: Int[np.ndarray, " n_items"],
    neighborhood: Neighborhood,
    found: CategoryPosterior,
    *,
    groups: Int[np.ndarray, " n_categories"] | None = None,
    settled: Int[np.ndarray, " n_items"] | None = None,
    rate: float = RATE,
    seed: int = 0,
    control: View | None = None,
) -> PlantedCheck:
    """Plant wrong labels and look for them.

    Parameters
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    given : ndarray of int, shape (n_items,)
    neighborhood : Neighborhood
    found : CategoryPosterior
        Of the labels as they are.
    groups : ndarray of int, shape (n_categories,), optional
    settled : ndarray of int, shape (n_items,), optional
        What people have decided, as for :func:`~lexframe.audit.category_posterior.fit_posterior`; such items are not moved.
    rate : float
        Share of the items to move at a time; one item at least.
    seed : int
        Draws the items and where they go.
    control : View, optional
        N-grams of the same items, in which the same labels are looked for.
    """
    views = [View(points, neighborhood, found), *([] if control is None else [control])]
    open_items = np.ones(len(given), bool) if settled is None else settled == OPEN
    trusted = [open_items & (1 - view.found.informed[:, 0].astype(np.float64) < 0.5) for view in views]
    counts = np.bincount(given, minlength=len(found.prior))
    movable = np.flatnonzero(trusted[0] & (counts[given] >= 2))  # one that is wrong already might be put right
    each = min(max(round(rate * len(given)), 1), len(movable))
    n_draws = 0 if not each else min(max(-(-ENOUGH // each), 1), MOST_DRAWS)
    hits, times, chances, curves = np.zeros(len(given)), np.zeros(len(given)), [], []
    shared_hits, shared_times = np.zeros((len(views), len(given))), np.zeros(len(given))
    reviews = np.unique(np.geomspace(1, len(given), 40).astype(np.int64))
    for draw in range(n_draws):
        rng = np.random.default_rng([seed, draw, 1])  # other draws than those of anybody who plants with the same seed
        moved = rng.permutation(movable)[:each]
        planted = given.copy()
        planted[moved] = found.noise.draw(given[moved], rng)
        is_moved = np.zeros(len(given), bool)
        is_moved[moved] = True
        # By chance where all are alike: an order by rows would find what happens to stand first.
        ties = rng.random(len(given))
        shared = is_moved & np.all(trusted, axis=0)  # what a view suspected before, it has not to find
        for view, sure, found_here in zip(views, trusted, shared_hits, strict=True):
            again = fit_posterior(
                view.points, planted, len(found.prior), view.neighborhood, groups=groups, settled=settled, seed=seed,
                settings=(view.found.shrinkage, view.found.kappa),
            )  # fmt: skip
            ranked = np.lexsort((ties, again.informed[:, 0]))
            first = ranked[np.where(is_moved, shared, sure)[ranked]][: shared.sum()]
            found_here[first] += shared[first]
            if view is views[0]:
                order = ranked[is_moved[ranked] | sure[ranked]]  # what was suspect before would stand in the way
        shared_times += shared
        hits[order[:each]] += is_moved[order[:each]]
        times[moved] += 1
        chances.append(each / len(order))
        curves.append(np.cumsum(is_moved[order])[np.minimum(reviews, len(order)) - 1] / each)
    n_planted, chance = each * n_draws, float(np.mean(chances)) if chances else float("nan")
    recall = float(hits.sum() / n_planted) if n_planted else float("nan")
    gain = _over_items(hits - chance * times, times, seed)
    curve = np.mean(curves, axis=0) if curves else np.zeros(len(reviews))
    beside = None if control is None or not n_planted else _compared(shared_hits, shared_times, seed)
    provenance = Provenance(seed=seed, parameters={"n_items": len(given), "n_categories": len(found.prior), "rate": rate})
    return PlantedCheck(n_planted, n_draws, reviews, curve, recall, chance, gain, provenance, beside)


def _compared(hits: Float[np.ndarray, "2 n_items"], times: Float[np.ndarray, " n_items"], seed: int) -> PlantedControl:
    """The shares that the audit and its control find of the labels planted on items, which are looked for so many times."""
    n_planted = int(times.sum())
    shares = hits.sum(axis=1) / n_planted if n_planted else np.full(2, np.nan)
    return PlantedControl(len(times), n_planted, float(shares[0]), float(shares[1]), _over_items(hits[0] - hits[1], times, seed))


def _over_items(gained: Float[np.ndarray, " n_items"], times: Float[np.ndarray, " n_items"], seed: int) -> Estimate:
    """What is gained a planted label; NaN where there is none, without an interval where there is one item."""
    once = np.flatnonzero(times)
    if len(once) > 1:
        return ratio_estimate(gained[once], times[once], seed=seed)
    return Estimate(float(gained.sum() / times.sum()) if len(once) else float("nan"), float("nan"), float("nan"))
