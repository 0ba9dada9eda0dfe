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
    """

    n_planted: int
    n_draws: int
    reviews: Int[np.ndarray, " n"]
    found: Float[np.ndarray, " n"]
    recall: float
    chance: float
    gain: Estimate
    provenance: Provenance = field(default_factory=Provenance)

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
        return judged(self.gain, self.reason)

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
    """
    doubtful = 1 - found.informed[:, 0].astype(np.float64)
    open_items = np.ones(len(given), bool) if settled is None else settled == OPEN
    counts = np.bincount(given, minlength=len(found.prior))
    movable = np.flatnonzero(open_items & (doubtful < 0.5) & (counts[given] >= 2))  # one that is wrong already might be put right
    each = min(max(round(rate * len(given)), 1), len(movable))
    n_draws = 0 if not each else min(max(-(-ENOUGH // each), 1), MOST_DRAWS)
    hits, times, chances, curves = np.zeros(len(given)), np.zeros(len(given)), [], []
    reviews = np.unique(np.geomspace(1, len(given), 40).astype(np.int64))
    for draw in range(n_draws):
        rng = np.random.default_rng([seed, draw, 1])  # other draws than those of anybody who plants with the same seed
        moved = rng.permutation(movable)[:each]
        planted = given.copy()
        planted[moved] = found.noise.draw(given[moved], rng)
        again = fit_posterior(
            points, planted, len(found.prior), neighborhood, groups=groups, settled=settled, seed=seed,
            settings=(found.shrinkage, found.kappa),
        )  # fmt: skip
        is_moved = np.zeros(len(given), bool)
        is_moved[moved] = True
        # By chance where all are alike: an order by rows would find what happens to stand first.
        order = np.lexsort((rng.random(len(given)), again.informed[:, 0]))
        order = order[is_moved[order] | (open_items & (doubtful < 0.5))[order]]  # what was suspect before would stand in the way
        hits[order[:each]] += is_moved[order[:each]]
        times[moved] += 1
        chances.append(each / len(order))
        curves.append(np.cumsum(is_moved[order])[np.minimum(reviews, len(order)) - 1] / each)
    n_planted, chance = each * n_draws, float(np.mean(chances)) if chances else float("nan")
    once = np.flatnonzero(times)
    recall = float(hits.sum() / n_planted) if n_planted else float("nan")
    gain = Estimate(recall - chance, float("nan"), float("nan"))
    if len(once) > 1:
        gain = ratio_estimate(hits[once] - chance * times[once], times[once], seed=seed)
    curve = np.mean(curves, axis=0) if curves else np.zeros(len(reviews))
    provenance = Provenance(seed=seed, parameters={"n_items": len(given), "n_categories": len(found.prior), "rate": rate})
    return PlantedCheck(n_planted, n_draws, reviews, curve, recall, chance, gain, provenance)
