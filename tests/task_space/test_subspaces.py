"""Which parameters tasks select and share, against sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.task_space.similarity import Blocks
from lexframe.task_space.subspaces import N_SPLITS, selected, subspace_overlaps
from tests.reference.subspaces import slow_overlaps, slow_selected

STARTS = np.array([0, 7, 207, 1207])


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4), share=st.floats(0.001, 1), seed=st.integers(0, 99))
def test_the_largest_of_each_tensor_are_selected(lengths, share, seed):
    starts = np.concatenate([[0], np.cumsum(lengths)])
    sizes = np.random.default_rng(seed).permutation(3 * starts[-1]).reshape(3, -1).astype(np.float64)
    chosen = selected(sizes, starts, share=share)
    for row, found in zip(sizes, chosen, strict=True):
        assert set(np.flatnonzero(found)) == slow_selected(row, starts.tolist(), share)


def test_overlaps_are_those_of_sets(rng):
    blocks = Blocks(np.repeat([0, 1], [5, 6]), rng.integers(1, 6, size=11))
    means = rng.normal(size=(2, 1207))
    coordinates = (means[blocks.task] + rng.normal(size=(11, 1207))).astype(np.float32)
    found = subspace_overlaps(coordinates, STARTS, blocks, share=0.05, n_resamples=10, seed=7)
    again = np.random.default_rng(7)
    splits = []
    for _ in range(N_SPLITS):
        halves = blocks.parts(again)
        splits.append([[np.flatnonzero(half[task]) for half in halves] for task in range(2)])
    np.testing.assert_allclose(found.overlap, slow_overlaps(coordinates, STARTS.tolist(), blocks.size, splits, 0.05), atol=1e-12)
    assert (found.low < found.overlap).all()
    assert (found.overlap < found.high).all()


def test_independent_gradients_share_what_chance_gives(rng):
    n_tasks = 12
    blocks = Blocks(np.repeat(np.arange(n_tasks), 4), np.ones(4 * n_tasks, dtype=np.int64))
    coordinates = rng.normal(size=(4 * n_tasks, 1207)).astype(np.float32)
    found = subspace_overlaps(coordinates, STARTS, blocks, share=0.1, n_resamples=4)
    numbers, sizes = np.array([1, 20, 100]), np.array([7, 200, 1000])
    assert found.chance == pytest.approx((numbers**2 / sizes).sum() / 121)
    assert abs(found.overlap.mean() - found.chance) < 0.01
    np.testing.assert_array_equal(found.overlap, found.overlap.T)


def test_equal_gradients_share_everything_and_planted_ones_what_was_planted(rng):
    tasks = np.full((3, 1000), 0.01) * rng.random((3, 1000))
    tasks[0, :10] = tasks[1, :10] = 1
    tasks[2, 5:15] = -1
    blocks = Blocks(np.repeat([0, 1, 2], 4), np.ones(12, dtype=np.int64))
    found = subspace_overlaps(tasks[blocks.task].astype(np.float32), np.array([0, 1000]), blocks, share=0.01, n_resamples=4)
    np.testing.assert_allclose(found.overlap, [[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    np.testing.assert_allclose(found.low, found.overlap)
    np.testing.assert_allclose(found.high, found.overlap)


def test_parameters_that_no_pair_moves_are_not_selected(rng):
    # Rows of an embedding of words that no text has: were they selected in the order in which they stand, tasks would share them.
    blocks = Blocks(np.repeat([0, 1], 4), np.ones(8, dtype=np.int64))
    coordinates = np.zeros((8, 1000), dtype=np.float32)
    coordinates[:4, 100:130] = rng.normal(size=30) + 9
    coordinates[4:, 120:150] = rng.normal(size=30) + 9
    found = subspace_overlaps(coordinates, np.array([0, 1000]), blocks, share=0.1, n_resamples=4)
    np.testing.assert_allclose(found.overlap, [[1, 1 / 3], [1 / 3, 1]])
    assert not selected(np.abs(coordinates).astype(np.float64), np.array([0, 1000]), share=0.1)[:, :100].any()
    still = subspace_overlaps(np.zeros((8, 1000), dtype=np.float32), np.array([0, 1000]), blocks, n_resamples=4)
    assert not still.overlap.any()
