"""Asking until it can be read, a bounded number of times."""

import pytest

from lexframe.verbal import Message, Request, ScriptedClient
from lexframe.verbal.asking import TRIES, Ask, ask_all, run_together
from lexframe.verbal.parsing import parse_number


def ask(text, **options):
    return Ask(Request((Message("user", text),), max_tokens=8, purpose="predict", **options), parse_number)


def test_what_cannot_be_read_is_asked_again_and_kept():
    def script(request):
        return "Output: 4" if request.seed else "no idea"

    client = ScriptedClient(script)
    first, second = ask_all(client, [ask("a"), ask("b")])
    assert (first.value, second.value) == (4.0, 4.0)
    assert client.n_calls == 4
    assert [(failure.attempt, failure.reason, failure.text) for failure in first.failures] == [(1, "no number in the answer", "no idea")]


def test_a_client_that_never_answers_is_asked_five_times():
    client = ScriptedClient(lambda request: "")
    (found,) = ask_all(client, [ask("a")])
    assert found.value is None
    assert client.n_calls == TRIES == len(found.failures)
    assert [failure.attempt for failure in found.failures] == [1, 2, 3, 4, 5]


def test_a_later_try_says_what_was_missing_and_draws_anew():
    seen = []

    def script(request):
        seen.append(request)
        return "no idea"

    ask_all(ScriptedClient(script), [ask("a")], tries=3)
    assert [request.temperature for request in seen] == [0.0, 0.7, 0.7]
    assert len({request.seed for request in seen}) == 3
    assert "no number in the answer" in seen[1].messages[-1].content
    assert seen[0].messages[-1].content == "a"


def test_only_those_that_failed_are_asked_again():
    client = ScriptedClient(lambda request: "Output: 1" if "good" in request.messages[0].content else "none")
    answers = ask_all(client, [ask("good"), ask("bad"), ask("good too")], tries=2)
    assert [answer.value for answer in answers] == [1.0, None, 1.0]
    assert client.n_calls == 4


def test_procedures_run_side_by_side():
    asked = []

    def script(request):
        asked.append(request.messages[0].content)
        return f"Output: {len(request.messages[0].content)}"

    def procedure(*texts):
        total = 0.0
        for text in texts:
            (answer,) = yield [ask(text)]
            total += answer.value
        return total

    assert run_together(ScriptedClient(script), [procedure("a", "bbb"), procedure("cc"), procedure()]) == [4.0, 2.0, 0.0]
    assert asked == ["a", "cc", "bbb"]


def test_nothing_to_ask_costs_nothing():
    client = ScriptedClient(lambda request: "")
    assert ask_all(client, []) == []
    assert client.n_calls == 0


@pytest.mark.parametrize("tries", [1, 2, 7])
def test_tries_are_those_that_were_asked_for(tries):
    client = ScriptedClient(lambda request: "")
    ask_all(client, [ask("a")], tries=tries)
    assert client.n_calls == tries
