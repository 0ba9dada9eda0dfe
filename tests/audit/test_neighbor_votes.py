"""Votes of the nearest other items."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from lexframe.audit import neighbor_votes as module
from lexframe.audit.neighbor_votes import SIMILARITY_SCALE, Neighborhood, find_neighborhood, neighbor_weights, votes


def test_neighbours_are_those_of_scikit_learn(rng):
    points = rng.normal(size=(200, 8)).astype(np.float32)
    found = find_neighborhood(points, 5)
    _, expected = (
        NearestNeighbors(n_neighbors=6, metric="cosine").fit(points - points.mean(axis=0)).kneighbors(points - points.mean(axis=0))
    )
    np.testing.assert_array_equal(np.sort(found.rows), np.sort(expected[:, 1:]))
    assert not (found.rows == np.arange(200)[:, np.newaxis]).any()


def test_copies_that_crowd_an_item_out_of_its_own_neighbors_do_no_harm():
    points = np.concatenate([np.ones((30, 3)), -np.ones((30, 3))]).astype(np.float32)
    found = find_neighborhood(points, 4)
    assert found.rows.shape == (60, 4)
    assert ((found.rows < 30) == (np.arange(60) < 30)[:, np.newaxis]).all()


def test_where_an_item_is_not_among_its_own_neighbors_the_farthest_goes():
    rows, scores = np.array([[5, 6, 7], [1, 8, 9]]), np.array([[0.9, 0.8, 0.7], [1.0, 0.6, 0.5]], np.float32)
    found = module._without_self(rows, scores, 2)
    np.testing.assert_array_equal(found.rows, [[5, 6], [8, 9]])
    np.testing.assert_array_equal(found.similarity, np.array([[0.9, 0.8], [0.6, 0.5]], np.float32))


def test_the_graph_finds_what_the_exact_search_finds(rng, monkeypatch):
    points = (rng.normal(size=(3_000, 12)) @ rng.normal(size=(12, 160))).astype(np.float32)
    exact = find_neighborhood(points, 10)
    monkeypatch.setattr(module, "MOST_EXACT_ROWS", 100)
    found = find_neighborhood(points, 10)
    same = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(exact.rows, found.rows, strict=True)])
    assert same > 0.95
    both = exact.rows[:, 0] == found.rows[:, 0]
    np.testing.assert_allclose(found.similarity[both, 0], exact.similarity[both, 0], atol=1e-5)


def test_votes_by_hand():
    near = Neighborhood(np.array([[1, 2], [0, 2], [0, 1]]), np.array([[0.9, 0.8], [0.9, 0.5], [0.8, 0.5]], np.float32))
    y = np.array([[0], [0], [1]])
    prior = np.full((3, 2), 0.5)
    asked = np.tile([[0, 1]], (3, 1))
    found = votes(near, y, np.ones((3, 1)), asked, 2, prior)
    second = np.exp((0.8 - 0.9) / SIMILARITY_SCALE)
    share = 1 / (1 + second)  # of row 1, which is in category 0
    expected = np.log([(share + 0.1) / 0.6, (1 - share + 0.1) / 0.6])
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_missing_neighbours_do_not_vote():
    near = Neighborhood(np.array([[1, -1], [0, -1]]), np.array([[0.5, np.nan], [0.5, np.nan]], np.float32))
    np.testing.assert_allclose(neighbor_weights(near).toarray(), [[0, 1], [1, 0]])


@pytest.mark.parametrize("n_categories", [2, 40])
def test_the_votes_of_all_categories_are_a_distribution(rng, n_categories):
    points = rng.normal(size=(80, 4)).astype(np.float32)
    y = rng.integers(0, n_categories, (80, 1))
    prior = np.full((80, n_categories), 1 / n_categories)
    asked = np.tile(np.arange(n_categories), (80, 1))
    found = votes(find_neighborhood(points, 7), y, np.ones((80, 1)), asked, n_categories, prior)
    np.testing.assert_allclose((np.exp(found) * prior).sum(axis=1), 1, rtol=1e-4)
