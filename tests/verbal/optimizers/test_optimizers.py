"""What every optimizer shows, and what it does not; the prompts word for word."""

import pytest

from lexframe.exceptions import InputError
from lexframe.verbal import Client, Parameters, ScriptedClient, Task
from lexframe.verbal.asking import run_together
from lexframe.verbal.language import Formula
from lexframe.verbal.optimizers.base import Asked, Past, TrainingView, proposal_grammar
from lexframe.verbal.optimizers.best_texts import BestTexts
from lexframe.verbal.optimizers.published import Published
from lexframe.verbal.optimizers.random_proposals import RandomProposals
from lexframe.verbal.optimizers.registry import OPTIMIZERS, optimizer_named
from lexframe.verbal.optimizers.residuals import Residuals
from lexframe.verbal.optimizers.textual_gradient import TextualGradient
from lexframe.verbal.prompts import Seen
from tests.verbal.students import proposal

CURRENT = Parameters("A flat line.", Formula.parse("7", ["x"]))
BETTER = Parameters("A better line.", Formula.parse("x", ["x"]))
SEEN = (Seen("x = 1", "7", "7.5", 0.5), Seen("x = 2", "7", "10", 3.0), Seen("x = 0", "7", "4", -3.0))
PAST = (Past("the question", "the reply", 3.0, 2.0, True), Past("a later question", "a later reply", 2.0, 5.0, False))
VIEW = TrainingView(
    Task(("x",)), CURRENT, SEEN, ((BETTER, 1.0), (CURRENT, 2.0)), PAST, "mean squared error", Asked(100, 0.7, 42, False)
)  # fmt: skip
ROWS = "## Rows, the worst first\n2. x = 2 | output 7 | target 10 | residual 3\n3. x = 0 | output 7 | target 4 | residual -3\n1. x = 1 | "


def asked_by(optimizer, view=VIEW, answer=None):
    seen = []

    def script(request):
        seen.append(request)
        return answer if answer is not None else "Too flat." if request.purpose == "criticize" else proposal("a", "b", "Formula: y = 2*x")

    (found,) = run_together(ScriptedClient(script), [optimizer.propose(view)], tries=1)
    return found, seen


def test_residuals_show_rows_by_what_was_wrong_the_best_and_the_last_steps():
    found, (request,) = asked_by(Residuals())
    (message,) = request.messages
    prompt = message.content
    assert prompt.startswith("# Optimization step\n\nYou improve a model whose parameters are the pattern descriptions below.")
    parts = [
        "The model predicts the number y from x.",
        ROWS,
        "## Current pattern descriptions\nA flat line.\n\nFormula:\n7",
        "(lower is better)\nLoss 2:\nA flat line.\n\nFormula:\n7\n\nLoss 1:\nA better line.",
        "You wrote:\nthe reply\nIt was accepted: the loss went from 3 to 2.",
        "You wrote:\na later reply\nIt was refused: the loss went from 2 to 5.",
        "## Output format\nReasoning: ",
        "Formula: y = an expression of x and numbers",
    ]
    places = [prompt.index(part) for part in parts]
    assert places == sorted(places)
    assert (request.temperature, request.seed, request.max_tokens, request.purpose) == (0.7, 42, 100, "propose")
    assert found.parameters.program.source == "2 * x"
    assert found.reasoning == "a"


def test_the_published_one_shows_aligned_lists_and_its_last_step_alone():
    found, (request,) = asked_by(Published())
    assert [message.role for message in request.messages] == ["user", "assistant", "user"]
    assert [message.content for message in request.messages[:2]] == ["a later question", "a later reply"]
    prompt = request.messages[-1].content
    assert (
        "## Inputs\n1. x = 1\n2. x = 2\n3. x = 0\n\n## Model outputs\n1. 7\n2. 7\n3. 7\n\n## Target outputs\n1. 7.5\n2. 10\n3. 4" in prompt
    )
    assert "residual" not in prompt
    assert "Loss" not in prompt
    assert found.parameters.sentences == "The model predicts a number from the input. b"


def test_best_texts_show_scores_and_no_output():
    _, (request,) = asked_by(BestTexts())
    prompt = request.messages[-1].content
    assert "Loss 1:\nA better line." in prompt
    assert "1. x = 1 | target 7.5" in prompt
    assert "output 7" not in prompt
    assert "residual" not in prompt


def test_a_textual_gradient_is_a_criticism_and_an_edit():
    _, (first, second) = asked_by(TextualGradient())
    assert first.purpose == "criticize"
    assert "Do not rewrite them." in first.messages[-1].content
    assert "## Criticism\nToo flat." in second.messages[-1].content
    assert ROWS in second.messages[-1].content


def test_a_heading_within_a_criticism_begins_no_line():
    _, (_, second) = asked_by(TextualGradient(), answer="Bad.\nNew Pattern Descriptions: nothing\nFormula: 0")
    assert "\nNew Pattern Descriptions: nothing" not in second.messages[-1].content


def test_the_control_sees_neither_rows_nor_losses_nor_the_parameters():
    _, (request,) = asked_by(RandomProposals())
    prompt = request.messages[-1].content
    assert not [part for part in ("x = 1", "7.5", "Loss", "flat", "better", "the reply") if part in prompt]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_cannot_be_read_is_no_proposal_and_is_kept(name):
    found, asked = asked_by(optimizer_named(name), answer="")
    assert found.parameters is None
    assert len(found.failures) == len(asked) == OPTIMIZERS[name].calls
    assert OPTIMIZERS[name].says


def test_unknown_optimizers_are_refused():
    with pytest.raises(InputError, match="no optimizer 'magic'"):
        optimizer_named("magic")


@pytest.mark.parametrize(
    "task",
    [
        Task(("x", "net price")),
        Task(("x",), kind="sentences"),
        Task(("x",), kind="examples"),
        Task(("text",), labels=("a", 'b "c"'), text_columns=("text",)),
        Task(("x1", "x2"), labels=("in", "out")),
    ],
)
def test_grammars_of_proposals_are_valid_and_what_they_allow_can_be_read(task):
    guidance = pytest.importorskip("llguidance", reason="until llguidance is installed: pip install 'lexframe[verbal]'")
    grammar = proposal_grammar(task, 3)
    assert grammar.kind == "lark"
    problem = guidance.LLMatcher.validate_grammar(guidance.LLMatcher.grammar_from_lark(grammar.text))
    assert not problem, problem


def test_a_client_is_shown_by_its_identity():
    assert repr(ScriptedClient(lambda request: "", name="me")) == "<ScriptedClient me>"
    assert issubclass(ScriptedClient, Client)
