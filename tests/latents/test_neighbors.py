"""Neighbors against the obvious way: all similarities, sorted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.artifacts import write_artifact
from lexframe.exceptions import DataError, InputError
from lexframe.latents import LatentStore, NeighborIndex, encode_to_store, store_index, text_blocks
from lexframe.latents.neighbors import METRICS, nearest_rows, suited_metric
from lexframe.linalg import shrunken_whitening


def scores_of(metric, queries, points):
    """All scores in float64; higher is nearer."""
    q, p = queries.astype(np.float64), points.astype(np.float64)
    if metric == "inner-product":
        return q @ p.T
    if metric == "cosine":
        lengths = [np.linalg.norm(x, axis=1, keepdims=True) for x in (q, p)]
        return (q / np.where(lengths[0] > 0, lengths[0], 1)) @ (p / np.where(lengths[1] > 0, lengths[1], 1)).T
    if metric == "standardized":
        spread = p.std(axis=0)
        told = spread > 1e-6 * np.abs(p).max()
        scale = np.where(told, 1 / np.where(told, spread, 1), 0)
        return scores_of("cosine", (q - p.mean(axis=0)) * scale, (p - p.mean(axis=0)) * scale)
    if metric == "whitened":
        center, whitening = shrunken_whitening(points)
        q, p = (q - center) @ whitening.astype(np.float64), (p - center) @ whitening.astype(np.float64)
    return -np.linalg.norm(q[:, None] - p[None], axis=2)


@given(
    n=st.integers(1, 40), n_dims=st.integers(1, 6), k=st.integers(1, 50), metric=st.sampled_from(METRICS), seed=st.integers(0, 99),
    duplicates=st.booleans(), zeros=st.booleans(), kind=st.sampled_from(["exact", "graph"]),
)  # fmt: skip
def test_the_nearest_are_the_nearest(n, n_dims, k, metric, seed, duplicates, zeros, kind):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, n_dims)).astype(np.float32)
    if duplicates:
        points = points[rng.integers(0, max(1, n // 2), n)]
    if zeros:
        points[:: max(1, n // 3)] = 0
    queries = np.concatenate([points[:3], rng.normal(size=(2, n_dims)).astype(np.float32)])
    found = NeighborIndex(metric=metric, kind=kind).fit(points).search(queries, k)
    scores = scores_of(metric, queries, points)
    assert found.rows.shape == (len(queries), min(k, n))
    assert all(len(set(row)) == len(row) for row in found.rows.tolist())
    expected = -np.sort(-scores, axis=1)[:, : min(k, n)]
    tolerance = 2e-3 * max(1.0, float(np.abs(expected).max()))
    sign = -1 if metric in ("euclidean", "whitened") else 1
    np.testing.assert_allclose(sign * found.scores, expected, atol=tolerance)
    np.testing.assert_allclose(np.take_along_axis(scores, found.rows, axis=1), expected, atol=tolerance)


@pytest.mark.parametrize("kind", ["exact", "graph"])
@pytest.mark.parametrize("metric", METRICS)
def test_only_among_some_rows(kind, metric, rng):
    points = rng.normal(size=(300, 5)).astype(np.float32)
    index = NeighborIndex(metric=metric, kind=kind).fit(points)
    mask = rng.random(300) < 0.2
    found = index.search(points[:7], 4, among=mask)
    scores = np.where(mask, scores_of(metric, points[:7], points), -np.inf)
    np.testing.assert_array_equal(found.rows, np.argsort(-scores, axis=1)[:, :4])
    np.testing.assert_array_equal(index.search(points[:7], 4, among=np.flatnonzero(mask)).rows, found.rows)
    assert index.search(points[:2], 9, among=[5, 5, 8]).rows.shape == (2, 2)
    assert index.search(points[:2], 9, among=np.zeros(300, bool)).rows.shape == (2, 0)
    with pytest.raises(InputError, match="row 300"):
        index.search(points[:2], among=[1, 300])
    with pytest.raises(InputError, match="a truth value for each of 300"):
        index.search(points[:2], among=np.ones(3, bool))


def test_a_graph_searched_among_many_rows(rng):
    points = rng.normal(size=(3000, 8)).astype(np.float32)
    index = NeighborIndex(kind="graph").fit(points)
    from lexframe.latents import neighbors

    mask = rng.random(3000) < 0.5
    before = neighbors.MOST_EXACT_ROWS
    neighbors.MOST_EXACT_ROWS = 10
    try:
        found = index.search(points[:50], 5, among=mask)
    finally:
        neighbors.MOST_EXACT_ROWS = before
    assert mask[found.rows].all()
    scores = np.where(mask, scores_of("cosine", points[:50], points), -np.inf)
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found.rows, np.argsort(-scores, axis=1)[:, :5], strict=True)]
    assert np.mean(hits) > 4.8


def test_recall_is_measured_against_the_exact_answer(rng):
    points = rng.normal(size=(5000, 16)).astype(np.float32)
    assert NeighborIndex(kind="exact").fit(points).recall(points[:50]) == 1
    good = NeighborIndex(kind="graph").fit(points)
    poor = NeighborIndex(kind="graph", n_links=2, build_width=4, search_width=1).fit(points)
    assert good.recall(points[:200]) > 0.98
    assert poor.recall(points[:200]) < good.recall(points[:200]) - 0.1


def test_the_width_of_the_search_is_found_for_the_points(rng):
    hard = rng.normal(size=(4000, 48)).astype(np.float32)  # nothing but noise
    easy = (rng.normal(size=(4000, 2)) @ rng.normal(size=(2, 48))).astype(np.float32)
    indexes = [NeighborIndex(kind="graph", metric="euclidean", n_links=8, build_width=60).fit(points) for points in (hard, easy)]
    assert indexes[0].search_width_ > indexes[1].search_width_ == 64
    queries = rng.normal(size=(200, 48)).astype(np.float32)
    assert indexes[0].recall(queries) > 0.97


def test_small_tables_are_exact_and_large_ones_a_graph(monkeypatch, rng):
    monkeypatch.setattr("lexframe.latents.neighbors.MOST_EXACT_ROWS", 100)
    assert NeighborIndex().fit(rng.normal(size=(99, 3)).astype(np.float32)).is_exact_
    assert not NeighborIndex().fit(rng.normal(size=(100, 3)).astype(np.float32)).is_exact_


@pytest.mark.parametrize("kind", ["exact", "graph"])
@pytest.mark.parametrize("metric", METRICS)
def test_saved_and_loaded_it_answers_the_same(tmp_path, kind, metric, rng):
    points = rng.normal(size=(200, 5)).astype(np.float32)
    index = NeighborIndex(metric=metric, kind=kind, search_width=77).fit(points)
    index.save(tmp_path / "index")
    again = NeighborIndex.load(tmp_path / "index")
    assert again.search_width_ == 77  # hnswlib forgets it
    for found, expected in ((again.search(points[:9], 7), index.search(points[:9], 7)),):
        np.testing.assert_array_equal(found.rows, expected.rows)
        np.testing.assert_array_equal(found.scores, expected.scores)
    facts = (tmp_path / "index" / "artifact.json").read_bytes()
    index.save(tmp_path / "index")
    assert (tmp_path / "index" / "artifact.json").read_bytes() == facts
    arrays_file(tmp_path / "index").write_bytes(b"nothing")
    with pytest.raises(DataError, match="damaged neighbor-index"):
        NeighborIndex.load(tmp_path / "index")
    with pytest.raises(DataError, match="holds no neighbor-index"):
        NeighborIndex.load(tmp_path)
    (tmp_path / "written.json").write_text("{}")
    with pytest.raises(DataError, match="earlier format"):
        NeighborIndex.load(tmp_path)


def test_an_index_that_contradicts_its_facts_is_refused(tmp_path, rng):
    artifact = NeighborIndex().fit(rng.normal(size=(20, 5)).astype(np.float32)).to_artifact()
    write_artifact(replace(artifact, parameters=artifact.parameters | {"n_rows": 21}), tmp_path)
    with pytest.raises(DataError, match="20 rows, its facts say 21"):
        NeighborIndex.load(tmp_path)


def arrays_file(folder):
    (found,) = folder.glob("arrays-*.safetensors")
    return found


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda index: index.search(np.zeros((2, 4), np.float32)), "4 dimensions"),
        (lambda index: index.search(np.zeros(3, np.float32)), "np.newaxis"),
        (lambda index: index.search(np.full((1, 3), np.nan, np.float32)), "NaN"),
        (lambda index: index.search(np.zeros((1, 3), np.float32), 0), "k is 0"),
        (lambda index: NeighborIndex(metric="manhattan"), "metric is 'manhattan'"),
        (lambda index: NeighborIndex(kind="tree"), "kind is 'tree'"),
        (lambda index: NeighborIndex().fit(np.array([[np.inf, 1]], np.float32)), "Row 0 of the points"),
    ],
)
def test_bad_input(ask, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        ask(NeighborIndex().fit(np.eye(3, dtype=np.float32)))


@pytest.mark.parametrize("metric", METRICS)
def test_no_rows_and_no_queries(metric):
    empty = NeighborIndex(metric=metric).fit(np.zeros((0, 3), np.float32))
    assert empty.search(np.zeros((2, 3), np.float32)).rows.shape == (2, 0)
    assert NeighborIndex(metric=metric).fit(np.eye(3, dtype=np.float32)).search(np.zeros((0, 3), np.float32)).rows.shape == (0, 3)


def test_whitening_makes_the_covariance_about_the_identity(rng):
    points = (rng.normal(size=(4000, 5)) @ (np.eye(5) + 0.3 * rng.normal(size=(5, 5))) + 3).astype(np.float32)
    center, whitening = shrunken_whitening(points)
    np.testing.assert_allclose(np.cov((points - center) @ whitening, rowvar=False), np.eye(5), atol=0.08)
    np.testing.assert_array_equal(shrunken_whitening(np.ones((4, 3), np.float32))[1], np.eye(3))
    np.testing.assert_array_equal(shrunken_whitening(np.zeros((0, 3), np.float32))[1], np.eye(3))


def test_the_index_of_a_store_is_kept_and_built_anew_when_rows_change(space, texts, tmp_path, monkeypatch):
    encode_to_store(space, text_blocks(texts, metadata={"n": list(range(50))}), tmp_path / "s")
    store = LatentStore(tmp_path / "s")
    built = []
    fit = NeighborIndex.fit
    monkeypatch.setattr(NeighborIndex, "fit", lambda index, points: built.append(len(points)) or fit(index, points))
    first = store_index(store)
    again = store_index(LatentStore(tmp_path / "s"))
    assert built == [50]
    query = space.encode(texts[:1])
    np.testing.assert_array_equal(first.search(query).rows, again.search(query).rows)
    store.compact()  # the same rows in another file
    store_index(store)
    assert built == [50]
    store.delete("n < 10")
    store_index(store)
    assert built == [50, 40]
    arrays_file(tmp_path / "s" / "_neighbors" / "points-cosine").write_bytes(b"damaged")
    store_index(store)
    assert built == [50, 40, 40]
    store_index(store, metric="euclidean")
    assert built == [50, 40, 40, 40]
    rows = nearest_rows(store, store_index(store), query, 3, where="n >= 30")
    assert len(rows) == 3
    assert all(row["n"] >= 30 for row in rows)
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert store.verify().holds  # the folder of indexes does not disturb


def test_states_in_a_cone_are_told_apart_when_standardized(rng):
    """A direction that all points share and one dimension of great spread drown what tells classes apart."""
    classes = np.repeat(np.arange(4), 30)
    meaning = np.eye(4)[classes] + 0.1 * rng.normal(size=(120, 4))
    points = np.column_stack([meaning, 50 + rng.normal(size=120), 20 * rng.normal(size=120)]).astype(np.float32)
    order = rng.permutation(120)
    indexed, asked = order[:100], order[100:]
    right = {}
    for metric in ("cosine", "standardized"):
        found = NeighborIndex(metric=metric).fit(points[indexed]).search(points[asked], 5).rows
        right[metric] = float((classes[indexed][found] == classes[asked][:, None]).mean())
    assert right["standardized"] > 0.8 > 0.5 > right["cosine"]


def test_the_metric_that_is_not_named_suits_the_points(space, texts, tmp_path):
    encode_to_store(space, text_blocks(texts), tmp_path / "s")
    store = LatentStore(tmp_path / "s")
    assert store_index(store).metric == "cosine"
    column = store.column()
    states = replace(column, fingerprint=replace(column.fingerprint, kind="language-model"))
    assert suited_metric(states, 50) == "standardized"
    assert suited_metric(states, 3) == "cosine"  # three rows do not tell how far dimensions spread
    assert suited_metric(replace(column, fingerprint=replace(column.fingerprint, kind="sentence-encoder")), 50) == "cosine"


def test_a_dimension_in_which_all_are_equal_counts_for_nothing(rng):
    points = np.column_stack([rng.normal(size=(50, 3)), np.full(50, 0.1)]).astype(np.float32)
    index = NeighborIndex(metric="standardized").fit(points)
    far = points[:5].copy()
    far[:, 3] = 1e6
    np.testing.assert_array_equal(index.search(far, 9).rows, index.search(points[:5], 9).rows)
    scaled = NeighborIndex(metric="standardized").fit(points * np.float32(8) + np.float32(2))
    np.testing.assert_array_equal(scaled.search(points[:5] * 8 + 2, 9).rows, index.search(points[:5], 9).rows)


def test_what_a_graph_does_not_reach_is_searched_exactly(monkeypatch, rng):
    points = rng.normal(size=(300, 8)).astype(np.float32)
    index = NeighborIndex(kind="graph").fit(points)
    search = index._approximate

    def short(moved, k, allowed, width):
        scores, rows = search(moved, k, allowed, width)
        rows[::2, -1] = -1  # every other query ends with a neighbor too few
        return scores, rows

    monkeypatch.setattr(index, "_approximate", short)
    found = index.search(points[:20], 5)
    truth = NeighborIndex(kind="exact").fit(points).search(points[:20], 5)
    np.testing.assert_array_equal(found.rows, truth.rows)
    assert (found.rows >= 0).all()
