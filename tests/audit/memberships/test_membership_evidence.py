"""What is known of a membership without it: against regressions, votes and counts that are made anew without the item."""

import numpy as np
import pytest
import scipy.sparse
from scipy.special import logit
from sklearn.linear_model import Ridge

from lexframe.audit.discriminant import point_sums
from lexframe.audit.memberships.membership_evidence import gather_evidence
from lexframe.audit.neighbor_votes import PRIOR_VOTES, find_neighborhood


@pytest.fixture
def halves(rng):
    """150 items with two of thirty categories each, ten items a category."""
    first = np.arange(150) % 30
    second = (first + 1 + 3 * (np.arange(150) // 30)) % 30
    member = np.zeros((150, 30), bool)
    member[np.arange(150), first] = member[np.arange(150), second] = True
    means = rng.normal(size=(30, 10))
    points = (means[first] + means[second] + 0.7 * rng.normal(size=(150, 10))).astype(np.float32)
    return points, member


def test_items_in_two_categories_are_left_out_of_both(halves):
    points, member = halves
    assert (member.sum(axis=1) == 2).all()
    given, sums, near = scipy.sparse.csr_array(member), point_sums(points), find_neighborhood(points, 8)
    source = gather_evidence(points, given, near, sums)
    row, category, inside, outside = source.look(np.arange(150))
    alpha = source.ridge.penalty * np.trace(sums.scatter) / points.shape[1]
    x, weights = points.astype(np.float64), source.near.toarray().astype(np.float64)
    for item in range(0, 150, 7):
        rest = np.arange(150) != item
        model = Ridge(alpha=alpha).fit(x[rest], member[rest].astype(np.float64))
        said, counts = model.predict(x[[item]])[0], member[rest].sum(axis=0)
        voted = weights[item, rest] @ member[rest]
        share = (counts + 0.5) / 151
        expected_votes = logit((voted + PRIOR_VOTES * share) / (1 + PRIOR_VOTES)) - logit(share)
        both = np.flatnonzero(row == item)
        assert len(both) == 2
        for pair in both:
            of = category[pair]
            deviation = np.sqrt(model.coef_[of] @ sums.scatter @ model.coef_[of] / 150)
            assert inside.standing[pair] == pytest.approx((said[of] - counts[of] / 149) / deviation, abs=1e-6, rel=1e-6)
            assert inside.votes[pair] == pytest.approx(expected_votes[of], abs=1e-6)
            assert inside.share[pair] == pytest.approx(share[of], rel=1e-12)
        others = np.flatnonzero(~member[item])
        found = counts / 149 + outside.standing[item] * source.ridge.deviations
        np.testing.assert_allclose(found[others], said[others], atol=1e-6)
        np.testing.assert_allclose(outside.votes[item, others], expected_votes[others], atol=1e-6)
