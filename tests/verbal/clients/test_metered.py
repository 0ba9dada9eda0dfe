"""Budgets that are never exceeded, and what they count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import InputError
from lexframe.verbal import Budget, CallLog, KeptClient, Message, MeteredClient, Price, Request, ScriptedClient
from lexframe.verbal.clients.metered import BudgetSpentError


def request(text, **options):
    return Request((Message("user", text),), max_tokens=10, purpose="predict", **options)


def spend(client, requests):
    found = {}
    try:
        for place, reply in client.answers(requests):
            found[place] = reply
    except BudgetSpentError as error:
        return found, str(error)
    return found, ""


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 10)), max_size=12),
    st.integers(1, 12),
    st.integers(1, 80),
)
def test_no_budget_is_ever_exceeded(sizes, calls, tokens):
    lengths = {}
    requests = []
    for number, (words, answer) in enumerate(sizes):
        requests.append(request(f"{number} " + "w " * words))
        lengths[requests[-1].messages[0].content] = answer
    client = MeteredClient(
        ScriptedClient(lambda each: "t " * lengths[each.messages[0].content]),
        Budget(calls=calls, tokens=tokens, money=40e-6),
        Price(1.0, 1.0),
    )
    found, why = spend(client, requests)
    assert client.spent.calls <= calls
    assert client.spent.tokens <= min(tokens, 40)
    assert client.money <= 40e-6 + 1e-12
    assert len(found) == len(requests) or why
    assert sorted(found) == list(range(len(found)))  # in order: what is left out is the end


def test_what_surely_fits_is_done_and_the_rest_is_said():
    client = MeteredClient(ScriptedClient(lambda each: "one"), Budget(calls=2))
    found, why = spend(client, [request("a"), request("b"), request("c")])
    assert sorted(found) == [0, 1]
    assert why == "The budget of 2 calls is spent: 2 calls, 4 tokens so far, and the next call might exceed it."


def test_what_was_answered_before_is_free():
    model = ScriptedClient(lambda each: "one")
    client = MeteredClient(model, Budget(calls=2))
    assert len(spend(client, [request("a"), request("a"), request("b")])[0]) == 3
    assert len(spend(client, [request("b"), request("a")])[0]) == 2
    assert model.n_calls == client.spent.calls == 2


def test_kept_answers_count_as_they_did_at_first(tmp_path):
    for _ in range(2):
        with CallLog(tmp_path / "calls.jsonl") as log:
            client = MeteredClient(KeptClient(ScriptedClient(lambda each: "one"), log), Budget(calls=2))
            found, _ = spend(client, [request("a"), request("b"), request("c")])
            assert sorted(found) == [0, 1]
            assert client.spent.calls == 2


def test_money_is_counted_by_the_million():
    assert Price(2.0, 10.0).of(1_000_000, 100_000) == 3.0
    client = MeteredClient(ScriptedClient(lambda each: "one two"), price=Price(1e6, 2e6))
    spend(client, [request("a b c")])
    assert client.money == 3 + 4
    assert client.by_purpose["predict"].calls == 1


@pytest.mark.parametrize(
    ("name", "value"), [("calls", 0), ("tokens", -1), ("tokens", 0), ("money", 0.0), ("money", -1.0), ("money", float("nan"))]
)
def test_a_budget_of_nothing_is_refused(name, value):
    with pytest.raises(InputError, match="allows no call"):
        Budget(**{name: value})


def test_prices_below_zero_are_refused():
    with pytest.raises(InputError, match="0 or more"):
        Price(-1.0, 0.0)
