"""What speaks for an item's membership in a category, without the item's own memberships: where it stands, and its neighbors.

Standing is the leave-one-out prediction of a regression in standard deviations. Were it normal with variance one among members
and among the others, the logarithm of the likelihood ratio would follow from how far the two lie apart; that distance is
estimated for each category, without the item, and drawn towards what is usual for as many members.

Standing, votes and shares of a given membership hold nothing of that membership. Separation holds a little: the other members were
judged by regressions that hold the item. On planted data with many small categories that moved it by up to 6% in those of two to
nine members and by about 1% from ten on. Where a category of two to six was the only small one, and so alone decided what is usual
for its size, it moved by up to 40%, and a wrong membership then looks better than it should.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int
from scipy.special import logit

from lexframe.audit.discriminant import PointSums
from lexframe.audit.memberships.membership_ridge import MembershipMatrix, MembershipRidge, fit_ridge
from lexframe.audit.neighbor_votes import PRIOR_VOTES, Neighborhood, neighbor_weights
from lexframe.typing import Points

PRIOR_MEMBERS = 20.0
"""Members that what is usual counts for in a category's separation. From 5 to 100 average precision hardly changes; fewer would let
more of an item's own membership through."""
HALF_KNOWN = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Tried numbers of members at which the separation has reached the root of a half of what more members would give it."""
MAX_SHARE = 1 - 1e-4
SIZE_EXPONENT, MAX_SIZE = 0.75, 0.5
"""Wrong memberships fall on a category by its size to this power: between anywhere (0) and in proportion to size (1)."""


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """What is known of pairs of item and category; arrays of shapes that broadcast.

    Attributes
    ----------
    standing : ndarray
        Leave-one-out prediction, in standard deviations.
    separation : ndarray
        Mean standing of the category's members.
    votes : ndarray
        Log-odds of the category among the neighbors, less those among all items.
    share : ndarray
        Of the other items that are members, in (0, 1).
    wrong_size : ndarray
        Times the rate of wrong memberships: the probability that a wrong one falls on the pair.
    """

    standing: Float[np.ndarray, "..."]
    separation: Float[np.ndarray, "..."]
    votes: Float[np.ndarray, "..."]
    share: Float[np.ndarray, "..."]
    wrong_size: Float[np.ndarray, "..."]

    def kinds(self) -> list[np.ndarray]:
        """Likelihood ratio of two normal distributions of unit variance, their squared distance, standing, votes."""
        squared = self.separation**2
        return [self.separation * self.standing - squared / 2, squared, self.standing, self.votes]

    def log_odds(self, weights: Float[np.ndarray, " n_weights"]) -> Float[np.ndarray, "..."]:
        """Log-odds of membership under weights of an intercept and of :meth:`kinds`."""
        total = weights[0] + logit(self.share)
        for weight, kind in zip(weights[1:], self.kinds(), strict=True):
            total = total + weight * kind
        return np.asarray(total, dtype=np.float64)

    def __getitem__(self, chosen: tuple[np.ndarray, np.ndarray]) -> "PairEvidence":
        """Chosen pairs of a table of all pairs."""
        place, category = chosen
        return PairEvidence(
            self.standing[place, category],
            self.separation[category],
            self.votes[place, category],
            self.share[category],
            self.wrong_size[category],
        )


@dataclass(frozen=True, slots=True)
class EvidenceSource:
    """Regression and neighbors of all items.

    Attributes
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    ridge : MembershipRidge
    standing : scipy.sparse.csr_array, shape (n_items, n_categories)
        Of the given memberships.
    totals : ndarray of shape (n_categories,)
        Their sums.
    usual : (float, float)
        Separation of a category of endlessly many members, and the number of members at which half its square is reached.
    near : scipy.sparse.csr_array, shape (n_items, n_items)
        How much each neighbor counts.
    held : scipy.sparse.csr_array of float32, shape (n_items, n_categories)
    """

    points: Points
    ridge: MembershipRidge
    standing: MembershipMatrix
    totals: Float[np.ndarray, " n_categories"]
    usual: tuple[float, float]
    near: scipy.sparse.csr_array
    held: MembershipMatrix

    def separation(self, members: Float[np.ndarray, " n"], total: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Mean standing of that many members with that sum, drawn towards what is usual for as many."""
        return np.maximum((total + PRIOR_MEMBERS * self.usual_separation(members)) / (members + PRIOR_MEMBERS), 0)

    def usual_separation(self, members: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Standing to expect of a member that is judged by that many others."""
        scale, half = self.usual
        return scale * np.sqrt(members / (members + half))

    def look(self, rows: Int[np.ndarray, " n_rows"]) -> tuple[np.ndarray, np.ndarray, PairEvidence, PairEvidence]:
        """Place in `rows` and category of the given memberships, the evidence on these, and that on all pairs as if not given."""
        own = self.standing[rows]
        row, category = np.repeat(np.arange(len(rows)), np.diff(own.indptr)), own.indices
        near = self.near[rows]
        voted, of_all = (near @ self.held).toarray().astype(np.float64), near.sum(axis=1).astype(np.float64)
        counts, n = self.ridge.counts, self.ridge.n_items
        shares, others = _smoothed_share(counts, n), counts[category] - 1
        share = _smoothed_share(others, n)
        per_size = np.sum(shares) / np.sum(shares**SIZE_EXPONENT * (1 - shares))  # the rate is one of given memberships
        outside = PairEvidence(
            self.ridge.standing_outside(self.points[rows]),
            self.separation(counts, self.totals),
            _votes(voted, of_all[:, np.newaxis], shares),
            shares,
            np.minimum(per_size * shares**SIZE_EXPONENT, MAX_SIZE),
        )
        inside = PairEvidence(
            own.data,
            self.separation(others, self.totals[category] - own.data),
            _votes(voted[row, category], of_all[row], share),
            share,
            np.minimum(per_size * share**SIZE_EXPONENT, MAX_SIZE),
        )
        return row, category, inside, outside


def gather_evidence(
    points: Points, given: MembershipMatrix, neighborhood: Neighborhood, sums: PointSums, *, seed: int = 0
) -> EvidenceSource:
    """Fit the regression, and find how far members of a category stand from the others.

    Parameters
    ----------
    points : ndarray of shape (n_items, n_dims), float32
    given : scipy.sparse.csr_array of bool, shape (n_items, n_categories)
    neighborhood : Neighborhood
    sums : PointSums
        Of the points.
    seed : int
        Draws the items that the penalty is chosen on.

    Returns
    -------
    EvidenceSource
    """
    ridge = fit_ridge(points, given, sums, seed=seed)
    standing = ridge.standing_inside(points, given)
    others = ridge.counts[given.indices] - 1
    fits = []
    for half in HALF_KNOWN:  # the more members, the better the direction is known in which they stand out
        curve = np.sqrt(others / (others + half))
        scale = max(float(curve @ standing) / max(float(curve @ curve), 1e-12), 0.0)
        fits.append((float(np.sum((standing - scale * curve) ** 2)), scale, half))
    return EvidenceSource(
        points=points,
        ridge=ridge,
        standing=scipy.sparse.csr_array((standing, given.indices, given.indptr), shape=given.shape),
        totals=np.bincount(given.indices, weights=standing, minlength=given.shape[1]),
        usual=min(fits)[1:],
        near=neighbor_weights(neighborhood),
        held=given.astype(np.float32),
    )


def _votes(voted: np.ndarray, of_all: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Log-odds among the neighbors less those among all items; 0 without neighbors."""
    smoothed = (voted + PRIOR_VOTES * share) / (of_all + PRIOR_VOTES)
    return np.asarray(logit(np.minimum(smoothed, MAX_SHARE)) - logit(np.minimum(share, MAX_SHARE)))


def _smoothed_share(members: np.ndarray, n_items: int) -> np.ndarray:
    return (members + 0.5) / (n_items + 1)
