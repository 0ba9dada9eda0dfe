"""Steps: their outcome, there and back, and the best texts."""

import json

import pytest

from lexframe.files import json_text
from lexframe.verbal import Parameters, Step, Task
from lexframe.verbal.asking import Failure
from lexframe.verbal.history import best_texts
from lexframe.verbal.language import Formula

TASK = Task(("x",))
NAN = float("nan")


def step(number, text, after, *, accepted=False, chain=0):
    proposed = None if text is None else Parameters(text, Formula.parse(f"{number} + x", ["x"]))
    failures = () if text is not None else (Failure("propose", 1, "nothing", "…"),)
    return Step(number, chain, Parameters("first"), proposed, "why", 1.0, 2.0, after, accepted, failures, 3 * number)


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (step(1, "a", 1.0, accepted=True), "accepted"),
        (step(1, "a", 3.0), "refused"),
        (step(1, None, NAN), "unreadable"),
        (step(1, "a", NAN), "not judged"),
        (step(1, "a", NAN, accepted=True), "accepted"),
    ],
)
def test_outcomes(made, outcome):
    assert made.outcome == outcome
    assert made.kept == (made.proposed if outcome == "accepted" else made.parent)
    again = Step.from_dict(json.loads(json_text(made.to_dict())), TASK)
    assert json_text(again.to_dict()) == json_text(made.to_dict())
    assert again.kept == made.kept


def test_the_best_texts_come_first_each_once_and_unjudged_ones_never():
    first = (Parameters("first"), 2.0)
    steps = [step(1, "a", 3.0), step(2, "b", 1.0), step(3, "c", NAN), step(4, None, NAN), step(2, "b", 0.5)]
    found = best_texts(first, steps, 3)
    assert [(parameters.sentences, loss) for parameters, loss in found] == [("b", 1.0), ("first", 2.0), ("a", 3.0)]
    assert best_texts((Parameters("first"), NAN), [], 3) == ()
    assert best_texts(first, steps, 0) == ()
