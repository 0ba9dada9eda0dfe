"""The posterior of true categories: against the Bayes posterior of known Gaussians, and against what it must not look at."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score

from lexframe.audit import category_posterior as module
from lexframe.audit.category_posterior import NOWHERE, OPEN, fit_posterior, left_out_shares
from lexframe.audit.neighbor_votes import find_neighborhood, votes
from tests.audit.planted import gaussian_items


def audited(points, given, n_categories, **settings):
    return fit_posterior(points, given, n_categories, find_neighborhood(points, 10), **settings)


def test_it_ranks_nearly_as_the_bayes_posterior_does():
    items = gaussian_items(n=1_500, d=10, k=5, spread=1.0, wrong=0.1, seed=0)
    found = audited(items.points, items.given, 5)
    distances = ((items.points[:, np.newaxis] - items.means) ** 2).sum(axis=2)
    bayes = softmax(-0.5 * distances, axis=1)
    # errors are uniform here, so the given label's own posterior ranks best
    best = average_precision_score(items.wrong, -bayes[np.arange(1_500), items.given])
    assert average_precision_score(items.wrong, 1 - found.informed[:, 0]) > 0.97 * best
    assert found.noise.error_rate == pytest.approx(0.1, abs=0.03)


def test_whitening_finds_what_plain_distances_miss():
    items = gaussian_items(n=1_200, d=20, k=6, spread=0.9, wrong=0.08, seed=1, nuisance=8.0)
    found = audited(items.points, items.given, 6)
    means = np.stack([items.points[items.given == k].mean(axis=0) for k in range(6)])
    plain = ((items.points[:, np.newaxis] - means) ** 2).sum(axis=2)
    raw = plain[np.arange(1_200), items.given] - plain.min(axis=1)
    assert average_precision_score(items.wrong, 1 - found.informed[:, 0]) > average_precision_score(items.wrong, raw) + 0.2


def test_an_item_does_not_vote_for_itself():
    """With labels drawn at random, the posterior of an item must not lean to its own label."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 40)).astype(np.float32)
    given = rng.integers(0, 3, 300)
    found = audited(points, given, 3)
    share = np.bincount(given, minlength=3)[given] / 300
    assert np.mean(found.posterior[:, 0] - share) < 0.01


def test_rows_are_distributions_with_the_given_category_first():
    items = gaussian_items(n=400, d=6, k=40, spread=1.2, wrong=0.05, seed=2)
    found = audited(items.points, items.given, 40)
    np.testing.assert_array_equal(found.candidates[:, 0], items.given)
    assert found.candidates.shape[1] == 24
    assert all(len(set(row)) == 24 for row in found.candidates.tolist())
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(found.informed.sum(axis=1), 1, rtol=1e-4)


def test_the_order_and_the_scale_of_items_change_nothing():
    items = gaussian_items(n=300, d=5, k=3, spread=1.0, wrong=0.1, seed=3)
    plain = audited(items.points, items.given, 3).informed[:, 0]
    order = np.random.default_rng(0).permutation(300)
    mixed = audited(items.points[order], items.given[order], 3).informed[:, 0]
    np.testing.assert_allclose(mixed, plain[order], atol=2e-3)
    scaled = audited(np.float32(100) * items.points + np.float32(7), items.given, 3).informed[:, 0]
    np.testing.assert_allclose(scaled, plain, atol=2e-3)


def test_settled_items_count_as_people_settled_them():
    items = gaussian_items(n=300, d=5, k=3, spread=1.0, wrong=0.3, seed=4)
    settled = np.full(300, OPEN)
    wrong = np.flatnonzero(items.wrong)
    settled[wrong] = items.truth[wrong]
    helped = audited(items.points, items.given, 3, settled=settled)
    means = np.stack([items.points[items.truth == k].mean(axis=0) for k in range(3)])
    model = helped.discriminant
    expected = model.whiten(means.astype(np.float32))
    plain = audited(items.points, items.given, 3).discriminant
    assert np.linalg.norm(model.raw_means - expected) < np.linalg.norm(plain.raw_means - plain.whiten(means.astype(np.float32)))


def test_items_of_no_category_leave_the_fit():
    items = gaussian_items(n=200, d=4, k=2, spread=1.0, wrong=0.0, seed=5)
    far = np.concatenate([items.points, np.full((5, 4), 300, np.float32)])
    given = np.concatenate([items.given, np.zeros(5, int)])
    settled = np.full(205, OPEN)
    settled[200:] = NOWHERE
    found = audited(far, given, 2, settled=settled)
    assert found.discriminant.counts.sum() == pytest.approx(200, abs=1e-3)
    np.testing.assert_allclose(found.discriminant.center, items.points.mean(axis=0), atol=1e-4)
    assert found.strangeness[200:].min() > found.strangeness[:200].max()


@pytest.mark.parametrize(("counts", "k"), [((50, 1), 2), ((30, 2, 1, 40), 4), ((3, 3), 2)])
def test_categories_of_one_or_two_members(counts, k):
    rng = np.random.default_rng(0)
    given = np.repeat(np.arange(k), counts)
    points = (rng.normal(size=(len(given), 8)) + 5 * given[:, np.newaxis]).astype(np.float32)
    found = fit_posterior(points, given, k, find_neighborhood(points, min(10, len(given) - 1)))
    assert np.isfinite(found.informed).all()


def test_the_size_of_a_category_does_not_count_the_item_that_is_asked_about():
    """Thirty categories of ten: with the item, its own would be a tenth larger than all others."""
    given = np.arange(300) % 30
    counts, candidates = np.bincount(given).astype(float), np.stack([given, (given + 1) % 30], axis=1).astype(np.int32)
    presence = np.ones(300, np.float32)
    presence[7] = 0  # settled as of no category: it stands in none
    counts[given[7]] -= 1
    shares = left_out_shares(counts, given, presence, candidates)
    for row in (0, 7, 123, 299):
        others = [given[other] for other in range(300) if other not in (row, 7)]
        expected = [(others.count(category) + 1) / (len(others) + 30) for category in candidates[row]]
        np.testing.assert_allclose(shares[row], expected, rtol=1e-12)


@pytest.mark.parametrize(("n", "d", "k"), [(300, 12, 30), (80, 6, 8)])
def test_the_posterior_of_an_item_is_that_of_a_fit_without_it(n, d, k):
    """Up to the weights, found on all items, and the size of the sphere: the item's label is changed, and its posterior stays."""
    rng = np.random.default_rng(0)
    given = np.arange(n) % k
    points = (rng.normal(size=(k, d))[given] + rng.normal(size=(n, d))).astype(np.float32)
    near, row, other = find_neighborhood(points, 10), 5, (given[5] + 1) % k
    results = []
    for label in (given[5], other):
        labels = given.copy()
        labels[row] = label
        found = fit_posterior(points, labels, k, near, settings=(0.4, 1.0))
        order = np.argsort(found.candidates[row])
        near_log = np.log(found.posterior[row, order].astype(np.float64))
        results.append((found.candidates[row, order], near_log, found))
    shared = np.isin(results[0][0], results[1][0])
    first = results[0][1][shared]
    second = results[1][1][np.isin(results[1][0], results[0][0])]
    assert np.abs((first - first.mean()) - (second - second.mean())).max() < 0.25  # a label that counted for itself moves 1 to 3 nats


def test_three_standard_errors_are_needed_to_say_something():
    """The gain over sizes alone, of 100 items with a standard deviation of 1: 0.1 is a standard error."""
    gains = np.random.default_rng(0).normal(size=100)
    gains = (gains - gains.mean()) / gains.std()
    log_prior = np.log(np.full((100, 2), 0.5))
    for mean, says in ((-0.4, False), (0.05, False), (0.29, False), (0.31, True)):
        assert module._says_something(0.5 * np.exp(gains + mean), log_prior) is says


def test_where_every_category_has_one_item_nothing_is_known():
    points = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    found = fit_posterior(points, np.arange(20), 20, find_neighborhood(points, 5))
    assert not found.informative
    assert (found.informed[:, 0] == 1).all()


@pytest.mark.parametrize("settled_as", [None, NOWHERE, 3])
def test_every_term_is_that_of_a_refit_without_the_item(settled_as):
    """Thirty categories of ten. Weights of the two terms and the size of the sphere are those of all items; all else is counted anew."""
    n, d, k, shrinkage, kappa = 300, 12, 30, 0.15, 1.0
    rng = np.random.default_rng(0)
    given = np.arange(n) % k
    points = (1.2 * rng.normal(size=(k, d))[given] + rng.normal(size=(n, d))).astype(np.float32)
    settled, row = np.full(n, OPEN), 5
    settled[40:60] = given[40:60]
    if settled_as is not None:
        settled[row] = settled_as
    near = find_neighborhood(points, 10)
    found = fit_posterior(points, given, k, near, settings=(shrinkage, kappa), settled=settled)
    assert found.informative
    known = np.where(settled >= 0, settled, given)
    placed = settled != NOWHERE
    x = points.astype(np.float64) - points[placed].astype(np.float64).mean(axis=0)

    def within(rows):
        return sum(
            (x[some] - x[some].mean(axis=0)).T @ (x[some] - x[some].mean(axis=0)) for some in (rows & (known == c) for c in range(k))
        )

    for asked in (row, 123, 299):
        others = placed & (np.arange(n) != asked)
        sphere = shrinkage * np.trace(within(placed)) / placed.sum() / d + 1e-6 * (x[placed] ** 2).sum() / placed.sum() / d
        precision = np.linalg.inv((1 - shrinkage) * within(others) / placed.sum() + sphere * np.eye(d))
        counts = np.bincount(known[others], minlength=k)
        means = np.stack([x[others & (known == c)].sum(axis=0) for c in range(k)]) / (counts + kappa)[:, np.newaxis]
        candidates = found.candidates[asked]
        distances = np.array([(x[asked] - means[c]) @ precision @ (x[asked] - means[c]) for c in candidates])
        shares = (counts[candidates] + 1) / (counts.sum() + k)
        assert asked not in near.rows[asked]
        without = np.full((n, 1), 1.0, np.float32) * others[:, np.newaxis]
        voted = votes(near, known[:, np.newaxis].astype(np.int32), without, found.candidates, k, np.tile(shares, (n, 1)))[asked]
        expected = softmax(found.weights[0] * -0.5 * distances + found.weights[1] * voted + np.log(shares))
        np.testing.assert_allclose(found.posterior[asked], expected, rtol=0, atol=1e-6)
        assert found.own_distance[asked] == pytest.approx(distances[candidates == known[asked]].item(), rel=1e-6)
        assert found.nearest_distance[asked] == pytest.approx(distances.min(), rel=1e-6)
