"""Wrong labels planted into the data at hand."""

import numpy as np
import pytest

from lexframe.audit.category_posterior import OPEN, fit_posterior
from lexframe.audit.neighbor_votes import find_neighborhood
from lexframe.audit.planting import planted_check
from tests.audit.planted import gaussian_items


@pytest.fixture
def checked():
    items = gaussian_items(n=1_000, d=8, k=4, spread=1.2, wrong=0.05, seed=0)
    near = find_neighborhood(items.points, 10)
    found = fit_posterior(items.points, items.given, 4, near)
    return items, near, found, planted_check(items.points, items.given, near, found)


def test_most_planted_labels_are_found_early(checked):
    _, _, _, check = checked
    assert 30 < check.n_planted < 90
    at = np.searchsorted(check.reviews, 150)
    assert check.found[at] > 0.7
    assert check.found[-1] == pytest.approx(1)
    assert (np.diff(check.found) >= 0).all()


def test_the_correction_keeps_the_order_and_is_small_where_probabilities_hold(checked):
    _, _, found, check = checked
    probability = 1 - found.informed[:, 0].astype(float)
    after = check.corrected(probability)
    order = np.argsort(probability)
    assert (np.diff(after[order]) >= -1e-12).all()
    assert np.abs(after - probability).mean() < 0.05


def test_overconfident_probabilities_are_drawn_in(checked):
    items, near, found, _ = checked
    check = planted_check(items.points, np.random.default_rng(0).permutation(items.given), near, found, rate=0.1)
    assert np.isfinite([check.slope, check.intercept]).all()
    assert check.to_dict()["n_planted"] == check.n_planted


def test_items_that_people_have_settled_are_not_moved(checked):
    items, near, found, _ = checked
    settled = items.truth.copy()
    settled[:100] = OPEN
    check = planted_check(items.points, items.given, near, found, settled=settled, rate=1.0)
    assert 50 < check.n_planted <= 100
