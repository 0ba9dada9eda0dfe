"""Whether a model does what a text says: scripted models of every kind."""

import numpy as np
import pytest

from lexframe.exceptions import InputError
from lexframe.verbal import Obedience, Rows, ScriptedClient, Stated, Task, measure_obedience, stated_labels, stated_split
from lexframe.verbal.task import Sample
from tests.verbal.students import obeys, prompt_of

TEXTS = [f"{'refund' if number % 2 else 'parcel'} number {['one', 'two', 'three', 'four'][number % 4]}" for number in range(40)]
LABELS = Task(("text",), labels=("billing", "delivery"), text_columns=("text",), kind="sentences")
LINE = Task(("x",), kind="sentences")
NUMBERS = Rows.of(np.linspace(0, 1, 40).reshape(-1, 1))


@pytest.mark.parametrize(("task", "rows"), [(LABELS, Rows.of(TEXTS)), (LINE, NUMBERS), (Task(("x",), labels=("a", "b")), NUMBERS)])
def test_a_model_that_obeys_passes(task, rows):
    found = measure_obedience(ScriptedClient(obeys), task, rows)
    assert (found.with_text.value, found.swapped.value) == (1.0, 0.0)
    assert found.total == 1.0
    assert found.holds
    assert found.summary().startswith("The model obeys: accuracy 1.00")
    assert Obedience.from_dict(found.to_dict()).to_dict() == found.to_dict()


def answers(choose):
    return ScriptedClient(lambda request: f"Output: {choose(prompt_of(request))}")


def knows(prompt):
    """Goes by what it knows of the words, whatever the text says."""
    return "billing" if "refund" in prompt.split("## Input")[1] else "delivery"


@pytest.mark.parametrize(
    ("choose", "why"),
    [
        (knows, "add up to"),
        (lambda prompt: "billing", "does not surely beat nonsense"),
        (lambda prompt: "billing" if "output is billing. Other" in prompt else "delivery", "does not surely beat"),
    ],
    ids=["goes by what it knows", "always the same", "takes up a word of the text"],
)
def test_a_model_that_does_not_obey_is_marked(choose, why):
    stated = Stated(
        "If the text holds the word 'refund', the output is billing. Otherwise the output is delivery.",
        "If the text holds the word 'refund', the output is delivery. Otherwise the output is billing.",
        np.array(["billing" if "refund" in text else "delivery" for text in TEXTS], dtype=object),
    )
    found = measure_obedience(answers(choose), LABELS, Rows.of(TEXTS), stated=stated)
    assert not found.holds
    assert "Not verbal" in found.summary()
    assert why in found.summary()


def test_a_word_taken_from_the_text_is_no_obedience():
    task = Task(("text",), labels=("billing", "delivery", "other"), text_columns=("text",), kind="sentences")
    found = measure_obedience(answers(lambda prompt: "billing" if " the output is billing" in prompt else "other"), task, Rows.of(TEXTS))
    assert (found.total, found.nonsense.value) == (1.0, 0.0)
    assert found.above_nonsense.interval[0] > 0
    assert not found.holds
    assert "does not surely beat its own reverse" in found.summary()


def test_a_number_taken_from_the_text_is_no_obedience():
    found = measure_obedience(answers(lambda prompt: "7" if "7" in prompt else "0"), LINE, NUMBERS)
    assert not found.holds
    assert found.with_text.value == found.swapped.value == found.nonsense.value == 0.5


def test_the_text_splits_the_rows_in_half_and_says_so():
    stated = stated_split(LINE, NUMBERS)
    assert stated.text == "If x is above 0.5, the output is 7. Otherwise the output is 3."
    assert stated.swapped == "If x is above 0.5, the output is 3. Otherwise the output is 7."
    np.testing.assert_array_equal(stated.outputs == 7, NUMBERS.columns["x"] > 0.5)


def test_labels_are_swapped_in_one_pass():
    task = Task(("text",), labels=("bad", "not bad"), kind="sentences")
    sample = Sample(Rows.of(["a", "b"]), np.array(["bad", "not bad"], dtype=object))
    stated = stated_labels(task, "Praise is not bad, blame is bad.", sample)
    assert stated.swapped == "Praise is bad, blame is not bad."
    with pytest.raises(InputError, match="names 0 of the labels"):
        stated_labels(task, "Nothing.", sample)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="measured on 3 rows"):
        measure_obedience(ScriptedClient(obeys), LABELS, TEXTS[:3])
    with pytest.raises(InputError, match="No input splits"):
        measure_obedience(ScriptedClient(obeys), LABELS, ["the same"] * 20)
