"""The shared array maths against numpy.linalg on small matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.linalg import cosine, folds_by_class, gram_matrix, invert_gram, metric_root, rows_by_class, softmax, unit_rows

shapes = st.tuples(st.integers(1, 40), st.integers(1, 8), st.integers(0, 2**32 - 1))


def random_matrix(n_rows, n_columns, seed):
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


@given(shapes, st.integers(1, 50))
def test_gram_matrix_does_not_depend_on_the_blocks(shape, block):
    rows = random_matrix(*shape)
    np.testing.assert_allclose(gram_matrix(rows, block=block), rows.T @ rows, atol=1e-12)


def test_gram_matrix_adds_up_in_float64():
    rows = np.full((20_000, 1), 0.1, dtype=np.float32)
    expected = 20_000 * float(np.float32(0.1)) ** 2
    assert gram_matrix(rows)[0, 0] == pytest.approx(expected, rel=1e-13)
    assert gram_matrix(rows).dtype == np.float64


@given(st.integers(1, 8), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_inverse_of_a_full_rank_gram_matrix(n_dims, extra, seed):
    rows = random_matrix(2 * n_dims + extra, n_dims, seed)
    result = invert_gram(rows.T @ rows)
    assert result.rank == n_dims
    np.testing.assert_allclose(result.inverse @ result.gram, np.eye(n_dims), atol=1e-8)
    assert np.array_equal(result.inverse, result.inverse.T)
    assert result.condition_number == pytest.approx(np.linalg.cond(rows.T @ rows), rel=1e-6)


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_pseudo_inverse_where_directions_are_missing(rng, rank):
    rows = rng.normal(size=(30, rank)) @ rng.normal(size=(rank, 8))
    result = invert_gram(rows.T @ rows)
    assert result.rank == rank
    expected = np.linalg.pinv(rows.T @ rows, rcond=1e-12, hermitian=True)
    np.testing.assert_allclose(result.inverse, expected, atol=1e-9 * np.abs(expected).max())


def test_the_cut_off_is_the_callers():
    gram = np.diag([1.0, 1e-4, 1e-9])
    assert invert_gram(gram).rank == 3
    cut = invert_gram(gram, rcond=1e-6)
    assert cut.rank == 2
    np.testing.assert_allclose(cut.inverse, np.diag([1.0, 1e4, 0.0]), rtol=1e-12)
    assert cut.condition_number == pytest.approx(1e4)


def test_a_zero_matrix_has_rank_zero_and_a_zero_inverse():
    result = invert_gram(np.zeros((3, 3)))
    assert (result.rank, result.condition_number) == (0, np.inf)
    assert not result.inverse.any()


def test_unit_rows_by_hand():
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])), [[0.6, 0.8], [0, 0], [0, -1]])
    metric = np.diag([4.0, 1.0])  # the length of (1, 0) is 2
    np.testing.assert_allclose(unit_rows(np.array([[1.0, 0.0], [0.0, 5.0]]), metric), [[0.5, 0], [0, 1]])
    assert unit_rows(np.ones((1, 4), dtype=np.float32)).dtype == np.float64


def test_cosine_by_hand():
    points, others = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 3.0], [-2.0, 0.0]])
    np.testing.assert_allclose(cosine(points, others), [[np.sqrt(0.5), 0, -1], [0, 0, 0]])
    metric = np.array([[2.0, 1.0], [1.0, 2.0]])  # a·b = 2a₀b₀ + a₀b₁ + a₁b₀ + 2a₁b₁; lengths √2, √6, √18, √8
    np.testing.assert_allclose(cosine(points, others, metric)[0], [3 / np.sqrt(12), 3 / np.sqrt(36), -1])


@given(shapes, st.integers(1, 6), st.floats(1e-6, 1e6))
def test_cosine_is_bounded_symmetric_and_blind_to_length(shape, n_others, factor):
    points = random_matrix(*shape)
    others = random_matrix(n_others, shape[1], shape[2] + 1)
    result = cosine(points, others)
    assert np.abs(result).max() <= 1
    np.testing.assert_allclose(result, cosine(others, points).T, atol=1e-12)
    np.testing.assert_allclose(result, cosine(points * factor, others), atol=1e-12)


@given(shapes)
def test_the_root_of_a_metric_turns_it_into_the_euclidean_one(shape):
    points = random_matrix(*shape)
    n_dims, seed = shape[1], shape[2]
    half = random_matrix(n_dims + 2, n_dims, seed + 1)
    metric = half.T @ half
    root = metric_root(metric)
    np.testing.assert_allclose(root @ root, metric, atol=1e-10 * max(1.0, np.abs(metric).max()))
    np.testing.assert_allclose(root, root.T, atol=1e-12 * max(1.0, np.abs(root).max()))
    np.testing.assert_allclose(cosine(points @ root, points @ root), cosine(points, points, metric), atol=1e-7)


def test_the_root_of_a_singular_metric():
    np.testing.assert_allclose(metric_root(np.array([[2.0, 2.0], [2.0, 2.0]])), np.ones((2, 2)), atol=1e-7)


def test_softmax():
    np.testing.assert_allclose(softmax(np.log([[1.0, 3.0], [2.0, 2.0]])), [[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_allclose(softmax(np.array([[1e4, 1e4 + np.log(3)], [-1e4, 1e4]])), [[0.25, 0.75], [0, 1]], atol=1e-12)


def test_a_part_by_class_keeps_shares_and_never_fails(rng):
    y = np.repeat([0, 1, 2], [600, 300, 100])
    part = rows_by_class(y, 100, seed=3)
    assert np.bincount(y[part]).tolist() == [60, 30, 10]
    assert set(part) <= set(rows_by_class(y, 400, seed=3))
    assert np.array_equal(part, np.sort(part))
    assert rows_by_class(y, 1000, seed=0).tolist() == list(range(1000))
    assert len(rows_by_class(np.arange(50), 7, seed=0)) == 7  # fewer rows than classes
    assert len(rows_by_class(y[:0], 7, seed=0)) == 0


def test_a_part_by_class_keeps_rows_of_rare_classes():
    y = np.repeat([0, 1, 2, 3], [600, 395, 4, 1])
    part = rows_by_class(y, 100, seed=3, least=3)
    assert np.bincount(y[part])[2:].tolist() == [3, 1]
    assert len(part) == 100
    assert np.bincount(y[rows_by_class(y, 100, seed=3)], minlength=4)[3] == 0
    assert np.bincount(rows_by_class(np.repeat(np.arange(300), 20), 900, seed=0, least=3) // 20).tolist() == [3] * 300


@given(st.lists(st.integers(0, 4), max_size=40), st.integers(2, 5), st.integers(0, 99))
def test_folds_hold_every_row_out_once_and_leave_some_of_its_class(y, n_folds, seed):
    y = np.array(y, dtype=np.int64)
    folds = folds_by_class(y, n_folds, seed=seed)
    held_out = np.concatenate([part for _, part in folds]) if folds else np.zeros(0, dtype=np.int64)
    sizes = np.bincount(y, minlength=5)
    assert np.array_equal(np.sort(held_out), np.flatnonzero(sizes[y] >= 2))
    for train, part in folds:
        assert len(part)
        assert np.array_equal(np.sort(np.concatenate([train, part])), np.arange(len(y)))
        assert set(y[train]) == set(y)
        assert (np.bincount(y[part], minlength=5) <= np.ceil(sizes / min(n_folds, max(len(y), 1)))).all()


def test_one_row_of_a_further_class_changes_no_fold():
    y = np.tile(np.arange(3), 30)
    for before, after in zip(folds_by_class(y, 4, seed=1), folds_by_class(np.append(y, 3), 4, seed=1), strict=True):
        assert np.array_equal(before[1], after[1])
        assert np.array_equal(np.append(before[0], 90), after[0])
    assert folds_by_class(np.array([0, 0, 0, 1, 1]), 4, seed=0, least=3)[0][1].tolist() in ([0], [1], [2])
