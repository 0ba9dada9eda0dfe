"""Wrong labels planted into people's own data: how many the audit finds there, and whether its probabilities hold.

Labels of some items are moved as the audit thinks that wrong labels come about, the audit is run again, and the moved items are
looked for. What is learnt: how many reviews find how many errors on this data, and a correction of the probabilities, fitted with
the items that were not moved as doubtful as the first audit found them.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
from jaxtyping import Bool, Float, Int

from lexframe.audit.category_posterior import OPEN, CategoryPosterior, fit_posterior
from lexframe.audit.neighbor_votes import Neighborhood
from lexframe.provenance import Provenance
from lexframe.results import Result
from lexframe.typing import Points

if TYPE_CHECKING:
    import pandas

LEAST_RATE = 0.05


@dataclass(frozen=True, slots=True)
class PlantedCheck(Result):
    """What the audit finds of wrong labels that were planted.

    Attributes
    ----------
    n_planted : int
    reviews : ndarray of int, shape (n,)
        Numbers of reviews.
    found : ndarray of float, shape (n,)
        Share of the planted labels among as many first items of the ranking, without items that were suspect before.
    slope, intercept : float
        Of the log-odds: 1 and 0 where the probabilities hold as they are.
    provenance : Provenance
    """

    n_planted: int
    reviews: Int[np.ndarray, " n"]
    found: Float[np.ndarray, " n"]
    slope: float
    intercept: float
    provenance: Provenance = field(default_factory=Provenance)

    def corrected(self, probability: Float[np.ndarray, " n_items"]) -> Float[np.ndarray, " n_items"]:
        """Probabilities after the correction."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * _log_odds(probability) + self.intercept))))

    def summary(self) -> str:
        """How many reviews find half of the planted labels, and whether the probabilities hold."""
        if not self.n_planted:
            return "No wrong label was planted, so nothing is known of how many are found."
        at = int(np.searchsorted(self.found, 0.5))
        half = f"half of them stand among the first {self.reviews[at]:,}" if at < len(self.found) else "fewer than half of them are found"
        text = f"{self.n_planted:,} wrong labels were planted: {half} of the ranking."
        return text if self.n_planted >= 30 else f"{text} With so few of them this is a rough figure."

    def to_dict(self) -> dict[str, Any]:
        """As plain types, for JSON."""
        return {
            "n_planted": self.n_planted,
            "reviews": self.reviews.tolist(),
            "found": self.found.tolist(),
            "slope": self.slope,
            "intercept": self.intercept,
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
    rate: float | None = None,
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
    rate : float, optional
        Share of items to move. Default: the share of errors that was found, and 5% at least.
    seed : int
        Draws the items and where they go.
    """
    rng = np.random.default_rng([seed, 1])  # other draws than those of anybody who plants with the same seed
    doubtful = 1 - found.informed[:, 0].astype(np.float64)
    moved = np.flatnonzero(rng.random(len(given)) < (max(found.noise.error_rate, LEAST_RATE) if rate is None else rate))
    moved = moved[doubtful[moved] < 0.5]  # one that is wrong already might be put right
    if settled is not None:
        moved = moved[settled[moved] == OPEN]
    planted = given.copy()
    planted[moved] = found.noise.draw(given[moved], rng)
    again = fit_posterior(
        points, planted, len(found.prior), neighborhood, groups=groups, settled=settled, settings=(found.shrinkage, found.kappa), seed=seed
    )
    probability = 1 - again.informed[:, 0].astype(np.float64)
    is_moved = np.zeros(len(given), bool)
    is_moved[moved] = True
    slope, intercept = _logistic(_log_odds(probability), is_moved, doubtful)
    order = np.argsort(-probability, kind="stable")
    order = order[is_moved[order] | (doubtful[order] < 0.5)]  # what was suspect before would stand in the way of what was planted
    hits = np.cumsum(is_moved[order])
    reviews = np.unique(np.geomspace(1, len(order), 40).astype(np.int64))
    provenance = Provenance(seed=seed, parameters={"n_items": len(given), "n_categories": len(found.prior), "rate": rate})
    return PlantedCheck(len(moved), reviews, hits[reviews - 1] / max(len(moved), 1), slope, intercept, provenance)


def _log_odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(clipped / (1 - clipped))


def _logistic(log_odds: np.ndarray, moved: Bool[np.ndarray, " n"], doubtful: np.ndarray) -> tuple[float, float]:
    """Slope and intercept that make wrong labels likeliest: moved ones for sure, the others as likely as they were before."""
    target = np.where(moved, 1.0, doubtful)

    def loss(weights: np.ndarray) -> float:
        score = weights[0] * log_odds + weights[1]
        return float((np.logaddexp(0, score) - target * score).mean() + 1e-4 * ((weights[0] - 1) ** 2 + weights[1] ** 2))

    slope, intercept = scipy.optimize.minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return float(max(slope, 1e-3)), float(intercept)
