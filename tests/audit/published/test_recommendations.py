import json

import numpy as np
import pytest

from lexframe.audit.published.recommendations import published_recommendations
from lexframe.audit.published.reconsideration import category_extent, published_reconsideration
from lexframe.exceptions import InputError
from lexframe.latents.neighbors import NeighborIndex


@pytest.fixture
def labeled(rng):
    given = rng.integers(-1, 7, 600)
    given[given == 3] = 2  # 3 is empty
    return (rng.normal(size=(8, 12))[given] + rng.normal(size=(600, 12)) + 5).astype(np.float32), given


def slow(points, table, category, n_candidates, quantile):
    """One category with all distances."""
    points = points.astype(np.float64)
    member = table[:, category]
    distances = np.linalg.norm(points - points[member].mean(axis=0), axis=1)
    rows = np.flatnonzero(~member)
    rows = rows[np.argsort(distances[rows], kind="stable")][:n_candidates]
    extent = category_extent(distances[member], quantile=quantile)
    return rows, distances[rows], published_reconsideration(distances[rows], extent, population=distances[~member])


@pytest.mark.parametrize("quantile", [0.5, 0.9, 1.0])
def test_every_category_against_all_distances(labeled, quantile):
    points, given = labeled
    table = given[:, np.newaxis] == np.arange(7)
    found = published_recommendations(points, given, 7, n_candidates=30, quantile=quantile)
    assert [entry.category for entry in found] == list(range(7))
    assert (found[3].n_members, len(found[3].rows), found[3].rp) == (0, 0, None)
    for entry in found:
        if entry.category == 3:
            continue
        rows, distances, rp = slow(points, table, entry.category, 30, quantile)
        np.testing.assert_array_equal(entry.rows, rows)
        np.testing.assert_allclose(entry.distances, distances, rtol=1e-6)
        np.testing.assert_allclose(entry.rp.raw, rp.raw, rtol=1e-4)
        np.testing.assert_allclose(entry.rp.guarded, rp.guarded, rtol=1e-4)
        assert (entry.rp.quantile, entry.n_members) == (rp.quantile, table[:, entry.category].sum())
        assert (np.diff(entry.rp.guarded) <= 0).all()


@pytest.mark.parametrize("most", [40, 4096])
def test_rows_in_several_categories_and_large_ones(rng, monkeypatch, most):
    """Large categories are excluded by the index, small ones found and dropped: the same rows."""
    monkeypatch.setattr("lexframe.audit.published.recommendations._MAX_NEIGHBORS", most)
    monkeypatch.setattr("lexframe.audit.published.recommendations._FOUND_AT_ONCE", 100)
    points, table = rng.normal(size=(200, 5)).astype(np.float32), rng.random((200, 4)) < [0.05, 0.3, 0.6, 0.98]
    for entry in published_recommendations(points, table, n_candidates=12, quantile=0.5):
        rows, _, rp = slow(points, table, entry.category, 12, 0.5)
        np.testing.assert_array_equal(entry.rows, rows)
        np.testing.assert_allclose(entry.rp.guarded, rp.guarded, rtol=1e-4)


def test_a_graph_finds_nearly_the_same(labeled):
    points, given = labeled
    exact = published_recommendations(points, given, n_candidates=20)
    index = NeighborIndex(metric="euclidean", kind="graph", search_width=200).fit(points)
    shared = [
        len(np.intersect1d(a.rows, b.rows)) / 20
        for a, b in zip(exact, published_recommendations(points, given, n_candidates=20, index=index), strict=True)
        if a.n_members
    ]
    assert np.mean(shared) > 0.95


def test_a_sample_stands_for_all_external_items(labeled):
    points, given = labeled
    whole, drawn, again = (published_recommendations(points, given, n_sampled=n, seed=1) for n in (600, 200, 200))
    for a, b, c in zip(whole, drawn, again, strict=True):
        np.testing.assert_array_equal(a.rows, b.rows)
        if a.rp is not None:
            assert b.rp.median == pytest.approx(a.rp.median, rel=0.1)
            assert b.rp.median == c.rp.median
    assert any(a.rp.median != b.rp.median for a, b in zip(whole, drawn, strict=True) if a.rp is not None)


def test_categories_that_have_everything_or_nothing():
    points = np.arange(8, dtype=np.float32).reshape(4, 2)
    (only,) = published_recommendations(points, np.zeros(4, np.int64))
    assert len(only.rows) == 0
    assert "no external item" in only.rp.note
    nothing = published_recommendations(points, np.full(4, -1), 2)
    assert [entry.rp for entry in nothing] == [None, None]
    assert published_recommendations(np.zeros((0, 2), np.float32), np.zeros(0, np.int64)) == ()
    equal = published_recommendations(np.ones((4, 2), np.float32), np.array([0, 0, 1, 1]))
    assert [entry.rp.guarded.tolist() for entry in equal] == [[100.0, 100.0]] * 2
    assert all(entry.rp.raw is None for entry in equal)


def test_plain_types(labeled):
    document = json.loads(json.dumps([entry.to_dict() for entry in published_recommendations(*labeled, 7, n_candidates=3)]))
    assert len(document[0]["rows"]) == 3
    assert document[3]["rp"] is None


def test_bad_input(labeled):
    points, given = labeled
    with pytest.raises(InputError, match="600 points, but categories of 599 rows"):
        published_recommendations(points, given[1:])
    with pytest.raises(InputError, match="n_candidates is 0"):
        published_recommendations(points, given, n_candidates=0)
    with pytest.raises(InputError, match="The index is cosine over 600 rows of 12 dimensions; expected euclidean"):
        published_recommendations(points, given, index=NeighborIndex().fit(points))
    with pytest.raises(InputError, match="euclidean over 599 rows"):
        published_recommendations(points, given, index=NeighborIndex(metric="euclidean").fit(points[1:]))
    with pytest.raises(InputError, match=r"quantile is 1\.5"):
        published_recommendations(points, given, quantile=1.5)
    points[4, 1] = np.inf
    with pytest.raises(InputError, match="Row 4 of the points holds NaN or infinity"):
        published_recommendations(points, given)
