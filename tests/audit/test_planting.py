"""Wrong labels planted into the data at hand."""

import numpy as np
import pytest

from lexframe.audit.category_posterior import OPEN, fit_posterior
from lexframe.audit.neighbor_votes import find_neighborhood
from lexframe.audit.planting import planted_check
from lexframe.verdicts import Worth
from tests.audit.planted import gaussian_items


@pytest.fixture
def checked():
    items = gaussian_items(n=1_000, d=8, k=4, spread=1.2, wrong=0.05, seed=0)
    near = find_neighborhood(items.points, 10)
    found = fit_posterior(items.points, items.given, 4, near)
    return items, near, found, planted_check(items.points, items.given, near, found)


def test_most_planted_labels_are_found_early(checked):
    _, _, _, check = checked
    assert check.n_planted == 100  # two plantings of a twentieth
    assert check.n_draws == 2
    at = np.searchsorted(check.reviews, 150)
    assert check.found[at] > 0.7
    assert check.found[-1] == pytest.approx(1)
    assert (np.diff(check.found) >= 0).all()


def test_recall_is_held_against_chance(checked):
    items, near, _, check = checked
    assert check.recall > 0.5
    assert check.chance == pytest.approx(50 / 950, abs=0.005)
    assert check.gain.value == pytest.approx(check.recall - check.chance, abs=0.01)
    assert check.verdict().worth is Worth.HOLDS
    assert f"{check.recall:.0%}" in check.summary()
    shuffled = np.random.default_rng(0).permutation(items.given)
    lost = planted_check(items.points, shuffled, near, fit_posterior(items.points, shuffled, 4, near))
    assert lost.verdict().worth is not Worth.HOLDS
    assert lost.recall < 0.2


def test_labels_that_cannot_be_moved_are_said():
    points = np.eye(4, dtype=np.float32)
    near = find_neighborhood(points, 2)
    check = planted_check(points, np.arange(4), near, fit_posterior(points, np.arange(4), 4, near))  # each alone in its category
    assert check.n_planted == 0
    assert check.verdict().worth is Worth.UNSURE
    assert check.to_dict()["recall"] is None


def test_items_that_people_have_settled_are_not_moved(checked):
    items, near, found, _ = checked
    settled = items.truth.copy()
    settled[:100] = OPEN
    check = planted_check(items.points, items.given, near, found, settled=settled, rate=1.0)
    assert 50 < check.n_planted / check.n_draws <= 100
