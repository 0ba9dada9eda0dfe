"""What the columns of posterior calibration are."""

import numpy as np
import pytest

from lexframe.instruments.classifiers.column_layout import PHRASES, WORDS, ColumnLayout


def test_tables_come_first_and_points_by_view_after_them(rng):
    X = rng.normal(size=(4, 3 * 2 + 2 + 3 + 4))
    layout = ColumnLayout.of(15, labels=("b", "a"), views=[[2, 3], [4]], priors=[WORDS, PHRASES], opinions=[1])
    assert (layout.prior_kinds, layout.prior_views, layout.opinion_views) == ([WORDS, PHRASES], [0, 1], [1])
    assert layout.block_parts == [slice(0, 2), slice(2, 5), slice(5, 9)]
    assert layout.block_views == [0, 0, 1]
    assert layout.prior_parts == [slice(0, 5), slice(5, 9)]
    (words, phrases), (opinion,), points = layout.split(X)
    for table, columns in ((words, [1, 0]), (phrases, [3, 2]), (opinion, [5, 4])):  # labels sorted, rows centered
        np.testing.assert_allclose(table, X[:, columns] - X[:, columns].mean(axis=1, keepdims=True))
    np.testing.assert_array_equal(points, X[:, 6:])


def test_without_labels_there_are_points_alone(rng):
    layout = ColumnLayout.of(5, labels=None, views=None, priors=None, opinions=())
    X = rng.normal(size=(3, 5))
    tables, said, points = layout.split(X)
    assert (tables, said, layout.prior_kinds) == ([], [], [])
    np.testing.assert_array_equal(points, X)
    assert layout.block_parts == [slice(0, 5)]


def test_the_first_view_has_words_unless_it_is_said():
    assert ColumnLayout.of(9, labels=(0, 1), views=[[3], [4]], priors=None, opinions=()).prior_views == [0]
    assert ColumnLayout.of(9, labels=(0, 1), views=[[3], [4]], priors=[None, PHRASES], opinions=()).prior_views == [1]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"n_columns": 4}, "expected 4 scores of labels and the points after them"),
        ({"views": [[3], [5]]}, "add up to 8 columns, but there are 7"),
        ({"priors": [WORDS]}, "for each of 2 views"),
        ({"opinions": [2]}, "expected numbers of 2 views"),
        ({"labels": None}, "prior_labels that name the columns"),
    ],
)
def test_what_does_not_fit_is_said(change, complaint):
    settings = {"n_columns": 11, "labels": (0, 1), "views": [[3], [4]], "priors": [WORDS, None], "opinions": [1]} | change
    with pytest.raises(ValueError, match=complaint):
        ColumnLayout.of(settings.pop("n_columns"), **settings)
