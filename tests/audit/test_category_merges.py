"""Merges: the interval against scikit-learn and a slow DeLong, left-out scores against leaving out, and planted pairs."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from lexframe.audit.category_merges import auc_interval, find_merges, mean_scores, nearest_pairs, vote_scores
from lexframe.exceptions import InputError


@given(st.integers(2, 25), st.integers(2, 25), st.integers(0, 9999), st.booleans())
def test_the_interval_against_scikit_learn_and_delong_term_by_term(n, m, seed, ties):
    rng = np.random.default_rng(seed)
    first, second = (rng.integers(0, 5, size).astype(float) if ties else rng.normal(size=size) for size in (n, m))
    found = auc_interval(first, second)
    assert found.value == pytest.approx(roc_auc_score([0] * n + [1] * m, np.concatenate([first, second])))
    wins = [[float(y > x) + 0.5 * float(y == x) for x in first] for y in second]
    variance = np.var(np.mean(wins, axis=1), ddof=1) / m + np.var(np.mean(wins, axis=0), ddof=1) / n
    reach = scipy.stats.norm.ppf(0.975) * np.sqrt(variance)
    assert found.low == pytest.approx(max(found.value - reach, 0))
    assert found.high == pytest.approx(min(found.value + reach, 1))


def test_the_interval_holds_the_truth(rng):
    truth, held = scipy.stats.norm.cdf(0.5 / np.sqrt(2)), 0
    for _ in range(400):
        found = auc_interval(rng.normal(size=60), rng.normal(0.5, size=80))
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_scores_leave_out_the_item_itself(rng):
    one, other = rng.normal(size=(9, 3)), rng.normal(size=(14, 3)) + 1
    first, second = mean_scores(one, other)
    for i in range(9):
        away = np.delete(one, i, axis=0).mean(axis=0)
        assert first[i] == pytest.approx(((one[i] - away) ** 2).sum() - ((one[i] - other.mean(axis=0)) ** 2).sum())
    for i in range(14):
        away = np.delete(other, i, axis=0).mean(axis=0)
        assert second[i] == pytest.approx(((other[i] - one.mean(axis=0)) ** 2).sum() - ((other[i] - away) ** 2).sum())
    points, classes = np.concatenate([one, other]), np.repeat([0, 1], [9, 14])
    expected = [
        KNeighborsClassifier(10).fit(np.delete(points, i, axis=0), np.delete(classes, i)).predict_proba(points[i : i + 1])[0, 1]
        for i in range(23)
    ]
    np.testing.assert_allclose(np.concatenate(vote_scores(one, other)), expected)


def draw(kinds, n, n_dims, rng):
    """Categories as (shift, scale)."""
    parts = [rng.normal(size=(n, n_dims)) * scale + shift * np.eye(n_dims)[0] for shift, scale in kinds]
    return np.concatenate(parts).astype(np.float32), np.repeat(np.arange(len(kinds)), n)


def test_only_what_cannot_be_told_apart_is_named(rng):
    points, numbers = draw([(0, 1), (0, 1), (3, 1), (0, 3)], 200, 5, rng)
    pairs = np.array([(i, j) for i in range(4) for j in range(i)])
    found = find_merges(points, numbers, ["a", "b", "c", "d"], pairs[:, ::-1].copy())
    assert [relation.categories for relation in found] == [("a", "b")]  # d lies around a, and its means are equal
    assert found[0].kind == "merge"
    assert found[0].strength > 0.8
    assert "'a' and 'b' cannot be told apart" in found[0].evidence


def test_modes_that_means_do_not_see_are_no_merge(rng):
    points, numbers = draw([(0, 1), (0, 1)], 200, 5, rng)
    points[200:, 1] += np.where(np.arange(200) % 2, 6, -6)
    assert find_merges(points, numbers, ["a", "b"], np.array([[0, 1]])) == ()


@pytest.mark.parametrize(("n", "n_dims", "least"), [(60, 10, 15), (200, 100, 38)])
def test_how_often_equal_and_different_pairs_are_named(n, n_dims, least):
    rng = np.random.default_rng(n)
    same, different = 0, 0
    for _ in range(40):
        points, numbers = draw([(0, 1), (0, 1), (2, 1)], n, n_dims, rng)
        same += len(find_merges(points, numbers, ["a", "b", "c"], np.array([[0, 1]])))
        different += len(find_merges(points, numbers, ["a", "b", "c"], np.array([[0, 2]])))
    assert same >= least
    assert different == 0


def test_few_members_are_never_enough(rng):
    for n in (1, 2, 10, 24):
        for _ in range(20):
            points, numbers = draw([(0, 1), (0, 1)], n, 3, rng)
            assert find_merges(points, numbers, ["a", "b"], np.array([[0, 1]])) == ()


def test_nearest_pairs_against_all_pairs(rng):
    means = rng.normal(size=(30, 4)).astype(np.float32)
    counts = rng.integers(5, 50, 30)
    counts[4] = 0
    means[9] = means[8]
    chance = 4 * (1 / np.maximum(counts, 1)[:, None] + 1 / np.maximum(counts, 1))
    squares = np.square(means[:, None].astype(float) - means).sum(axis=2) - chance
    expected = sorted((squares[i, j], i, j) for i in range(30) for j in range(i + 1, 30) if 4 not in (i, j))
    found = nearest_pairs(means, counts, n_nearest=29, max_pairs=12)
    assert [tuple(pair) for pair in found.tolist()] == [(i, j) for _, i, j in expected[:12]]
    many = nearest_pairs(rng.normal(size=(10_000, 8)).astype(np.float32), np.full(10_000, 9), max_pairs=50)
    assert many.shape == (50, 2)
    assert (many[:, 0] < many[:, 1]).all()
    assert nearest_pairs(means[:1], counts[:1]).shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"), [({"numbers": np.zeros(3, np.int64)}, "10 points, but 3"), ({"highest_auc": 0.5}, "highest_auc is 0.5")]
)
def test_what_is_wrong_is_said(change, message, without_type_checks):
    given = {
        "points": np.zeros((10, 2), np.float32),
        "numbers": np.zeros(10, np.int64),
        "names": ["a"],
        "pairs": np.zeros((0, 2), np.int64),
    }
    with pytest.raises(InputError, match=message):
        find_merges(**(given | change))
