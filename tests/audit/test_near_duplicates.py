"""Duplicates against all pairs compared one by one, and against a slow union of pairs."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.audit.memberships.memberships import multi_label, single_label
from lexframe.audit.near_duplicates import find_duplicates, near_threshold
from lexframe.exceptions import InputError
from lexframe.latents.neighbors import NeighborIndex


def slow_groups(n, is_pair):
    parent = list(range(n))

    def top(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for i in range(n):
        for j in range(i + 1, n):
            if is_pair(i, j):
                parent[max(top(i), top(j))] = min(top(i), top(j))
    groups = {}
    for i in range(n):
        groups.setdefault(top(i), []).append(i)
    return tuple(tuple(rows) for rows in groups.values() if len(rows) > 1)


@given(st.integers(1, 30), st.integers(0, 9999), st.booleans(), st.booleans())
def test_against_all_pairs(n, seed, with_texts, search_before):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, 3)).astype(np.float32)
    points += (rng.random((n, 1)) < 0.3) * 0.02 * rng.normal(size=(n, 3)).astype(np.float32)
    points[rng.random(n) < 0.1] = 0
    source = rng.integers(0, n, n)
    points = points[source]
    texts = [rng.choice(["One {}", "one  {}", "ONE {} "]).format(i) for i in source] if with_texts else None
    if not with_texts:
        points *= rng.choice([1, 1, 2], n).astype(np.float32)[:, None]
    neighbors = NeighborIndex().fit(points).search(points, 40) if search_before else None
    found = find_duplicates(points, texts=texts, neighbors=neighbors, threshold=0.9995, k=40)
    lengths = np.linalg.norm(points.astype(float), axis=1)

    def is_pair(i, j):
        if texts and texts[i].lower().split() == texts[j].lower().split():
            return True
        return bool(lengths[i] * lengths[j]) and points[i].astype(float) @ points[j] >= 0.9995 * lengths[i] * lengths[j]

    assert found.groups == slow_groups(n, is_pair)
    assert found.n_rows == n
    numbers = found.numbers()
    assert [tuple(np.flatnonzero(numbers == i)) for i in range(len(found.groups))] == list(found.groups)


def test_exact_near_and_conflicting():
    points = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    points[10] = points[3] + 1e-4
    points[20] = points[4]
    texts = [f"text {i}" for i in range(60)]
    texts[30] = "  TEXT\u00a05"
    labels = ["a", "b"] * 30
    labels[10] = "b"
    found = find_duplicates(points, texts=texts, memberships=single_label(labels))
    assert found.groups == ((3, 10), (4, 20), (5, 30))
    assert found.is_exact == (False, False, True)
    assert found.conflicting == ((5, 30),)
    assert find_duplicates(points).is_exact == (False, True)
    several = [["a", "b"], ["b"]] * 30
    several[20] = ["b", "a"]
    several[10] = ["b"]
    assert find_duplicates(points, memberships=multi_label(several)).conflicting == ()
    several[20] = []
    assert find_duplicates(points, memberships=multi_label(several)).conflicting == ((4, 20),)
    assert found.to_dict()["groups"] == [[3, 10], [4, 20], [5, 30]]


@pytest.mark.parametrize(("dimension", "cone"), [(8, 1), (12, 0), (12, 10), (20, 3)])
def test_the_threshold_finds_what_is_planted_and_nothing_else(dimension, cone):
    """In data that fill few or many dimensions, of a sphere or of a narrow cone as raw states of language models do."""
    rng = np.random.default_rng(dimension)
    n, wrong, missed = 2000, 0, 0
    for _ in range(3):
        spread = rng.normal(size=(dimension, 40))
        points = rng.normal(size=(n, dimension)) @ spread + cone * rng.normal(size=40)
        copies = rng.choice(n, 100, replace=False)
        near = points[copies] + 0.02 * rng.normal(size=(100, dimension)) @ spread
        found = find_duplicates(np.concatenate([points, near]).astype(np.float32))
        planted = {(int(row), n + i) for i, row in enumerate(copies)}
        wrong += len(set(found.groups) - planted)
        missed += len(planted - set(found.groups))
    assert wrong <= 3  # one in 10,000 by chance, and density is not even
    assert missed <= 30
    close = NeighborIndex().fit(points.astype(np.float32)).search(points.astype(np.float32), 2).scores[:, 1]
    assert found.threshold > np.quantile(close, 0.99)


def test_the_threshold_by_hand():
    """Distances with the law of a known dimension give the distance that one in 10,000 is below."""
    rng = np.random.default_rng(0)
    for dimension, scale in ((3, 0.05), (8, 0.15), (12, 0.2)):
        arrivals = np.cumsum(rng.exponential(size=(20_000, 10)), axis=1)
        distances = scale * arrivals ** (1 / dimension)
        expected = 1 - (scale * 1e-4 ** (1 / dimension)) ** 2 / 2
        similarities = 1 - distances**2 / 2
        assert 1 - near_threshold(similarities) == pytest.approx(1 - expected, rel=0.1)
        with_self = np.concatenate([similarities[:, ::-1], np.full((20_000, 1), np.nan)], axis=1)
        assert near_threshold(with_self) == pytest.approx(near_threshold(similarities))
    assert near_threshold(np.full((50, 9), 0.5)) == 0.95  # the floor
    assert near_threshold(np.ones((50, 9))) == pytest.approx(1)
    assert near_threshold(np.full((5, 9), 0.5)) == near_threshold(np.full((500, 2), 0.5)) == 0.99


@pytest.mark.parametrize("with_texts", [True, False])
def test_all_equal_is_one_group_and_linear(with_texts):
    seconds = []
    for n in (40_000, 160_000):
        points = np.ones((n, 16), np.float32)
        start = time.process_time()
        found = find_duplicates(points, texts=["same"] * n if with_texts else None)
        seconds.append(time.process_time() - start)
        assert found.groups == (tuple(range(n)),)
        assert found.is_exact == (True,)
    assert seconds[1] < 10 * seconds[0]


def test_hash_collisions_are_looked_at(monkeypatch):
    class SameWeights:
        def integers(self, low, high, size, dtype=np.int64):
            return np.zeros(size, dtype)

    points = np.array([[1, 2], [2, 1], [1, 2], [-1, 5]], np.float32)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: SameWeights())
    assert find_duplicates(points, threshold=1.0).groups == ((0, 2),)  # weights of one: keys of rows 0 and 1 are equal


def test_no_rows_and_one_row():
    for n in (0, 1):
        found = find_duplicates(np.ones((n, 2), np.float32), texts=["a"] * n)
        assert found.groups == found.is_exact == found.conflicting == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: find_duplicates(p, texts=["a"]), "3 points, but 1 texts"),
        (lambda p: find_duplicates(p, memberships=single_label(["a", "b"])), "3 points, but 2 memberships"),
        (lambda p: find_duplicates(p, neighbors=NeighborIndex().fit(p).search(p[:1])), "3 points, but 1 neighbors"),
        (lambda p: find_duplicates(p, neighbors=NeighborIndex(metric="euclidean").fit(p).search(p)), "by euclidean; near duplicates need"),
        (lambda p: find_duplicates(p, threshold=1.5), "threshold is 1.5"),
        (lambda p: find_duplicates(np.where(p > 0, np.float32(np.nan), p)), "NaN"),
    ],
)
def test_what_is_wrong_is_said(call, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        call(np.eye(3, dtype=np.float32))
