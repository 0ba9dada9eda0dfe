"""Parameters and rows become predictions."""

import re

import numpy as np
import pytest

from lexframe.verbal import Learner, Message, Parameters, Reading, Rows, ScriptedClient, Task
from lexframe.verbal.clients.base import Client, NoLogProbabilities, Reply
from lexframe.verbal.language import Formula, Rules
from lexframe.verbal.learner import NUMBER, regex_literal
from lexframe.verbal.losses import Predicted, loss_name, residuals, row_losses

LINE = Task(("x",), kind="sentences")
LABELS = Task(("text",), labels=("bad", "good"), text_columns=("text",), kind="sentences")
TEXTS = Rows.of(["fine", "awful", "great"])


def scored(by_text):
    def script(request):
        assert request.choices == ("bad", "good")
        assert request.lead == "Output: "
        text = request.messages[-1].content.split("## Input\n")[1]
        return by_text[text.split('"')[1]]

    return ScriptedClient(script, scores=True)


def test_what_is_executed_costs_no_call_and_is_exact():
    client = ScriptedClient(lambda request: "Output: 0")
    found = Learner(client, LINE, 0.0).predict(Parameters("a", Formula.parse("2*x + 1", ["x"])), Rows.of([[1.0], [2.5]]))
    assert found.values.tolist() == [3.0, 6.0]
    assert client.n_calls == 0


def test_what_is_not_finite_is_no_answer():
    formula = Parameters("a", Formula.parse("log(x)", ["x"]))
    found = Learner(ScriptedClient(lambda request: ""), LINE, 7.0).predict(formula, Rows.of([[1.0], [-1.0], [0.0]]))
    assert found.values.tolist() == [0.0, 7.0, 7.0]
    assert found.answered.tolist() == [True, False, False]


def test_a_row_that_no_rule_covers_gets_the_stand_in():
    rules = Parameters("a", Rules.parse('if has("fine") then good', ["text"], ["bad", "good"]))
    found = Learner(ScriptedClient(lambda request: ""), LABELS, "bad").predict(rules, TEXTS)
    assert found.values.tolist() == ["good", "bad", "bad"]
    assert found.answered.tolist() == [True, False, False]


def test_answers_in_words_are_read_and_counted():
    def script(request):
        x = float(request.messages[-1].content.split("x = ")[1])
        return f"Output: {2 * x}" if x < 3 else "no idea"

    learner = Learner(ScriptedClient(script), LINE, -1.0)
    found = learner.predict(Parameters("double it"), Rows.of([[1.0], [2.0], [3.0]]))
    assert found.values.tolist() == [2.0, 4.0, -1.0]
    assert found.answered.tolist() == [True, True, False]
    assert len(learner.failures) == 5


def test_labels_are_taken_by_their_probability():
    client = scored({"fine": (-2.0, -1.0), "awful": (-1.0, -3.0), "great": (-4.0, -1.0)})
    found = Learner(client, LABELS, "bad").predict(Parameters("a"), TEXTS)
    assert found.values.tolist() == ["good", "bad", "good"]
    np.testing.assert_allclose(found.probabilities[0], [1 / (1 + np.e), np.e / (1 + np.e)])
    assert client.n_calls == 3


def test_what_a_model_prefers_whatever_it_reads_is_taken_away():
    client = scored({"fine": (-1.0, -6.0), "awful": (-1.0, -8.0), "great": (-1.0, -5.5)})
    learner = Learner(client, LABELS, "bad")
    assert learner.predict(Parameters("a"), TEXTS).values.tolist() == ["bad", "bad", "bad"]
    assert learner.center_on(Parameters("a"), TEXTS).values.tolist() == ["good", "bad", "good"]
    np.testing.assert_allclose(learner.centers[Parameters("a").digest], [-1.0, -6.5])
    assert learner.predict(Parameters("a"), TEXTS.take([0])).values.tolist() == ["good"]
    assert learner.predict(Parameters("other"), TEXTS.take([0])).values.tolist() == ["bad"]


def test_a_client_that_gives_no_probabilities_is_asked_in_words():
    class Endpoint(Client):
        scores = True
        identity = "endpoint"
        n_scored = 0

        def answers(self, requests):
            for place, request in enumerate(requests):
                if request.choices:
                    self.n_scored += 1
                    raise NoLogProbabilities("none here")
                yield place, Reply("Output: good", 1, 1)

        def count_tokens(self, request):
            return 1

    client = Endpoint()
    learner = Learner(client, LABELS, "bad")
    assert learner.center_on(Parameters("a"), TEXTS).values.tolist() == ["good"] * 3
    assert learner.predict(Parameters("b"), TEXTS).values.tolist() == ["good"] * 3
    assert client.n_scored == 1
    assert not client.scores


def test_a_prompt_holds_its_blocks_in_order():
    (request,) = Learner(ScriptedClient(lambda each: ""), LINE, 0.0).requests(Parameters("Double it."), Rows.of([[1.5]]))
    assert request.messages == (
        Message(
            "user",
            "# Inference step\n\n"
            "You are the model. You turn an input into an output by following the pattern descriptions below, and nothing else.\n\n"
            "## Pattern descriptions\nDouble it.\n\n## Output format\nOutput: a number\n\n## Input\nx = 1.5",
        ),
    )
    (request,) = Learner(ScriptedClient(lambda each: ""), LINE, 0.0, Reading(explains=True)).requests(Parameters("a"), Rows.of([[1.5]]))
    assert "Explanation: why, in one sentence\nOutput: a number" in request.messages[0].content


@pytest.mark.parametrize("label", ["a.b", "{x}", "Output: yes", "new\nline", "é(ü)", "100%", "a|b", "\\d", "#1"])
def test_a_grammar_matches_its_labels_alone(label):
    pattern = re.compile(f"Output: ({regex_literal(label)}|{regex_literal('other')})")
    assert pattern.fullmatch(f"Output: {label}")
    assert not pattern.fullmatch(f"Output: {label}x")
    assert re.fullmatch(NUMBER, "-12.5")
    assert not re.fullmatch(NUMBER, "12.")


def test_constrained_requests_carry_a_grammar():
    client = ScriptedClient(lambda each: "")
    client.constrains = True
    (held,) = Learner(client, LINE, 0.0).requests(Parameters("a"), Rows.of([[1.5]]))
    (free,) = Learner(client, LINE, 0.0, Reading(constrained=False)).requests(Parameters("a"), Rows.of([[1.5]]))
    assert held.grammar.kind == "regex"
    assert re.fullmatch(held.grammar.text, "Output: 12.25")
    assert free.grammar is None


def test_losses_against_their_definitions():
    numbers = Predicted(np.array([1.0, 3.0]), None, np.ones(2, dtype=bool))
    np.testing.assert_array_equal(row_losses(LINE, numbers, np.array([2.0, 5.0])), [1.0, 4.0])
    np.testing.assert_array_equal(residuals(LINE, numbers, np.array([2.0, 5.0])), [1.0, 2.0])
    values, targets = np.array(["bad", "good"], dtype=object), np.array(["bad", "bad"], dtype=object)
    words = Predicted(values, None, np.ones(2, dtype=bool))
    np.testing.assert_array_equal(row_losses(LABELS, words, targets), [0.0, 1.0])
    np.testing.assert_array_equal(residuals(LABELS, words, targets), [0.0, 1.0])
    sure = Predicted(values, np.array([[0.8, 0.2], [0.0, 1.0]]), np.ones(2, dtype=bool))
    np.testing.assert_allclose(row_losses(LABELS, sure, targets), [-np.log(0.8), -np.log(1e-6)])
    assert loss_name(LINE, has_probabilities=False) == "mean squared error"
    assert [loss_name(LABELS, has_probabilities=each) for each in (True, False)] == ["log loss", "error rate"]
