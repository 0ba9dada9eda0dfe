from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from lexframe.audit.published.hierarchical_vectors import category_levels, hierarchical_vectors
from lexframe.exceptions import DataError, InputError

#            0
#          1   2      5 stands alone, 6 below 5
#        3   4
PARENTS = np.array([-1, 0, 0, 1, 1, -1, 5])


def slow_vectors(points, table, parents, weight, vectors=None):
    """One row after another."""
    points = points.astype(np.float64)
    n = len(parents)

    def path(category):
        return [category] if parents[category] < 0 else [category, *path(parents[category])]

    if vectors is None:
        vectors = []
        for category in range(n):
            below = [row for other in range(n) if category in path(other) for row in np.flatnonzero(table[:, other])]
            vectors.append(points[below].mean(axis=0) if below else points.mean(axis=0))
        vectors = np.array(vectors)
    appended = [
        np.mean([vectors[path(c)].mean(axis=0) for c in np.flatnonzero(row)], axis=0) if row.any() else points.mean(axis=0) for row in table
    ]
    return np.hstack([points, weight * np.array(appended)])


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_every_row_by_itself(rng, weight):
    points, given = rng.normal(size=(60, 4)).astype(np.float32), rng.integers(-1, 7, 60)
    given[given == 1] = 3  # has no rows of its own, only below it
    table = given[:, np.newaxis] == np.arange(7)
    expected = slow_vectors(points, table, PARENTS, weight)
    found = hierarchical_vectors(points, given, PARENTS, weight)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found, hierarchical_vectors(points, table, PARENTS, weight))


def test_rows_in_several_categories_and_vectors_of_names(rng):
    points, table = rng.normal(size=(40, 3)).astype(np.float32), rng.random((40, 7)) < 0.3
    np.testing.assert_allclose(hierarchical_vectors(points, table, PARENTS), slow_vectors(points, table, PARENTS, 1.0), atol=1e-6)
    names = rng.normal(size=(7, 3)).astype(np.float32)
    found = hierarchical_vectors(points, table, PARENTS, 0.5, category_vectors=names)
    np.testing.assert_allclose(found, slow_vectors(points, table, PARENTS, 0.5, names.astype(np.float64)), atol=1e-6)


def test_a_category_without_any_rows_below_it(rng):
    points = rng.normal(size=(10, 2)).astype(np.float32)
    found = hierarchical_vectors(points, np.zeros(10, np.int64), np.array([1, 2, -1, -1]))
    np.testing.assert_allclose(found[:, 2:], np.broadcast_to(points.mean(axis=0), (10, 2)), atol=1e-6)
    assert hierarchical_vectors(points[:0], np.zeros(0, np.int64), PARENTS).shape == (0, 4)


def test_the_silhouette_cannot_fall_whatever_the_labels_are(rng):
    """Why the rise that the paper reports is no evidence: labels that mean nothing have it too, in every row."""
    points, given = rng.normal(size=(300, 10)).astype(np.float32), rng.integers(0, 5, 300)
    parents = np.array([-1, 0, 0, -1, 3])
    rows = [silhouette_samples(hierarchical_vectors(points, given, parents, weight), given) for weight in (0.0, 1.0, 3.0, 30.0)]
    np.testing.assert_allclose(rows[0], silhouette_samples(points, given), atol=1e-5)
    for lower, higher in pairwise(rows):
        assert (higher >= lower - 1e-5).all()
        assert higher.mean() > lower.mean()


def test_levels():
    assert category_levels(PARENTS).tolist() == [0, 1, 1, 2, 2, 0, 1]
    assert category_levels(np.arange(10_000) - 1).tolist() == list(range(10_000))  # one long path
    assert category_levels(np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize(
    ("parents", "message"),
    [
        ([-1, 5, 0], "Category 1 has the parent 5; expected 0 to 2, or -1 for none"),
        ([-2], "Category 0 has the parent -2"),
        ([0], "cycle: 0 < 0"),
        ([-1, 2, 3, 1, 1], "cycle: (1 < 2 < 3 < 1|2 < 3 < 1 < 2|3 < 1 < 2 < 3)"),
        (np.roll(np.arange(100), 1), r"cycle: \d+ < .* < \.\.\. < \d+\. Make one of them a root"),
    ],
)
def test_broken_hierarchies(parents, message):
    with pytest.raises(DataError, match=message):
        category_levels(np.array(parents))


def test_bad_input(rng, without_type_checks):
    points = rng.normal(size=(4, 2)).astype(np.float32)
    given = np.array([0, 1, 0, 1])
    with pytest.raises(InputError, match="Row 1 is in category 1; expected 0 to 0"):
        hierarchical_vectors(points, given, np.array([-1]))
    for weight in (-1.0, float("nan")):
        with pytest.raises(InputError, match="weight is"):
            hierarchical_vectors(points, given, np.array([-1, 0]), weight)
    with pytest.raises(InputError, match=r"category_vectors have shape \(3, 2\); expected finite numbers of shape \(2, 2\)"):
        hierarchical_vectors(points, given, np.array([-1, 0]), category_vectors=np.zeros((3, 2)))
    with pytest.raises(InputError, match="4 points, but categories of 3 rows"):
        hierarchical_vectors(points, given[:3], np.array([-1, 0]))
