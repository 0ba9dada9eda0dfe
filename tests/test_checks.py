"""What is handed in is checked and named, and what goes out is plain."""

import json

import numpy as np
import pandas as pd
import pytest

from lexframe.checks import checked_points, checked_texts, checked_vector, class_number, class_numbers, is_missing, plain
from lexframe.exceptions import InputError


def test_texts(without_type_checks):
    assert checked_texts(("a", "")) == ["a", ""]
    assert checked_texts("a text") == ["a text"]
    for texts, says in (
        ([], "is empty"),
        (["a", None], r"remarks\[1\] is missing"),
        (["a", 3], r"remarks\[1\] is int 3"),
        (b"a", "remarks is bytes"),
    ):
        with pytest.raises(InputError, match=says):
            checked_texts(texts, what="remarks")


@pytest.mark.parametrize("points", [[[1, 2], [3, 4]], np.ones((2, 2), np.float32), np.ones((0, 2))])
def test_points_become_float64(points):
    found = checked_points(points, 2)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, points)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([1.0, 2.0], r"shape \(2,\)"),
        ([["a", "b"]], "expected a table of numbers"),
        ([[1.0, 2.0, 3.0]], "has 3 dimensions, but 2 are expected"),
        ([[0.0, 0.0], [np.nan, 0.0], [np.inf, 0.0]], "2 of 3 rows of states are not finite, the first is row 1"),
    ],
)
def test_points_that_are_refused(points, says):
    with pytest.raises(InputError, match=says):
        checked_points(points, 2, what="states")


def test_a_vector():
    np.testing.assert_array_equal(checked_vector([1, 2], 2), [1.0, 2.0])
    with pytest.raises(InputError, match=r"direction has shape \(1, 2\); expected one vector"):
        checked_vector([[1, 2]], what="direction")


def test_classes_are_sorted_and_numbered():
    classes, numbers = class_numbers(["b", "a", "b", "a"], 4)
    assert classes == ("a", "b")
    assert numbers.tolist() == [1, 0, 1, 0]
    assert class_numbers(np.array([3, 3, 1, 1]), 4)[0] == (1, 3)
    assert class_numbers(["1", 1, "1", 1], 4)[0] == (1, "1")  # types that cannot be compared
    assert class_number("b", classes) == 1
    with pytest.raises(InputError, match="'c' is no class here; the classes are 'a', 'b'"):
        class_number("c", classes)


@pytest.mark.parametrize(
    ("labels", "n_points", "says"),
    [
        (["a", "a"], 3, "3 points, but 2 labels"),
        (["a", None, "a"], 3, "the first in row 1"),
        ([1.0, 1.0, float("nan")], 3, "the first in row 2"),
        (["a", "a", "b"], 3, "the class 'b' has one text"),
        ([], 0, "there is none"),
    ],
)
def test_labels_that_are_refused(labels, n_points, says):
    with pytest.raises(InputError, match=says):
        class_numbers(labels, n_points)


def test_plain_values_are_json():
    value = {1: np.float32(0.5), "a": (np.arange(2), [float("nan"), np.inf]), "b": None, "c": np.bool_(True)}
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {"1": 0.5, "a": [[0, 1], [None, None]], "b": None, "c": True}


@pytest.mark.parametrize("value", [None, float("nan"), np.float32("nan"), np.float64("nan"), pd.NA, pd.NaT, np.datetime64("NaT")])
def test_what_stands_for_no_value_is_missing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", ["nan", "", "NaN", b"", 0, 0.0, False, float("inf"), [], ["nan"], np.array([np.nan, 1.0])])
def test_what_is_a_value_is_not_missing(value):
    assert not is_missing(value)
