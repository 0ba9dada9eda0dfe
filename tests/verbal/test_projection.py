"""What a run will cost, before its first call."""

import numpy as np
import pytest

from lexframe.verbal import (
    Budget,
    Checks,
    Price,
    Proposing,
    ReplyLengths,
    ScriptedClient,
    Selection,
    Settings,
    Steps,
    fit,
    project,
    regression_sample,
    task_of,
)
from lexframe.verbal.optimizers.registry import OPTIMIZERS
from tests.verbal.students import proposal

X = np.linspace(0, 1, 40).reshape(-1, 1)
SAMPLE = regression_sample(X, 2 * X[:, 0])


def student():
    n = iter(range(10_000))
    filler = "word " * 70

    def script(request):
        if request.purpose == "predict":
            return f"Output: {len(request.messages[-1].content) % 5}"
        return (
            filler[: 5 * 60] if request.purpose == "criticize" else proposal("w w w", f"{next(n)} {filler}", f"Formula: y = x + {next(n)}")
        )

    return ScriptedClient(script)


ALONE = [(kind, optimizer, 1) for kind in ("program", "sentences") for optimizer in OPTIMIZERS]


@pytest.mark.parametrize(
    ("kind", "optimizer", "population"), [*ALONE, ("examples", "residuals", 1), ("program", "published", 3), ("sentences", "residuals", 3)]
)
def test_what_is_spent_lies_within_what_was_projected(kind, optimizer, population):
    settings = Settings(Steps(steps=5), Proposing(optimizer=optimizer), Selection(population=population))
    task = task_of(SAMPLE, is_regression=True, kind=kind)
    client = student()
    found = project(client, task, SAMPLE, settings, lengths=ReplyLengths(predict=2, propose=85, criticize=60))
    assert client.n_calls == 0
    run = fit(client, task, SAMPLE, settings, checks=Checks(obedience_rows=0))
    spent = run.spent["all"]
    assert found.low.calls <= spent.calls <= found.high.calls
    assert 0.95 * found.low.tokens <= spent.tokens <= 1.05 * found.high.tokens
    if population == 1:  # chains that share their parameters are predicted once, and how many do is luck
        assert found.expected.calls == pytest.approx(spent.calls, rel=0.12)
        assert found.expected.tokens == pytest.approx(spent.tokens, rel=0.25)
    if kind == "program":
        assert found.expected.calls == spent.calls
    assert found.proposals == 5 * population
    assert spent.calls <= found.most.calls


def test_lengths_can_be_measured():
    settings = Settings(Steps(steps=2))
    run = fit(student(), task_of(SAMPLE, is_regression=True), SAMPLE, settings, checks=Checks(obedience_rows=0))
    assert ReplyLengths.measured(run.spent).propose == round(run.spent["propose"].completion_tokens / 2)
    assert ReplyLengths.measured(run.spent).predict == ReplyLengths().predict


@pytest.mark.parametrize(("calls", "warns"), [(2, True), (3, False), (100, False)])
def test_a_budget_that_buys_no_training_is_warned_of(calls, warns):
    settings = Settings(Steps(steps=10), budget=Budget(calls=calls), price=Price(1.0, 2.0))
    found = project(student(), task_of(SAMPLE, is_regression=True), SAMPLE, settings)
    assert bool(found.warning) == warns
    assert found.proposals == min(calls, 10)
    if warns:
        assert found.warning.startswith("The budget buys 2 proposals, which is no training. The whole run is expected to take 10 calls")
    assert found.money == pytest.approx((found.expected.prompt_tokens + 2 * found.expected.completion_tokens) / 1e6)
    assert "USD" in found.summary()
    assert found.to_dict()["proposals"] == found.proposals
