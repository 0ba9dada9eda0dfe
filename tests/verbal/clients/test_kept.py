"""Answers on disk: killed at any call, a run goes on; nothing is asked twice."""

import json

import pytest

from lexframe.exceptions import DataError, InputError
from lexframe.verbal import CallLog, ClientError, KeptClient, Message, MeteredClient, Request, ScriptedClient
from lexframe.verbal.clients.base import NoLogProbabilities
from lexframe.verbal.clients.kept import kept_calls


def request(text, **options):
    return Request((Message("user", text),), max_tokens=8, **options)


def texts(client, requests):
    found = dict(client.answers(requests))
    return [found[place].text for place in range(len(requests))]


def test_what_was_asked_is_not_asked_again(tmp_path):
    path = tmp_path / "run" / "calls.jsonl"
    asked = [request("a"), request("b"), request("a", seed=1)]
    model = ScriptedClient(lambda each: f"{each.messages[0].content}{each.seed}")
    with CallLog(path) as log:
        assert texts(KeptClient(model, log), asked) == ["a0", "b0", "a1"]
    other = ScriptedClient(lambda each: "never asked")
    with CallLog(path) as log:
        kept = KeptClient(other, log)
        assert texts(kept, asked) == ["a0", "b0", "a1"]
    assert (other.n_calls, kept.n_kept, kept.n_asked) == (0, 3, 0)
    assert [each["request"]["messages"][0]["content"] for each in kept_calls(path)] == ["a", "b", "a"]


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"temperature": 0.5}, {"choices": ("x", "y")}, {"lead": "Output: "}],
)
def test_whatever_the_answer_depends_on_is_in_the_key(change):
    assert request("a").key("m") != request("a", **change).key("m")
    assert request("a").key("m") != request("a").key("n")
    assert request("a").key("m") != request("b").key("m")


def test_the_purpose_is_not_in_the_key():
    assert request("a", purpose="predict").key("m") == request("a", purpose="propose").key("m")


def test_a_line_that_was_cut_is_asked_again_and_the_others_stand(tmp_path):
    path = tmp_path / "calls.jsonl"
    with CallLog(path) as log:
        texts(KeptClient(ScriptedClient(lambda each: each.messages[0].content), log), [request("a"), request("b")])
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        model = ScriptedClient(lambda each: each.messages[0].content)
        with CallLog(path) as log:
            assert texts(KeptClient(model, log), [request("a"), request("b")]) == ["a", "b"]
        assert model.n_calls == 2 - whole[:end].count(b"\n")
        assert path.read_bytes().count(b"\n") == 2


def test_a_damaged_line_within_is_named(tmp_path):
    path = tmp_path / "calls.jsonl"
    path.write_text('{"key": 1}\n' + json.dumps({"key": "a", "reply": {}}) + "\n")
    with pytest.raises(DataError, match="damaged in line 1"):
        CallLog(path)
    with pytest.raises(DataError, match="damaged in line 1"):
        CallLog(path, writable=False)


def test_one_process_at_a_time(tmp_path):
    path = tmp_path / "calls.jsonl"
    with CallLog(path), pytest.raises(InputError, match="being written by another run"):
        CallLog(path)


def test_without_a_client_nobody_is_asked():
    kept = KeptClient(None, CallLog(), identity="m")
    with pytest.raises(ClientError, match="1 answer not kept, and nobody is asked"):
        list(kept.answers([request("a")]))


def test_surrogates_and_controls_are_kept(tmp_path):
    path = tmp_path / "calls.jsonl"
    odd = "a\ud800\x00\u2028\n{}"
    with CallLog(path) as log:
        texts(KeptClient(ScriptedClient(lambda each: odd), log), [request(odd)])
    with CallLog(path) as log:  # halves of letters go into no file
        assert texts(KeptClient(None, log, identity="scripted"), [request(odd)]) == [odd.replace("\ud800", "�")]


def test_a_client_that_gives_no_probabilities_is_not_asked_again(tmp_path):
    class Endpoint(ScriptedClient):
        def answers(self, requests):
            self.n_calls += len(requests)
            raise NoLogProbabilities("none here")
            yield

    asked = request("a", choices=("x", "y"))
    for n_calls in (1, 0):
        model = Endpoint(lambda each: "")
        with CallLog(tmp_path / "calls.jsonl") as log:
            client = MeteredClient(KeptClient(model, log))
            with pytest.raises(NoLogProbabilities):
                list(client.answers([asked]))
        assert model.n_calls == n_calls
        assert client.spent.calls == 1
