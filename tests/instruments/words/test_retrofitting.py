"""Retrofitting against the paper's iteration, closed forms, and words outside the graph."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge

from lexframe.data import Edge, WordVectors
from lexframe.exceptions import DataError, InputError
from lexframe.instruments import Retrofitting, retrofit
from lexframe.instruments.words.lexical_graph import adjacency
from lexframe.instruments.words.retrofitting import change_map
from tests.reference import analogy as reference


def words(n, n_dims=4, seed=0):
    rng = np.random.default_rng(seed)
    return WordVectors(tuple(f"w{i}" for i in range(n)), rng.normal(size=(n, n_dims)).astype(np.float32))


def links_of(edges, n):
    links = {}
    for edge in edges:
        left, right = int(edge.word[1:]), int(edge.other[1:])
        for one, other in ((left, right), (right, left)):
            links.setdefault(one, {}).setdefault(other, 0.0)
            links[one][other] += edge.weight
    return links


graphs = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0.1, 3)).filter(lambda e: e[0] != e[1]), min_size=1, max_size=25
)


@given(graphs, st.sampled_from([0.1, 1.0, 5.0]))
def test_equal_to_the_papers_iteration(graph, alpha):
    vectors = words(10)
    edges = [Edge(f"w{i}", f"w{j}", weight=weight) for i, j, weight in graph]
    moved = retrofit(vectors.vectors, adjacency(edges, vectors), alpha=alpha)
    expected = reference.retrofit(vectors.vectors, links_of(edges, 10), alpha=alpha, n_iterations=400)
    np.testing.assert_allclose(moved, expected, atol=1e-7)


def test_two_words_by_hand():
    """q1 = (q2 + p1) / 2 and q2 = (q1 + p2) / 2 give q1 = (2 p1 + p2) / 3."""
    p = np.array([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    vectors = WordVectors(("w0", "w1", "w2"), p.astype(np.float32))
    moved = retrofit(p, adjacency([Edge("w0", "w1")], vectors))
    np.testing.assert_allclose(moved, [[2 / 3, 1 / 3], [1 / 3, 2 / 3], [5, 5]], atol=1e-9)


def test_linked_words_come_closer_and_others_stay():
    vectors = words(60, 8)
    edges = [Edge(f"w{i}", f"w{i + 1}") for i in range(0, 40, 2)]
    moved = retrofit(vectors.vectors, adjacency(edges, vectors))
    before = np.linalg.norm(vectors.vectors[0:40:2] - vectors.vectors[1:40:2], axis=1)
    after = np.linalg.norm(moved[0:40:2] - moved[1:40:2], axis=1)
    assert (after < before).all()
    np.testing.assert_array_equal(moved[40:], vectors.vectors[40:])
    held = retrofit(vectors.vectors, adjacency(edges, vectors), alpha=1e9)
    np.testing.assert_allclose(held, vectors.vectors, atol=1e-6)


def test_weights_of_relations():
    vectors = words(4)
    edges = [Edge("w0", "w1", "same"), Edge("w0", "w2", "near"), Edge("w0", "w0"), Edge("w0", "unknown"), Edge("w1", "w0", "same")]
    table = adjacency(edges, vectors, {"near": 0.25}).toarray()
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 2
    expected[0, 2] = expected[2, 0] = 0.25
    np.testing.assert_array_equal(table, expected)
    assert adjacency(edges, vectors, {"near": 0.0, "same": 0.0}).nnz == 0
    assert adjacency([], vectors).shape == (4, 4)
    np.testing.assert_array_equal(retrofit(vectors.vectors, adjacency([], vectors)), vectors.vectors)
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"edge 'w0', 'w1' has the weight .*expected 0 or more"):
            adjacency([Edge("w0", "w1", weight=weight)], vectors)


def test_the_map_is_ridge_regression_beside_a_contraction():
    rng = np.random.default_rng(0)
    X, moved = rng.normal(size=(50, 6)) + 1, rng.normal(size=(50, 6))
    deviations = X - X.mean(axis=0)
    k = 1 - LinearRegression(fit_intercept=False).fit(deviations.reshape(-1, 1), (moved - moved.mean(axis=0)).ravel()).coef_[0]
    model = Ridge(alpha=0.3 * np.trace(deviations.T @ deviations) / 6).fit(X, moved - (1 - k) * X)
    found = change_map(X, moved, 0.3)
    shift = moved.mean(axis=0) - (1 - k) * X.mean(axis=0)  # the constant is left out
    np.testing.assert_allclose(found(X) + shift, model.predict(X) + (1 - k) * X, atol=1e-9)
    np.testing.assert_allclose(change_map(X, moved, float("inf"))(X), (1 - k) * X, atol=1e-12)
    drawn = X.mean(axis=0) + 0.6 * deviations
    np.testing.assert_allclose(change_map(X, drawn, 0.3)(X), 0.6 * X, atol=1e-12)  # nothing but a contraction: no cosine changes


def clustered(n_words=600, n_clusters=12, noise=1.5, seed=0):
    """Words around centres that lie in half of the dimensions; the other half is noise. Links tie words of one cluster."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, n_clusters, n_words)
    centers = np.hstack([rng.normal(size=(n_clusters, 10)), np.zeros((n_clusters, 10))])
    vectors = WordVectors(
        tuple(f"w{i}" for i in range(n_words)), (centers[cluster] + noise * rng.normal(size=(n_words, 20))).astype(np.float32)
    )
    graph = rng.permutation(n_words)[: n_words // 2]
    edges = [Edge(f"w{i}", f"w{j}") for i in graph for j in rng.choice(graph[cluster[graph] == cluster[i]], 4) if i != j]
    return vectors, edges, cluster, np.setdiff1d(np.arange(n_words), graph)


def same_cluster_is_nearest(vectors, cluster, rows):
    units = vectors.unit().vectors[rows]
    similarity = units @ units.T
    np.fill_diagonal(similarity, -2)
    return np.mean(cluster[rows][similarity.argmax(axis=1)] == cluster[rows])


def test_words_outside_the_graph_gain():
    vectors, edges, cluster, outside = clustered()
    fitted = Retrofitting().fit(vectors, edges)
    assert not set(fitted.retrofitted_.words) & {vectors.words[row] for row in outside}
    assert np.isfinite(fitted.penalty_)
    assert fitted.explained_[fitted.penalty_] > 0.1
    before, after = (same_cluster_is_nearest(found, cluster, outside) for found in (vectors, fitted.transform(vectors)))
    assert after > before + 0.05


def test_a_graph_of_chance_is_not_carried_over():
    vectors, edges, cluster, outside = clustered()
    rng = np.random.default_rng(1)
    others = rng.permutation([edge.other for edge in edges])
    fitted = Retrofitting().fit(vectors, [Edge(edge.word, str(other)) for edge, other in zip(edges, others, strict=True)])
    before, after = (same_cluster_is_nearest(found, cluster, outside) for found in (vectors, fitted.transform(vectors)))
    assert abs(after - before) < 0.03
    assert fitted.explained_[fitted.penalty_] < 0.05


def test_words_of_the_graph_are_where_retrofitting_put_them():
    vectors, edges, *_ = clustered(100, 3)
    fitted = Retrofitting(alpha=0.5).fit(vectors, edges)
    expected = retrofit(vectors.unit().vectors, adjacency(edges, vectors), alpha=0.5)
    moved = fitted.transform(vectors)
    inside = vectors.rows(fitted.retrofitted_.words)
    np.testing.assert_allclose(moved.vectors[inside], expected[inside], atol=1e-6)
    assert np.abs(fitted.mapped(vectors).vectors[inside] - expected[inside]).max() > 1e-3
    part = fitted.transform(vectors.head(7))
    np.testing.assert_array_equal(part.vectors, moved.vectors[:7])
    assert moved.provenance.parameters["retrofitting"]["alpha"] == 0.5


def test_penalty_infinity_changes_no_cosine():
    vectors, edges, _, outside = clustered(100, 3)
    fitted = Retrofitting(penalties=()).fit(vectors, edges)
    assert fitted.penalty_ == float("inf")
    assert fitted.explained_ == {float("inf"): 0.0}
    moved = fitted.transform(vectors)
    np.testing.assert_allclose(moved.unit().vectors[outside], vectors.unit().vectors[outside], atol=1e-6)
    assert np.linalg.norm(moved.vectors[outside], axis=1).max() < 1


def test_parameters_are_scikit_learns():
    model = Retrofitting(alpha=2.0, n_folds=3)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.transform(words(3))


def test_what_is_refused():
    vectors, edges, *_ = clustered(100, 3)
    with pytest.raises(InputError, match=r"alpha is 0.*above 0"):
        Retrofitting(alpha=0.0).fit(vectors, edges)
    with pytest.raises(DataError, match="Only 2 linked words have a vector; expected 10 or more"):
        Retrofitting().fit(vectors, [Edge("w0", "w1")])
    fitted = Retrofitting().fit(vectors, edges)
    with pytest.raises(InputError, match="have 4 dimensions, but those fitted had 20"):
        fitted.transform(words(3))
