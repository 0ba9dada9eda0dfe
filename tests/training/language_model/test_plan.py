"""Plans that cannot be run are refused, and a plan is plain values."""

import pytest

from lexframe.exceptions import InputError
from lexframe.training.language_model.plan import PretrainingPlan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": None}, "has no end"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_minutes": -1.0}, "max_minutes is -1"),
        ({"context": 0}, "context is 0"),
        ({"context": 96}, "context is 96, which does not divide 1024"),
        ({"n_heads": 3}, "d_model 32 is not a multiple of n_heads 3"),
        ({"batch_tokens": 1000}, "multiple of 1024"),
        ({"keep": -1}, "keep is -1"),
        ({"precision": "float16"}, "precision is 'float16'"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(make_plan, changes, message):
    with pytest.raises(InputError, match=message):
        make_plan(**changes)


def test_plans_are_plain_values():
    plan = PretrainingPlan(max_minutes=1.0)
    assert PretrainingPlan(**{name: getattr(plan, name) for name in plan.__slots__}) == plan


@pytest.mark.parametrize(("keep", "shares"), [(0, ()), (1, (1.0,)), (4, (1 / 8, 1 / 4, 1 / 2, 1.0))])
def test_models_are_kept_at_halves_of_the_budget(make_plan, keep, shares):
    assert make_plan(keep=keep).kept_shares == shares
