"""Similarities of tasks whose gradients are drawn around means that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.task_space.similarity import (
    Blocks,
    corrected,
    half_cosines,
    mean_cosines,
    resampled_similarities,
    retest,
    task_similarities,
)
from tests.reference.task_similarity import slow_similarities

N_DIMS = 50
COSINES = np.array([[1, 0.8, 0.3, 0], [0.8, 1, 0.5, -0.4], [0.3, 0.5, 1, 0.1], [0, -0.4, 0.1, 1]])


def means_with(cosines, rng):
    """Vectors of length one with these cosines."""
    frame, _ = np.linalg.qr(rng.normal(size=(N_DIMS, len(cosines))))
    return np.linalg.cholesky(cosines) @ frame.T


def drawn(means, rng, *, noise, n_blocks=12):
    """Blocks of five pairs around the means of their tasks, each with noise of this length."""
    task = np.repeat(np.arange(len(means)), n_blocks)
    vectors = means[task] + rng.normal(size=(len(task), N_DIMS)) * noise / np.sqrt(N_DIMS)
    return vectors, Blocks(task, np.full(len(task), 5))


def some_blocks(rng, *, n_tasks=3):
    task = np.repeat(np.arange(n_tasks), rng.integers(4, 9, size=n_tasks))
    return Blocks(task, rng.integers(1, 6, size=len(task)))


def test_it_is_what_vectors_give_split_by_split(rng):
    blocks = some_blocks(rng)
    vectors = rng.normal(size=(len(blocks.task), 6)) + rng.normal(size=(3, 6))[blocks.task] * 2
    found = task_similarities(vectors @ vectors.T, blocks, n_splits=5, seed=4)
    again = np.random.default_rng(4)
    splits = []
    for _ in range(5):
        halves = blocks.parts(again)
        splits.append([[np.flatnonzero(half[task]) for half in halves] for task in range(3)])
    similarity, reliability = slow_similarities(vectors, blocks.size, splits)
    np.testing.assert_allclose(found.reliability, reliability, atol=1e-10)
    np.testing.assert_allclose(found.similarity, similarity, atol=1e-10)
    np.testing.assert_array_equal(found.similarity, found.similarity.T)


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_cosines_of_the_means_are_found_where_noise_hides_them(noise, rng):
    means, n_draws = means_with(COSINES, rng), 30
    found, plain = [], []
    for seed in range(n_draws):
        vectors, blocks = drawn(means, rng, noise=noise)
        found.append(task_similarities(vectors @ vectors.T, blocks, n_splits=24, seed=seed).similarity)
        whole = np.stack([vectors[blocks.task == task].mean(axis=0) for task in range(4)])
        whole /= np.linalg.norm(whole, axis=1, keepdims=True)
        plain.append(whole @ whole.T)
    error = np.std(found, axis=0) / np.sqrt(n_draws)
    assert (np.abs(np.mean(found, axis=0) - COSINES) <= 4 * error + 0.01).all()
    # Of a mean of 12 blocks 1 / (1 + noise² / 12) is signal: plain cosines are too small by that.
    signal = 1 / (1 + noise**2 / 12)
    np.testing.assert_allclose(np.mean(plain, axis=0)[0, 1], 0.8 * signal, atol=0.05)


def test_reliability_is_the_cosine_of_halves(rng):
    vectors, blocks = drawn(means_with(COSINES, rng), rng, noise=2.0, n_blocks=40)
    found = task_similarities(vectors @ vectors.T, blocks)
    np.testing.assert_allclose(found.reliability, 1 / (1 + 4 / 20), atol=0.06)  # of a mean of 20 blocks so much is signal


def test_two_halves_of_one_task_are_one(rng):
    vectors, blocks = drawn(means_with(COSINES, rng), rng, noise=1.5, n_blocks=40)
    apart = Blocks(2 * blocks.task + np.arange(len(blocks.task)) % 2, blocks.size)
    found = task_similarities(vectors @ vectors.T, apart)
    ones = found.similarity[[0, 2, 4, 6], [1, 3, 5, 7]]
    np.testing.assert_allclose(ones, 1, atol=0.12)
    assert abs(ones.mean() - 1) < 0.05
    np.testing.assert_allclose(found.similarity[::2, 1::2], COSINES, atol=0.15)


def test_a_task_without_a_mean_is_unreliable_and_has_no_similarity(rng):
    means = means_with(COSINES, rng)
    means[2] = 0
    found = []
    for seed in range(20):
        vectors, blocks = drawn(means, rng, noise=1.0)
        found.append(task_similarities(vectors @ vectors.T, blocks, n_splits=24, seed=seed))
    reliability = np.array([each.reliability for each in found])
    assert (reliability[:, [0, 1, 3]] > 0.7).all()
    assert abs(reliability[:, 2].mean()) < 0.05
    undefined = next(each for each in found if each.reliability[2] <= 0)
    assert np.isnan(undefined.similarity[2]).all()
    assert np.isnan(undefined.similarity[:, 2]).all()
    assert np.isfinite(undefined.similarity[np.ix_([0, 1, 3], [0, 1, 3])]).all()


def test_intervals_hold_the_truth(rng):
    n_tasks, n_draws = 7, 10
    own = rng.normal(size=(n_tasks, 5))
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    truth = own @ own.T
    means = means_with(np.eye(5), rng).T @ own.T
    apart = np.triu_indices(n_tasks, k=1)
    inside, variances, values = [], [], []
    for seed in range(n_draws):
        vectors, blocks = drawn(means.T, rng, noise=0.7)
        gram = vectors @ vectors.T
        value = task_similarities(gram, blocks, n_splits=16, seed=seed).similarity
        resampled, _ = resampled_similarities(gram, blocks, n_resamples=40, n_splits=3, seed=seed)
        low, high = value + np.percentile(resampled - resampled.mean(axis=0), [2.5, 97.5], axis=0)
        inside.append(((low <= truth) & (truth <= high))[apart])
        variances.append(resampled.var(axis=0, ddof=1)[apart])
        values.append(value[apart])
    assert 0.85 < np.mean(inside) < 0.99
    # Resamples differ as draws do, but for the twelfth that a bootstrap of twelve blocks lacks.
    spread = np.sqrt(np.mean(variances) / np.var(values, axis=0, ddof=1).mean())
    assert 0.87 < spread < 1.15


def test_resamples_draw_blocks_within_tasks_and_part_their_copies(rng):
    # Blocks at right angles: whatever stands in both halves of a task would make the halves agree.
    blocks = some_blocks(rng)
    resampled, reliabilities = resampled_similarities(np.eye(len(blocks.task)), blocks, n_resamples=20)
    assert resampled.shape == (20, 3, 3)
    assert (reliabilities[~np.isnan(reliabilities)] == 0).all()
    assert (task_similarities(np.eye(len(blocks.task)), blocks).reliability == 0).all()
    # Tasks whose blocks are all the same are as sure as can be, whatever is drawn.
    vectors = np.eye(3)[blocks.task] + 1
    resampled, reliabilities = resampled_similarities(vectors @ vectors.T, blocks, n_resamples=20)
    np.testing.assert_allclose(reliabilities, 1)
    np.testing.assert_allclose(resampled, np.broadcast_to(np.where(np.eye(3, dtype=bool), 1, 5 / 6), (20, 3, 3)))


def test_the_same_matrix_comes_out_of_other_pairs_where_there_is_one(rng):
    n_tasks = 10
    own = rng.normal(size=(n_tasks, 4))
    structured = (own / np.linalg.norm(own, axis=1, keepdims=True)) @ means_with(np.eye(4), rng)
    vectors, blocks = drawn(structured, rng, noise=0.5)
    found = retest(vectors @ vectors.T, blocks, n_splits=6, n_cuts=4)
    assert found.value > 0.95
    assert found.low <= found.value <= found.high <= 1
    assert (found.unit, found.n_units) == ("tasks", n_tasks)
    nothing, above = [], []
    for seed in range(5):
        vectors, blocks = drawn(means_with(np.eye(n_tasks), rng), rng, noise=1.5)
        found = retest(vectors @ vectors.T, blocks, n_splits=6, n_cuts=4, seed=seed)
        nothing.append(found.value)
        above.append(found.high - found.value)
    assert abs(np.mean(nothing)) < 4 / np.sqrt(5 * n_tasks * (n_tasks - 1) / 2)
    assert max(above) < 0.5  # a task that is drawn twice is not taken to be like itself


def test_two_tasks_have_no_retest(rng):
    vectors, blocks = drawn(means_with(COSINES, rng)[:2], rng, noise=0.5)
    found = retest(vectors @ vectors.T, blocks, n_splits=2, n_cuts=2)
    assert np.isnan(found.value)
    assert found.interval is None


@given(counts=st.lists(st.integers(1, 7), min_size=1, max_size=4), n_parts=st.integers(2, 3), drawn=st.booleans(), seed=st.integers(0, 99))
def test_parts_share_no_block_and_are_means_of_their_task(counts, n_parts, drawn, seed):
    rng = np.random.default_rng(seed)
    task = np.repeat(np.arange(len(counts)), counts)
    blocks = Blocks(task, rng.integers(1, 9, size=len(task)))
    assert blocks.n_tasks == len(counts)
    parts = np.stack(blocks.parts(rng, n_parts, drawn=drawn))
    used = parts > 0
    assert (parts >= 0).all()
    assert (used.any(axis=1).sum(axis=0) <= 1).all()  # in one part, if at all
    own = task == np.arange(len(counts))[:, None]
    assert not (used & ~own).any()
    sums = parts.sum(axis=2)
    np.testing.assert_allclose(sums[sums > 0], 1)
    if not drawn:
        assert used.any(axis=(0, 1)).all()
        numbers = used.sum(axis=2)
        assert (np.ptp(numbers, axis=0) <= 1).all()
        for part, which in zip(parts, used, strict=True):
            for row, chosen in zip(part, which, strict=True):  # a block counts by its pairs
                np.testing.assert_allclose(row[chosen] * blocks.size[chosen].sum(), blocks.size[chosen])


def test_draws_are_with_replacement_and_no_part_is_always_the_larger(rng):
    blocks = Blocks(np.zeros(7, dtype=np.int64), np.ones(7, dtype=np.int64))
    assert {int((one > 0).sum()) for one, _ in (blocks.parts(rng) for _ in range(40))} == {3, 4}
    numbers = [int((one > 0).sum()) for one, _ in (blocks.parts(rng, drawn=True) for _ in range(40))]
    assert min(numbers) < 3
    together = sum(np.equal.outer(one[0] > 0, one[0] > 0) for one, _ in (blocks.parts(rng) for _ in range(200))) / 200
    np.testing.assert_allclose(together[~np.eye(7, dtype=bool)], 3 / 7, atol=0.15)  # any two blocks as often as any two others


def test_some_tasks_are_numbered_anew():
    blocks = Blocks(np.array([0, 1, 1, 2, 0, 2]), np.array([5, 6, 7, 8, 9, 4]))
    own, rows = blocks.of_tasks([0, 2])
    assert rows.tolist() == [0, 3, 4, 5]
    assert own.task.tolist() == [0, 1, 0, 1]
    assert own.size.tolist() == [5, 8, 9, 4]
    np.testing.assert_allclose(own.means(np.array([1.0, 0.0, 2.0, 1.0])), [[5 / 23, 0, 18 / 23, 0], [0, 0, 0, 1]])


def test_a_half_without_a_block_has_no_direction():
    blocks = Blocks(np.array([0, 1, 1]), np.ones(3, dtype=np.int64))
    vectors = np.array([[1.0, 0], [0, 1], [0, 1]])
    found = task_similarities(vectors @ vectors.T, blocks, n_splits=3)
    np.testing.assert_array_equal(found.reliability, [np.nan, 1])
    np.testing.assert_array_equal(found.similarity, [[np.nan, np.nan], [np.nan, 1]])
    one, other = np.array([[1.0, 0, 0], [0, 1, 0]]), np.array([[0.0, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(half_cosines(vectors @ vectors.T, one, other), [[np.nan, 0], [np.nan, 1]])
    np.testing.assert_array_equal(mean_cosines([np.array([[np.nan, 1.0]]).T @ np.ones((1, 2)), np.ones((2, 2))]), np.ones((2, 2)))


def test_the_correction_by_hand():
    found = corrected(np.array([[0.25, 0.3, 0.1], [0.1, 0.64, 0.2], [0.1, 0.2, -0.1]]))
    np.testing.assert_allclose(found.similarity[0, 1], (0.3 + 0.1) / 2 / (0.5 * 0.8))
    np.testing.assert_array_equal(found.reliability, [0.25, 0.64, -0.1])
    np.testing.assert_array_equal(np.isnan(found.similarity), [[False, False, True], [False, False, True], [True, True, True]])


def test_of_few_tasks_a_retest_has_no_interval(rng):
    directions = rng.normal(size=(5, 30))
    rows = np.repeat(directions, 8, axis=0) + 0.1 * rng.normal(size=(40, 30))
    found = retest(rows @ rows.T, Blocks(np.repeat(np.arange(5), 8), np.full(40, 4)), n_splits=2)
    assert found.value > 0.9
    assert found.interval is None
