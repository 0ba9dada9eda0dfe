"""Memberships that are wrong or missing, where it is known which are."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from scipy.special import expit
from sklearn.metrics import average_precision_score

from lexframe.audit import discriminant
from lexframe.audit.discriminant import point_sums
from lexframe.audit.memberships.membership_evidence import gather_evidence
from lexframe.audit.memberships.membership_posterior import START, _fit_pool, _pairs_to_pool, _pool_loss, fit_memberships
from lexframe.audit.memberships.membership_ridge import fit_ridge
from lexframe.audit.neighbor_votes import Neighborhood, find_neighborhood, neighbor_weights
from lexframe.exceptions import InputError

K = 15


def planted(seed, n=2000, *, n_dims=48, error=0.05, most=3):
    """Mixtures of one to `most` topics with noise in few strong directions; the truth, and what is given."""
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(K, n_dims))
    topics /= np.linalg.norm(topics, axis=1, keepdims=True)
    rank = np.argsort(np.log(rng.random((n, K))) * np.arange(1, K + 1) ** 0.5, axis=1)[:, ::-1]  # the first topics come more often
    count = rng.integers(1, most + 1, n)
    truth = np.zeros((n, K), dtype=bool)
    share = np.zeros((n, K))
    for place in range(most):
        rows = np.flatnonzero(count > place)
        truth[rows, rank[rows, place]] = True
        share[rows, rank[rows, place]] = rng.gamma(4, size=len(rows))
    share *= np.sqrt(count / share.sum(axis=1) ** 2)[:, np.newaxis]
    loud = rng.normal(size=(5, n_dims)) / np.sqrt(n_dims)
    points = share @ topics + 0.12 * rng.normal(size=(n, n_dims)) + rng.normal(size=(n, 5)) @ loud
    given = truth.copy()
    n_errors = round(error * truth.sum())
    given.ravel()[rng.choice(np.flatnonzero(truth), n_errors, replace=False)] = False
    given.ravel()[rng.choice(np.flatnonzero(~truth), n_errors, replace=False)] = True
    return points.astype(np.float32), truth, given


def audit(points, given, **options):
    return fit_memberships(points, scipy.sparse.csr_array(given), find_neighborhood(points, 15), **options)


def calibration_error(probability, happened):
    place = np.minimum((probability * 10).astype(int), 9)
    return sum(abs(probability[place == b].sum() - happened[place == b].sum()) for b in range(10)) / len(probability)


@pytest.fixture(scope="module")
def example():
    points, truth, given = planted(0)
    return points, truth, given, audit(points, given)


def test_both_lists_beat_their_ingredients(example):
    points, truth, given, found = example
    wrong = ~truth[given]
    missing = truth[found.missing_rows, found.missing_categories]
    sparse = scipy.sparse.csr_array(given)
    votes = neighbor_weights(find_neighborhood(points, 15)) @ given.astype(np.float32)
    ridge = fit_ridge(points, sparse, point_sums(points))
    standing = ridge.standing_outside(points)
    standing[given] = ridge.standing_inside(points, sparse)
    by_ridge, by_votes = (average_precision_score(wrong, -scores[given]) for scores in (standing, votes))
    assert average_precision_score(wrong, found.given_wrong) > max(by_ridge, by_votes) + 0.05
    by_ridge, by_votes = (average_precision_score(truth[~given], scores[~given]) for scores in (standing, votes))
    # What is no candidate counts as found last.
    reached = missing.sum() / (truth & ~given).sum()
    assert reached > 0.98
    assert average_precision_score(missing, found.missing_probability) * reached > max(by_ridge, by_votes) + 0.03


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_probabilities_are_what_happens(seed):
    points, truth, given = planted(seed)
    found = audit(points, given)
    missing = truth[found.missing_rows, found.missing_categories]
    assert calibration_error(found.given_wrong, ~truth[given]) <= 0.03
    assert calibration_error(found.missing_probability, missing) <= 0.01
    likely = found.missing_probability > 0.1  # the rest is easy
    assert calibration_error(found.missing_probability[likely], missing[likely]) <= 0.15
    assert calibration_error(found.reconsider, (truth != given).any(axis=1)) <= 0.05
    assert calibration_error(found.given_posterior, truth[given]) <= 0.5
    assert found.wrong_rate == pytest.approx(0.05, abs=0.025)
    assert found.missing_rate == pytest.approx(0.05, abs=0.02)


def test_form_of_the_lists(example):
    _, _, given, found = example
    assert len(found.given_wrong) == len(found.given_posterior) == given.sum()
    assert (np.diff(found.missing_probability) <= 0).all()
    assert not given[found.missing_rows, found.missing_categories].any()
    assert np.unique(found.missing_rows * K + found.missing_categories).size == len(found.missing_rows)
    assert (np.bincount(found.missing_rows) == np.minimum(8, K - given.sum(axis=1))).all()
    right = np.ones(len(given))
    np.multiply.at(right, np.nonzero(given)[0], 1 - found.given_wrong.astype(float))
    np.multiply.at(right, found.missing_rows, 1 - found.missing_probability.astype(float))
    np.testing.assert_allclose(found.reconsider, 1 - right, atol=1e-5)
    assert json.loads(json.dumps(found.to_dict()))["missing_rate"] == found.missing_rate
    assert len(found.to_dict()["missing_rows"]) == len(found.missing_rows)


def test_bayes_rule(example):
    """P(wrong | given) by counting what the two rates make of the posterior."""
    _, _, given, found = example
    share = (given.sum(axis=0) + 0.5) / (len(given) + 1)
    own = (given.sum(axis=0) - 0.5) / (len(given) + 1)
    per_size = share.sum() / np.sum(share**0.75 * (1 - share))
    wrongly = found.wrong_rate * (per_size * own**0.75)[np.nonzero(given)[1]]
    member = found.given_posterior.astype(float)
    expected = (1 - member) * wrongly / ((1 - member) * wrongly + member * (1 - found.missing_rate))
    sure = member < 0.99999  # what float32 keeps of one minus it
    np.testing.assert_allclose(found.given_wrong[sure], expected[sure], rtol=2e-2, atol=1e-6)


@pytest.mark.parametrize("is_right", [True, False])
def test_an_item_hardly_speaks_for_itself(example, is_right):
    """What is known of a given membership is what would be known if it were not given; see membership_evidence for the rest."""
    points, truth, given, _ = example
    neighborhood, sums = find_neighborhood(points, 15), point_sums(points)
    members = np.flatnonzero(truth[:, 0] & given[:, 0])
    row = int(members[0] if is_right else np.flatnonzero(~truth[:, 0])[0])
    fewer = given.copy()
    fewer[:, 0] = False
    fewer[members[-12:], 0] = True
    more = fewer.copy()
    more[row, 0] = True
    source, without = (gather_evidence(points, scipy.sparse.csr_array(table), neighborhood, sums) for table in (more, fewer))
    _, categories, inside, _ = dataclasses.replace(source, usual=without.usual).look(np.array([row]))
    _, _, _, outside = without.look(np.array([row]))
    place = int(np.flatnonzero(categories == 0)[0])
    assert inside.standing[place] == pytest.approx(outside.standing[0, 0], abs=0.1)  # the deviation outside holds the item
    assert inside.votes[place] == pytest.approx(outside.votes[0, 0], rel=1e-5)
    assert inside.share[place] == pytest.approx(outside.share[0], rel=1e-12)
    assert inside.separation[place] == pytest.approx(outside.separation[0], rel=0.04)


def test_weights_and_rates_are_recovered(rng):
    n = 200_000
    kinds = np.column_stack([np.ones(n), 2 * rng.normal(size=(n, 4))])
    offset, size = rng.normal(-2, 0.5, n), rng.uniform(0.1, 0.5, n)
    weights, wrong, missing = np.array([0.3, 1.0, -0.4, 0.8, 0.0]), 0.2, 0.1
    member = rng.random(n) < expit(kinds @ weights + offset)
    given = np.where(member, rng.random(n) > missing, rng.random(n) < wrong * size)
    weight = np.where(given, 1.0, 4.0)
    kept = given | (rng.random(n) < 0.25)  # some stand for the others
    found = _fit_pool(kinds[kept], offset[kept], size[kept], given[kept], weight[kept])
    np.testing.assert_allclose(found[0], weights, atol=0.06)
    assert found[1:] == (pytest.approx(wrong, abs=0.02), pytest.approx(missing, abs=0.02))


def test_the_gradient_is_that_of_the_loss(rng):
    kinds, size = rng.normal(size=(50, 5)), rng.uniform(0.1, 0.5, 50)
    data = kinds, rng.normal(size=50), size, rng.random(50) < 0.4, rng.uniform(1, 5, 50)
    for values in START + rng.normal(size=(5, 7)):
        numeric = scipy.optimize.approx_fprime(values, lambda v: _pool_loss(v, *data)[0], 1e-7)
        np.testing.assert_allclose(_pool_loss(values, *data)[1], numeric, atol=1e-5)


def test_drawn_pairs_stand_for_all(rng):
    given = rng.random((100, 60)) < 0.05
    points = rng.normal(size=(100, 8)).astype(np.float32)
    source = gather_evidence(points, scipy.sparse.csr_array(given), find_neighborhood(points, 5), point_sums(points))
    *_, is_given, weight = _pairs_to_pool(source, 8, 0)
    assert weight[is_given].sum() == given.sum()
    assert weight[~is_given].sum() == pytest.approx((~given).sum())


def test_single_labels():
    points, truth, given = planted(4, most=1)
    assert (truth.sum(axis=1) == 1).all()
    found = audit(points, given)
    assert average_precision_score(~truth[given], found.given_wrong) > 0.9
    n_missing = int((truth & ~given).sum())
    assert truth[found.missing_rows, found.missing_categories][:n_missing].mean() > 0.85


def test_shuffled_memberships_surprise_nobody(example):
    points, _, given, _ = example
    shuffled = given[np.random.default_rng(1).permutation(len(given))]
    found = audit(points, shuffled)
    assert found.given_wrong.max() < 0.35
    np.testing.assert_allclose(np.median(found.given_wrong), found.wrong_rate, atol=0.02)
    assert found.missing_probability.max() < 0.1
    share = shuffled.mean(axis=0)[np.nonzero(shuffled)[1]]
    assert np.median(np.abs(found.given_posterior - share)) < 0.05


def test_odd_categories_and_items():
    points, truth, given = planted(5, n=400)
    given[:, 3] = True
    given[:, 4] = np.arange(400) == 11
    given[:, 5] = False
    given[20:30] = False
    given[20, 3] = True
    found = audit(points, given)
    assert np.isfinite(found.reconsider).all()
    assert np.isfinite(found.given_wrong).all()
    wrong = scipy.sparse.csr_array((found.given_wrong, np.nonzero(given)), shape=given.shape).toarray()
    assert wrong[given[:, 3], 3].max() < 0.3
    assert wrong[11, 4] < 0.5  # nothing is known of it without its only member
    assert (np.bincount(found.missing_rows, minlength=400)[21:30] == 8).all()  # without any membership
    assert found.missing_probability[found.missing_categories == 5].max(initial=0) < 0.1
    best = {int(row): int(category) for row, category in list(zip(found.missing_rows, found.missing_categories, strict=True))[::-1]}
    assert np.mean([best[row] == 3 or truth[row, best[row]] for row in range(21, 30)]) > 0.7


@pytest.mark.parametrize("points", [np.ones((30, 4), np.float32), np.eye(30, 40, dtype=np.float32)], ids=["equal", "few and wide"])
def test_points_that_say_nothing(points):
    found = audit(points, np.eye(3, dtype=bool)[np.arange(30) % 3])
    assert np.isfinite(found.reconsider).all()
    assert found.given_wrong.max() < 0.3


def test_one_category_that_holds_all():
    points, _, _ = planted(6, n=50)
    found = audit(points, np.ones((50, 1), dtype=bool))
    assert len(found.missing_rows) == 0
    assert found.given_wrong.max() < 0.1


def test_without_neighbours(example):
    points, truth, given, _ = example
    nobody = Neighborhood(np.full((len(points), 2), -1, np.int64), np.full((len(points), 2), np.nan, np.float32))
    sparse = scipy.sparse.csr_array(given)
    _, _, inside, outside = gather_evidence(points, sparse, nobody, point_sums(points)).look(np.arange(50))
    np.testing.assert_allclose(np.concatenate([inside.votes, outside.votes.ravel()]), 0, atol=1e-12)
    found = fit_memberships(points, sparse, nobody)
    assert average_precision_score(~truth[given], found.given_wrong) > 0.5


def test_order_and_blocks_change_nothing(example, monkeypatch):
    points, _, given, found = example
    sparse = scipy.sparse.csr_array(given)
    turned = sparse.copy()
    for row in range(len(points)):
        turned.indices[turned.indptr[row] : turned.indptr[row + 1]] = turned.indices[turned.indptr[row] : turned.indptr[row + 1]][::-1]
    turned.has_sorted_indices = False
    monkeypatch.setattr(discriminant, "BLOCK_NUMBERS", 100_000)
    again = fit_memberships(points, turned, find_neighborhood(points, 15))
    assert not np.array_equal(turned.indices, sparse.indices)
    back = scipy.sparse.csr_array((again.given_wrong, turned.indices, turned.indptr), shape=given.shape).toarray()[given]
    np.testing.assert_allclose(back, found.given_wrong, atol=0.02)
    assert np.mean(again.missing_rows[:50] == found.missing_rows[:50]) > 0.8


def test_bad_input():
    points, _, given = planted(7, n=60)
    sparse, neighborhood = scipy.sparse.csr_array(given), find_neighborhood(points, 5)
    broken = points.copy()
    broken[17, 2] = np.nan
    stored = sparse.copy()
    stored.data[3] = False
    twice = scipy.sparse.csr_array((np.ones(2, bool), np.array([1, 1]), np.r_[0, 0, np.full(59, 2)]), shape=(60, K))
    for arguments, message in (
        ((points[:50], sparse, neighborhood), "50 points, 60 rows of memberships"),
        ((points, sparse, find_neighborhood(points[:40], 5)), "neighbors of 40 items"),
        ((points, sparse.tocsc(), neighborhood), "csc matrix.*tocsr"),
        ((broken, sparse, neighborhood), "Row 17 .* NaN"),
        ((points, stored, neighborhood), "eliminate_zeros"),
        ((points, twice, neighborhood), "Item 1 is in one category twice"),
        ((points, scipy.sparse.csr_array((60, K), dtype=bool), neighborhood), "No item belongs"),
        ((points[:1], sparse[:1], Neighborhood(neighborhood.rows[:1], neighborhood.similarity[:1])), "two or more"),
    ):
        with pytest.raises(InputError, match=message):
            fit_memberships(*arguments)
    with pytest.raises(InputError, match="n_candidates is 0"):
        fit_memberships(points, sparse, neighborhood, n_candidates=0)
