"""Overlaps: by hand, against the binomial of scipy, where nothing is planted, and with 10,000 categories."""

import time

import numpy as np
import pytest
import scipy.sparse
import scipy.stats

from lexframe.audit.relations import CategoryRelation, find_overlaps
from lexframe.exceptions import InputError


def names(k):
    return [f"c{i}" for i in range(k)]


def planted(k, n, pairs, share, rng):
    """Counts of items placed elsewhere at random, and of some pairs in each other."""
    table = rng.poisson(0.05 * n / k, size=(k, k)).astype(float)
    for i, j in pairs:
        table[i, j] = table[j, i] = share * n
    np.fill_diagonal(table, 0)
    return table + np.diag(n - table.sum(axis=1))


def test_planted_pairs_are_found_and_nothing_else(rng):
    table = planted(20, 200, [(3, 7), (11, 2)], 0.2, rng)
    table[5, 6] = 60  # one direction alone
    found = find_overlaps(table, np.full(20, 200), names(20))
    assert [relation.categories for relation in found] == [("c2", "c11"), ("c3", "c7")]
    assert found[0].strength == pytest.approx(0.2)
    assert found[0].kind == "overlap"
    assert "20% of 'c2' in 'c11' and 20% of 'c11' in 'c2'" in found[0].evidence
    assert found[0].to_dict()["categories"] == ["c2", "c11"]
    assert find_overlaps(scipy.sparse.csr_array(table), np.full(20, 200), names(20)) == found
    assert find_overlaps(table, np.full(20, 200), names(20), least_share=0.3) == ()


def test_the_strongest_comes_first_and_strength_is_the_geometric_mean():
    table = np.array([[80.0, 10, 0, 0], [40, 60, 0, 0], [0, 0, 60, 30], [0, 0, 30, 60]])
    found = find_overlaps(table, np.array([100, 100, 100, 100]), names(4))
    assert [relation.categories for relation in found] == [("c2", "c3"), ("c0", "c1")]
    assert found[1].strength == pytest.approx(np.sqrt(0.1 * 0.4))


def test_sizes_are_taken_into_account():
    """A large category draws from all the others, and they from it, without being close to any."""
    counts = np.array([1000, *[100] * 8])
    table = np.zeros((9, 9))
    for k in range(9):
        others = np.delete(np.arange(9), k)
        table[k, others] = 0.3 * counts[k] * counts[others] / counts[others].sum()
    assert table[1, 0] / counts[1] > 0.1  # well above the least share
    assert find_overlaps(table, counts, names(9), least_share=0.01) == ()
    table[1, 2], table[2, 1] = 30, 30
    assert [relation.categories for relation in find_overlaps(table, counts, names(9))] == [("c1", "c2")]


def test_the_tail_is_the_binomial_one():
    """On whole numbers: called exactly where scipy's tail is below the level."""
    for misplaced in range(2, 12):
        table = np.diag(np.full(10, 50.0))
        table[0, 1] = table[1, 0] = misplaced
        table[0, 2] = table[1, 2] = 6
        tail = scipy.stats.binom.sf(misplaced - 1, misplaced + 6, 1 / 9)
        for level in (tail * 2 * 1.01, tail * 2 * 0.99):  # four directions, two pairs
            found = find_overlaps(table, np.full(10, 50), names(10), least_share=0.0, least_lift=0.0, level=level)
            assert bool(found) == (level > tail * 2)


def test_nothing_is_called_where_nothing_is_planted(rng):
    n_called = 0
    for _ in range(100):
        table = rng.poisson(2.0, size=(15, 15)).astype(float)
        n_called += len(find_overlaps(table, np.full(15, 40), names(15), level=0.05))
    assert n_called <= 5


def test_two_categories_count_by_their_share():
    table = np.array([[80.0, 20], [15, 85]])
    (found,) = find_overlaps(table, np.array([100, 100]), ["a", "b"])
    assert found == CategoryRelation("overlap", ("a", "b"), found.strength, found.evidence)
    assert found.strength == pytest.approx(np.sqrt(0.03))
    assert "times" not in found.evidence
    assert find_overlaps(np.diag([10.0, 10]), np.array([10, 10]), ["a", "b"]) == ()


def test_ten_thousand_categories(rng):
    k, n_items = 10_000, 1_000_000
    rows, columns = rng.integers(0, k, n_items), rng.integers(0, k, n_items)
    table = scipy.sparse.coo_array((rng.random(n_items), (rows, columns)), shape=(k, k)).tolil()
    table[17, 4321] = table[4321, 17] = 30.0
    start = time.process_time()
    found = find_overlaps(table.tocsr(), np.full(k, 100), names(k))
    assert time.process_time() - start < 5
    assert [relation.categories for relation in found] == [("c17", "c4321")]


def test_an_empty_category_does_no_harm():
    assert find_overlaps(np.zeros((3, 3)), np.array([0, 5, 0]), names(3)) == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find_overlaps(np.zeros((2, 3)), np.array([1, 1]), ["a", "b"]), r"shape \(2, 3\), with 2 counts and 2 names"),
        (lambda: find_overlaps(np.zeros((2, 2)), np.array([1, 1]), ["a"]), "1 names"),
        (lambda: find_overlaps(np.array([[0, -1.0], [0, 0]]), np.array([1, 1]), ["a", "b"]), "negative numbers or NaN"),
        (lambda: find_overlaps(np.array([[0, np.nan], [0, 0]]), np.array([1, 1]), ["a", "b"]), "negative numbers or NaN"),
    ],
)
def test_what_is_wrong_is_said(call, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        call()
