import numpy as np
import pytest

from lexframe.audit.published.category_rows import category_rows, category_sums, check_rows
from lexframe.exceptions import InputError


def test_rows_of_every_category(rng):
    given = rng.integers(-1, 6, 200)
    given[given == 4] = 2  # an empty one between others
    found = category_rows(given, 7)
    assert (found.n_categories, found.n_rows) == (7, 200)
    for category in range(7):
        np.testing.assert_array_equal(found.of(category), np.flatnonzero(given == category))
        np.testing.assert_array_equal(found.holds(category, np.arange(200)), given == category)
    np.testing.assert_array_equal(found.sizes, [np.sum(given == category) for category in range(7)])


def test_rows_in_several_categories(rng):
    table = rng.random((50, 4)) < 0.4
    table[:, 2] = False
    found = category_rows(table)
    for category in range(4):
        np.testing.assert_array_equal(found.of(category), np.flatnonzero(table[:, category]))


def test_a_table_with_one_true_a_row_is_the_numbers(rng):
    given = rng.integers(0, 5, 40)
    numbers, table = category_rows(given, 5), category_rows(np.eye(5, dtype=bool)[given])
    np.testing.assert_array_equal(numbers.rows, table.rows)
    np.testing.assert_array_equal(numbers.starts, table.starts)


def test_nothing_at_all():
    assert category_rows(np.zeros(0, np.int64)).n_categories == 0
    assert category_rows(np.full(3, -1)).n_categories == 0
    assert category_rows(np.zeros((0, 3), bool)).sizes.tolist() == [0, 0, 0]


def test_sums_add_in_float64(rng):
    points = (1e4 + rng.normal(size=(5000, 3))).astype(np.float32)
    given = rng.integers(0, 3, 5000)
    sums = category_sums(points, category_rows(given, 4))
    expected = [points[given == category].astype(np.float64).sum(axis=0) for category in range(4)]
    np.testing.assert_allclose(sums, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("given", "n_categories", "message"),
    [
        (np.array([0, 3, 1]), 3, "Row 1 is in category 3; expected 0 to 2"),
        (np.array([0, -2]), None, "Row 1 is in category -2"),
        (np.zeros((2, 3), bool), 4, "3 columns, but n_categories is 4"),
        (np.array([0.0, 1.0]), None, "type float64"),
        (np.zeros((2, 2), int), None, r"shape \(2, 2\)"),
        (np.array([True, False]), None, "type bool"),
    ],
)
def test_bad_categories(given, n_categories, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        category_rows(given, n_categories)


def test_bad_numbers_and_rows():
    found = category_rows(np.array([0, 1]))
    with pytest.raises(InputError, match="Category 2 was asked for, but categories are 0 to 1"):
        found.of(2)
    with pytest.raises(InputError, match="3 points, but categories of 2 rows"):
        check_rows(np.zeros((3, 2), np.float32), found)
    with pytest.raises(InputError, match="Row 1 of the points holds NaN"):
        check_rows(np.array([[0.0], [np.nan]], np.float32), found)
