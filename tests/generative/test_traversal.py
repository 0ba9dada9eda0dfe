"""Traversals in a latent whose dimensions are words."""

import json

import numpy as np
import pytest

from lexframe.exceptions import InputError
from lexframe.generative.traversal import traverse
from tests.generative.toy_writer import WORDS, ToyWriter, text_of

TEXT = text_of([1, 1, 1, -1])


def test_each_dimension_changes_its_word_and_no_other():
    found = traverse(ToyWriter(n_ignored=1), TEXT)
    assert found.axes == ("0", "1", "2", "3", "4")
    assert found.reconstruction == TEXT
    for axis, texts in enumerate(found.texts[:4]):
        for amount, text in zip(found.amounts, texts, strict=True):
            signs = np.array([1, 1, 1, -1.0])
            signs[axis] += amount
            assert text == text_of(signs)
    assert set(found.texts[4]) == {TEXT}  # a dimension that is not used
    assert not found.changes[4].any()
    assert (found.changes.max(axis=1)[:4] == 1 / len(WORDS)).all()
    rest = np.delete(found.points[1], 1, axis=1)
    np.testing.assert_array_equal(rest, np.broadcast_to(rest[0], rest.shape))


def test_units_come_from_the_reference():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(50, 4)) * [0.1, 1, 5, 2] + [0, 0, 3, 0]
    found = traverse(ToyWriter(), TEXT, axes=[2, 0], amounts=[-1.0, 2.0], reference=reference)
    np.testing.assert_allclose(found.units, reference.std(axis=0, ddof=1)[[2, 0]])
    np.testing.assert_allclose(found.points[0, :, 2], 1 + np.array([-1, 2]) * found.units[0], rtol=1e-6)
    absolute = traverse(ToyWriter(), TEXT, axes=[2], amounts=[-1.0, 2.0], reference=reference, is_absolute=True)
    np.testing.assert_allclose(absolute.points[0, :, 2], reference[:, 2].mean() + np.array([-1, 2]) * found.units[0], rtol=1e-6)
    np.testing.assert_array_equal(absolute.points[0, :, [0, 1, 3]].T, np.tile([1, 1, -1], (2, 1)))


def test_any_direction_by_name():
    direction = np.array([0.0, 3.0, 0.0, 4.0])
    found = traverse(ToyWriter(), TEXT, axes={"both": direction}, amounts=[-5.0, 0.0, 5.0])
    np.testing.assert_allclose(found.points[0, 2], [1, 1 + 3, 1, -1 + 4], rtol=1e-6)
    assert found.texts[0] == ("she spoke loudly yesterday", TEXT, "she sang loudly today")
    longer = traverse(ToyWriter(), TEXT, axes={"both": 7 * direction}, amounts=[-5.0, 0.0, 5.0])
    assert longer.texts == found.texts


def test_table_and_document():
    found = traverse(ToyWriter(), TEXT, axes=[0, 3], amounts=[-2.0, 2.0])
    table = found.to_frame().pivot(index="axis", columns="amount", values="text")
    assert table.loc["3", 2.0] == "she sang loudly today"
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["changes"] == [[0.25, 0], [0, 0.25]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": []}, "axes is empty"),
        ({"axes": [4]}, "no dimension 4"),
        ({"axes": [-1]}, "no dimension -1"),
        ({"axes": {"flat": np.zeros(4)}}, "'flat' is zero"),
        ({"axes": {"short": np.ones(3)}}, "'short' has 3 dimensions, but 4"),
        ({"axes": {"odd": np.array([1, np.nan, 0, 0])}}, "not finite"),
        ({"amounts": []}, "amounts is"),
        ({"amounts": [0.0, np.inf]}, "amounts is"),
        ({"reference": np.ones((5, 3))}, "reference has 3 dimensions"),
        ({"reference": np.ones((1, 4))}, "reference has 1 points"),
        ({"reference": np.ones((5, 4))}, "does not vary along the axis '0'"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(InputError, match=message):
        traverse(ToyWriter(), TEXT, **options)


def test_several_texts_are_refused(without_type_checks):
    with pytest.raises(InputError, match="one text"):
        traverse(ToyWriter(), [TEXT, TEXT])
