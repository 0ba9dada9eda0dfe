"""Leaving an item out in closed form, against fitting without it."""

import numpy as np
import pytest
import scipy.linalg

from lexframe.audit import discriminant as module
from lexframe.audit.discriminant import fit_discriminant, point_sums, weighted_sums


def fitted(points, categories, weights, n_categories, **settings):
    sums = point_sums(points)
    totals, counts = weighted_sums(points, sums.center, categories, weights, n_categories)
    return fit_discriminant(sums, totals, counts, **settings)


def slow_distances(points, categories, weights, n_categories, left_out, *, groups, shrinkage, kappa):
    """All sums anew without row `left_out`; the sphere's size and the divisor stay those of all items, as the docstring says."""
    n, d = points.shape
    center = points.mean(axis=0, dtype=np.float64)
    x = points - center

    def means_and_scatter(dropped):
        held = weights.copy()
        if dropped is not None:
            held[dropped, 0] = 0
        counts = np.array([held[categories == k].sum() for k in range(n_categories)])
        sums = np.array([sum((held[i, j] * x[i] for i in range(n) for j in range(held.shape[1]) if categories[i, j] == k), np.zeros(d))
                         for k in range(n_categories)])  # fmt: skip
        means = sums / np.maximum(counts, 1e-9)[:, np.newaxis]
        within = sum(
            held[i, j] * np.outer(x[i] - means[categories[i, j]], x[i] - means[categories[i, j]])
            for i in range(n) for j in range(held.shape[1])
        )  # fmt: skip
        return counts, sums, within

    _, _, all_within = means_and_scatter(None)
    counts, sums, within = means_and_scatter(left_out)
    least = 1e-6 * (x**2).sum() / n / d
    covariance = (1 - shrinkage) * within / n + (shrinkage * np.trace(all_within) / n / d + least) * np.eye(d)
    means = []
    for k in range(n_categories):
        prior = np.zeros(d)
        if groups is not None:
            siblings = [other for other in range(n_categories) if groups[other] == groups[k] and other != k]
            total = counts[siblings].sum() + kappa + 1e-9
            prior = sums[siblings].sum(axis=0) / total
        means.append((sums[k] + kappa * prior) / (counts[k] + kappa))
    precision = scipy.linalg.inv(covariance)
    return np.array([(x[left_out] - mean) @ precision @ (x[left_out] - mean) for mean in means])


@pytest.mark.parametrize("groups", [None, np.array([0, 0, 1, 1])])
@pytest.mark.parametrize("shrinkage", [0.1, 0.6])
def test_an_item_left_out_is_the_fit_without_it(rng, groups, shrinkage):
    n, d, k = 40, 5, 4
    points = rng.normal(size=(n, d)).astype(np.float32) + 3 * rng.normal(size=(k, d))[np.arange(n) % k].astype(np.float32)
    categories = (np.arange(n) % k)[:, np.newaxis]
    weights = np.ones((n, 1))
    settings = {"groups": groups, "shrinkage": shrinkage, "kappa": 2.0}
    model = fitted(points, categories, weights, k, **settings)
    fast = model.distances(model.whiten(points), categories[:, 0])
    for row in (0, 7, 26, 39):
        slow = slow_distances(points, categories, weights, k, row, **settings)
        if groups is not None:  # means of siblings still hold the item: one in ten of a sibling's mean, not of its own
            own = categories[row, 0]
            np.testing.assert_allclose(fast[row, own], slow[own], rtol=1e-6)
        else:
            np.testing.assert_allclose(fast[row], slow, rtol=1e-6)


@pytest.mark.parametrize(("n", "d", "k", "shrinkage"), [(18, 60, 3, 0.05), (300, 20, 30, 0.05), (12, 200, 2, 0.15), (20, 8, 10, 0.4)])
def test_left_out_exactly_where_items_are_few_and_dimensions_many(rng, n, d, k, shrinkage):
    """An item then spans a direction of its own: a thousandth of its distance is left in the covariance that holds it."""
    points = rng.normal(size=(n, d)).astype(np.float32)
    categories, weights = (np.arange(n) % k)[:, np.newaxis], np.ones((n, 1))
    settings = {"groups": None, "shrinkage": shrinkage, "kappa": 1.0}
    model = fitted(points, categories, weights, k, **settings)
    fast = model.distances(model.whiten(points), categories[:, 0])
    for row in (0, n // 2, n - 1):
        np.testing.assert_allclose(fast[row], slow_distances(points, categories, weights, k, row, **settings), rtol=1e-6)


def test_weights_below_one_are_taken_out_as_they_were_put_in(rng):
    n, d, k = 30, 4, 2
    points = rng.normal(size=(n, d)).astype(np.float32)
    categories = np.stack([np.arange(n) % k, (np.arange(n) + 1) % k], axis=1)
    weights = np.full((n, 2), [1.0, 0.0])
    weights[4] = [0.7, 0.3]  # the three tenths in the other category stay
    settings = {"groups": None, "shrinkage": 0.2, "kappa": 1.0}
    model = fitted(points, categories, weights, k, **settings)
    fast = model.distances(model.whiten(points[4:5]), categories[4:5, 0], weights[4:5, 0])
    np.testing.assert_allclose(fast[0], slow_distances(points, categories, weights, k, 4, **settings), rtol=1e-6)


def test_without_an_own_category_it_is_the_mahalanobis_distance(rng):
    points = rng.normal(size=(60, 3)).astype(np.float32) * [1, 4, 9]
    points = points.astype(np.float32)
    y = np.arange(60) % 2
    model = fitted(points, y[:, np.newaxis], np.ones((60, 1)), 2, shrinkage=1e-9, kappa=1e-9)
    means = np.array([points[y == k].mean(axis=0) for k in range(2)])
    within = sum((points[y == k] - means[k]).T @ (points[y == k] - means[k]) for k in range(2)) / 60
    expected = [[(x - m) @ np.linalg.inv(within) @ (x - m) for m in means] for x in points.astype(float)]
    np.testing.assert_allclose(model.distances(model.whiten(points)), expected, rtol=1e-3)


def test_blocks_change_nothing(rng, monkeypatch):
    points = rng.normal(size=(50, 6)).astype(np.float32)
    y = (np.arange(50) % 3)[:, np.newaxis]
    whole = fitted(points, y, np.ones((50, 1)), 3)
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 20)
    parts = fitted(points, y, np.ones((50, 1)), 3)
    np.testing.assert_allclose(parts.means, whole.means, atol=1e-4)


def test_siblings_draw_a_category_of_one_item(rng):
    points = np.concatenate([rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + 20, [[5.0, 5.0]]]).astype(np.float32)
    y = np.repeat([0, 1, 2], [30, 30, 1])[:, np.newaxis]
    ones = np.ones((61, 1))
    alone = fitted(points, y, ones, 3, kappa=4.0)
    under = fitted(points, y, ones, 3, kappa=4.0, groups=np.array([0, 1, 1]))
    assert np.linalg.norm(under.means[2] - under.means[1]) < np.linalg.norm(alone.means[2] - alone.means[1])


def test_a_lone_member_stays_finite(rng):
    points = rng.normal(size=(9, 20)).astype(np.float32)
    y = np.repeat([0, 1], [8, 1])
    model = fitted(points, y[:, np.newaxis], np.ones((9, 1)), 2, shrinkage=0.05)
    assert np.isfinite(model.distances(model.whiten(points), y)).all()


def test_categories_without_spread_have_a_factor_all_the_same(rng):
    points = np.repeat(rng.normal(size=(2, 300)), 6, axis=0).astype(np.float32)
    y = np.repeat([0, 1], 6)
    model = fitted(points, y[:, np.newaxis], np.ones((12, 1)), 2, shrinkage=0.05)
    found = model.distances(model.whiten(points), y)
    assert np.isfinite(found).all()
    assert (found[np.arange(12), y] < found[np.arange(12), 1 - y]).all()
    factor = module._cholesky(np.diag([1.0, 0.0, -1e-12]), 1e-6)
    np.testing.assert_allclose(factor @ factor.T, np.diag([1, 1e-6, 1e-6]), atol=1e-12)
