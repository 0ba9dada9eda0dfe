"""The closed form of leaving an item out, against refits without it."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.linear_model import Ridge

from lexframe.audit import discriminant
from lexframe.audit.discriminant import point_sums
from lexframe.audit.memberships.membership_ridge import PENALTIES, fit_ridge


@pytest.fixture
def data(rng):
    member = rng.random((40, 6)) < [0.5, 0.3, 0.2, 0.1, 0.0, 1.0]
    member[:, 4] = np.arange(40) == 7  # one member; the last category holds all
    points = (rng.normal(size=(40, 5)) + 3 + member[:, :5]).astype(np.float32)
    return points, scipy.sparse.csr_array(member), point_sums(points)


def refit(points, member, row, alpha):
    """What a regression on all other rows says of this one, and the covariance-free parts of its deviation."""
    rest = np.arange(len(points)) != row
    model = Ridge(alpha=alpha).fit(points[rest].astype(np.float64), member[rest].astype(np.float64))
    return model.predict(points[[row]].astype(np.float64))[0], model.coef_


@pytest.mark.parametrize("penalty", [0.003, 0.3, 3.0])
def test_leaving_out_equals_refits(data, penalty):
    points, given, sums = data
    model = fit_ridge(points, given, sums, penalty=penalty)
    member = given.toarray()
    alpha = penalty * np.trace(sums.scatter) / points.shape[1]
    outside = model.standing_outside(points)
    inside = scipy.sparse.csr_array((model.standing_inside(points, given), given.indices, given.indptr), shape=given.shape).toarray()
    checked = 0
    for row in range(len(points)):
        said, coefficients = refit(points, member, row, alpha)
        for category in range(4):
            others = (member[:, category].sum() - member[row, category]) / (len(points) - 1)
            if member[row, category]:
                weights = coefficients[category]
                deviation = np.sqrt(weights @ sums.scatter @ weights / len(points))
                assert inside[row, category] == pytest.approx((said[category] - others) / deviation, rel=2e-4, abs=2e-5)
                checked += 1
            else:
                found = others + outside[row, category] * model.deviations[category]
                assert found == pytest.approx(said[category], rel=2e-4, abs=2e-6)
    assert checked > 30


def test_the_penalty_with_the_least_error_is_chosen(data):
    points, given, sums = data
    member = given.toarray()

    def error(penalty):
        alpha = penalty * np.trace(sums.scatter) / points.shape[1]
        return sum(np.sum((member[row] - refit(points, member, row, alpha)[0]) ** 2) for row in range(len(points)))

    errors = [error(penalty) for penalty in PENALTIES]
    assert fit_ridge(points, given, sums).penalty == PENALTIES[int(np.argmin(errors))]
    assert 0 < int(np.argmin(errors)) < len(PENALTIES) - 1  # the grid reaches beyond


def test_nothing_is_said_where_nothing_is_known(data):
    points, given, sums = data
    model = fit_ridge(points, given, sums)
    inside = model.standing_inside(points, given)
    assert not inside[given.indices == 4].any()  # without the only member there is none
    assert not inside[given.indices == 5].any()
    assert not model.standing_outside(points)[:, 5].any()
    assert np.isfinite(model.standing_outside(points)).all()


def test_equal_points_say_nothing(data):
    _, given, _ = data
    points = np.full((40, 5), 0.1, dtype=np.float32)
    model = fit_ridge(points, given, point_sums(points))
    assert np.abs(model.standing_outside(points)).max() < 1e-2
    assert np.abs(model.standing_inside(points, given)).max() < 1e-2


def test_blocks_change_nothing(data, monkeypatch):
    points, given, sums = data
    whole = fit_ridge(points, given, sums)
    monkeypatch.setattr(discriminant, "BLOCK_NUMBERS", 60)
    pieces = fit_ridge(points, given, sums)
    assert pieces.penalty == whole.penalty
    np.testing.assert_allclose(pieces.coefficients, whole.coefficients, atol=1e-6)
    np.testing.assert_allclose(pieces.standing_inside(points, given), whole.standing_inside(points, given), atol=1e-5)
