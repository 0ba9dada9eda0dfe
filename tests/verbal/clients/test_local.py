"""A client over a model in this process."""

import re

import numpy as np
import pytest

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import Intervention, LanguageModelSpace
from lexframe.verbal.clients.base import Grammar, Message, Request
from lexframe.verbal.clients.local import LocalClient
from tests.spaces.language_model.test_chat import TURNS, chatting
from tests.tiny_models import tiny_model, tiny_tokenizer


def request(text, **options):
    return Request((Message("system", "the cat"), Message("user", text)), **{"max_tokens": 6} | options)


def replies(client, requests):
    found = dict(client.answers(requests))
    assert sorted(found) == list(range(len(requests)))
    return [found[place] for place in range(len(requests))]


def compared(reply):
    return {name: value for name, value in reply.to_dict().items() if name not in ("seconds", "log_probabilities")}


@pytest.fixture(scope="module")
def client():
    return LocalClient(chatting())


def test_each_answer_is_the_one_that_it_would_be_alone(client):
    asked = [
        request("a"),
        request("the dog", choices=("cat", "dog mat"), lead="It is "),
        request("b", max_tokens=3),
        request("a", temperature=1.0, seed=5),
        request("x", choices=("cat", "dog mat", "x")),
        request("a", temperature=1.0, seed=6),
        request("a", temperature=1.0, seed=5, purpose="again"),
        request("the mat"),
    ]
    together, alone = replies(client, asked), [replies(client, [each])[0] for each in asked]
    assert [compared(each) for each in together] == [compared(each) for each in alone]
    for one, other, each in zip(together, alone, asked, strict=True):
        assert one.prompt_tokens == client.count_tokens(each) == client.most_tokens(each)
        assert one.seconds > 0
        if each.choices:
            np.testing.assert_allclose(one.log_probabilities, other.log_probabilities, atol=1e-4)
            assert (one.text, one.completion_tokens, len(one.log_probabilities)) == ("", 0, len(each.choices))
        else:
            assert one.log_probabilities is None
            assert 1 <= one.completion_tokens <= each.max_tokens
    assert together[3].text == together[6].text != together[5].text


def test_scores_are_those_of_the_chat_model(client):
    asked = request("the dog", choices=("cat", "dog mat"), lead="It is ")
    conversation = [(message.role, message.content) for message in asked.messages]
    expected = chatting().chat_model.choice_log_probabilities(conversation, "It is ", ["cat", "dog mat"])
    np.testing.assert_allclose(replies(client, [asked])[0].log_probabilities, expected, atol=1e-5)


def test_answers_are_held_to_grammars(client):
    pytest.importorskip("llguidance", reason="until the extra verbal is installed")
    asked = [request(word, max_tokens=10, grammar=Grammar("regex", "[0-9]{1,3}")) for word in ("a", "b", "the cat")]
    assert all(re.fullmatch("[0-9]{1,3}", reply.text) for reply in replies(client, asked))


def test_the_identity_names_weights_and_precision():
    space = chatting()
    identity = LocalClient(space).identity
    assert identity.startswith(f"{space.model_name} {space.fingerprint.model_digest} ")
    assert LocalClient(chatting(template=TURNS.replace("assistant ", "model "))).identity != identity
    other, rounded = chatting("gpt2"), chatting("qwen2")
    assert len({identity, LocalClient(other).identity, LocalClient(rounded).identity}) == 3
    assert LocalClient(chatting(layer=1, pooling="mean")).identity == identity
    moving = LocalClient(space)
    with space.intervened([Intervention(layer=1, vector=np.ones(space.n_dims, dtype=np.float32))]):
        assert moving.identity not in (identity, "")
    assert moving.identity == identity


def test_what_is_wrong_with_a_request_passes_as_it_is(client):
    with pytest.raises(InputError, match=r"has \d+ tokens, which leaves .* no room to answer: it takes 64"):
        list(client.answers([request("x " * 60)]))
    with pytest.raises(ModelError, match="no chat template"):
        LocalClient(LanguageModelSpace(tiny_model("llama"), tokenizer=tiny_tokenizer()))
    assert list(client.answers([])) == []
