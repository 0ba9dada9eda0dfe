"""Tables as they come: rare classes, as many texts as classes, one class, the same text again and again."""

import numpy as np
import pytest

from lexframe.adaptation import Draws, adapt, compare
from lexframe.adaptation.task import rare_classes
from lexframe.data import Table
from lexframe.exceptions import DataError, InputError
from tests.planted import planted_space, planted_table


def test_rare_classes_are_one_line_and_no_warning():  # warnings are errors here
    assert rare_classes(("a", "b", "c"), np.array([0, 0, 0, 1, 2, 2])) == [
        "Fewer than 3 texts in b (1), c (2): choices by cross-validation are made on next to nothing there."
    ]
    assert rare_classes(("a",), np.zeros(3, dtype=int)) == []
    whole = planted_table(12, 0)
    kept = [row for row, label in enumerate(whole.labels) if label != "room" or row == whole.labels.index("room")]
    train = Table(tuple(whole.texts[row] for row in kept), tuple(whole.labels[row] for row in kept), "here", 0, tuple(range(len(kept))))
    result, _ = adapt(planted_space(), train, planted_table(4, 1), methods="lda,logistic,posterior")
    assert any("room (1)" in note for note in result.notes)


def test_as_many_texts_as_classes_is_said_of_lda():
    texts, labels = ("card", "courier", "bed"), ("money", "parcel", "room")
    train = Table(texts, labels, "here", 0, (0, 1, 2))
    with pytest.raises(InputError, match="lda needs more labeled texts than labels, and has 3 for 3"):
        compare({"toy": planted_space()}, train, planted_table(4, 1), methods="lda", draws=Draws(("all",), (0,)))


@pytest.mark.parametrize(
    ("train", "message"),
    [((["card", "bed"], ["money", "money"]), "one class only"), ((["card", "bed"], ["money", "room"]), "cannot be split")],
)
def test_what_leaves_nothing_to_learn_is_one_line(train, message):
    with pytest.raises(DataError, match=message):
        adapt(planted_space(), train, methods="lda")


def test_the_same_text_again_and_again_is_worth_nothing():
    train, test = (["card"] * 20, ["money", "room"] * 10), (["card"] * 40, ["money", "room"] * 20)
    result, _ = adapt(planted_space(), train, test, methods="logistic")
    assert result.recommended is None
