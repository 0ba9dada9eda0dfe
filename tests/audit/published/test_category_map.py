import itertools
import json
import sys

import numpy as np
import pytest

from lexframe.audit.published.category_map import CategoryMap, category_map
from lexframe.audit.published.hull import convex_hull, hull_jaccard, overlap_area
from lexframe.audit.published.point_map import PointMap
from lexframe.exceptions import InputError


def flat(coordinates):
    return PointMap(np.asarray(coordinates, dtype=np.float64), "pca")


@pytest.fixture
def overlapping(rng):
    """Six categories (the last but one empty) and rows without one, in the plane."""
    given = rng.integers(-1, 6, 400)
    given[given == 4] = 5
    given[:3] = 0
    centers = rng.normal(size=(7, 2)) * 1.5
    return flat(centers[given] + rng.normal(size=(400, 2))), given


def slow_flagged(coordinates, table, peel):
    pairs = []
    for category in range(table.shape[1]):
        hull = convex_hull(coordinates[table[:, category]], peel=peel)
        for row in range(len(coordinates)):
            if not table[row, category] and hull.contains(coordinates[row : row + 1])[0]:
                pairs.append([row, category])
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@pytest.mark.parametrize("peel", [0.0, 0.2])
def test_intruders_are_the_rows_of_others_inside(overlapping, peel):
    points_map, given = overlapping
    table = given[:, np.newaxis] == np.arange(6)
    found = category_map(points_map, given, 6, peel=peel)
    expected = slow_flagged(points_map.coordinates, table, peel)
    np.testing.assert_array_equal(found.flagged(), expected)
    assert len(expected) > 50
    np.testing.assert_array_equal(category_map(points_map, table, peel=peel).flagged(), expected)


def test_rows_in_several_categories(rng):
    coordinates, table = rng.normal(size=(80, 2)), rng.random((80, 3)) < 0.5
    np.testing.assert_array_equal(category_map(flat(coordinates), table).flagged(), slow_flagged(coordinates, table, 0.0))


def test_known_intruders_and_overlap():
    #     0: a square of side 4, 1: a square of side 2 that shares a quarter of itself, 2: a segment, 3: a point
    corners = [[0, 0], [4, 0], [4, 4], [0, 4], [3, 3], [5, 3], [5, 5], [3, 5], [1, 1], [2, 2], [4.5, 4.5]]
    given = np.array([0] * 4 + [1] * 4 + [2, 2, 3])
    found = category_map(flat(corners), given)
    assert found.flagged().tolist() == [[4, 0], [8, 0], [9, 0], [2, 1], [10, 1]]
    overlaps = found.overlaps()
    assert overlaps.pairs.tolist() == [[0, 1]]
    np.testing.assert_allclose(overlaps.areas, [1.0])
    np.testing.assert_allclose(overlaps.jaccards, [1 / 19])
    assert found.overlaps(least=0.1).pairs.tolist() == []


@pytest.mark.parametrize("least", [0.0, 0.15, 0.4, 0.99])
def test_overlaps_are_those_of_all_pairs(rng, least, monkeypatch):
    monkeypatch.setattr(sys.modules[CategoryMap.__module__], "_ROWS_AT_ONCE", 7)  # the function hides its module in the package
    given = np.repeat(np.arange(40), 6)
    coordinates = (rng.normal(size=(40, 2)) * 3)[given] + rng.normal(size=(240, 2))
    coordinates[given == 3] = coordinates[given == 4]
    found = category_map(flat(coordinates), given)
    rows = [
        (hull_jaccard(found.hulls[i], found.hulls[j]), overlap_area(found.hulls[i], found.hulls[j]), i, j)
        for i, j in itertools.combinations(range(40), 2)
    ]
    rows = sorted((row for row in rows if row[1] > 0 and row[0] >= least), key=lambda row: (-row[0], row[2], row[3]))
    overlaps = found.overlaps(least=least)
    assert overlaps.pairs.tolist() == [[i, j] for _, _, i, j in rows]
    np.testing.assert_allclose(overlaps.jaccards, [row[0] for row in rows], rtol=1e-12)
    np.testing.assert_allclose(overlaps.areas, [row[1] for row in rows], rtol=1e-12)
    assert len(rows) >= 1


def test_thousands_of_categories(rng):
    given = np.repeat(np.arange(4_000), 5)
    centers = rng.random((4_000, 2)) * 250
    found = category_map(flat(centers[given] + rng.normal(size=(20_000, 2))), given)
    assert len(found.hulls) == 4_000
    assert len(found.flagged()) > 0
    assert (found.overlaps(least=0.5).jaccards >= 0.5).all()


def test_empty_inputs():
    empty = category_map(flat(np.zeros((0, 2))), np.zeros(0, np.int64), 3)
    assert [len(hull.vertices) for hull in empty.hulls] == [0, 0, 0]
    assert empty.flagged().shape == (0, 2)
    assert empty.overlaps().pairs.shape == (0, 2)
    assert category_map(flat(np.zeros((2, 2))), np.full(2, -1)).flagged().shape == (0, 2)


def test_plain_types(overlapping):
    points_map, given = overlapping
    found = category_map(points_map, given, 6)
    document = json.loads(json.dumps(found.to_dict()))
    assert document["categories"][5]["rows"] == np.flatnonzero(given == 5).tolist()
    assert document["map"]["method"] == "pca"
    assert json.loads(json.dumps(found.overlaps().to_dict()))["pairs"] == found.overlaps().pairs.tolist()


def test_bad_input(overlapping):
    points_map, given = overlapping
    with pytest.raises(InputError, match="400 points, but categories of 399 rows"):
        category_map(points_map, given[1:])
    with pytest.raises(InputError, match=r"peel is 2\.0"):
        category_map(points_map, given, peel=2.0)
