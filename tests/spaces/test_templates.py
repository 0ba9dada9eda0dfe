"""Chat templates, and two spaces over one model."""

import copy

import numpy as np
import pytest

from lexframe.exceptions import ModelError
from lexframe.spaces import Intervention, LanguageModelSpace, SentenceEncoderSpace, open_space, reopen_space
from lexframe.spaces.language_model.interventions import moves_in_force
from lexframe.spaces.templates import chat_template
from lexframe.spaces.weights import KnownHash
from tests.tiny_models import tiny_model, tiny_tokenizer

CHATS = {
    "plain": "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
    "begins": "{{ bos_token }}{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}",
}


def chatting(kind):
    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.chat_template = CHATS[kind]
    return tokenizer


@pytest.mark.parametrize("kind", CHATS)
def test_a_chat_reads_what_the_tokenizer_makes_of_it(kind):
    tokenizer = chatting(kind)
    space = LanguageModelSpace(tiny_model("llama"), tokenizer=tokenizer, template="chat")
    for text in ["the cat", "a {{ dog }} {% x %}", "", " two "]:
        expected = tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False)
        assert space.template.fill(text) == expected
        assert space.token_states(text, layers=[0]).ids == tuple(tokenizer(expected, add_special_tokens=False).input_ids)
    again = LanguageModelSpace(tiny_model("llama"), tokenizer=tokenizer, template=space.fingerprint.template)
    assert again.fingerprint == space.fingerprint


def test_a_model_that_does_not_chat_says_so():
    with pytest.raises(ModelError, match="embedded has no chat template"):
        open_space("embedded", template="chat")
    tokenizer = chatting("plain")
    for broken, message in [("{{ raise_exception('no') }}", "cannot be applied"), ("nothing", "in one place")]:
        tokenizer.chat_template = broken
        with pytest.raises(ModelError, match=message):
            chat_template(tokenizer, "a model")


@pytest.fixture
def model():
    return copy.deepcopy(tiny_model("llama"))


def test_a_move_through_one_space_is_in_the_fingerprint_of_the_other(model):
    first, second = (LanguageModelSpace(model, tokenizer=tiny_tokenizer(), layer=layer) for layer in (2, -1))
    third = SentenceEncoderSpace(model.model, tokenizer=tiny_tokenizer())
    spaces = [second, third]
    before = [(space.fingerprint.digest, space.encode(["the cat"])) for space in spaces]
    move = Intervention(layer=1, vector=np.ones(first.n_dims, dtype=np.float32), strength=3.0)
    with first.intervened([move]):
        for space, (digest, points) in zip(spaces, before, strict=True):
            assert np.abs(space.encode(["the cat"]) - points).max() > 1e-3
            assert space.fingerprint.digest != digest
        with second.intervened([move]):  # both at once, in either order
            assert len(moves_in_force(model)[0]) == 2
            assert first.fingerprint.moves == second.fingerprint.moves != ""
        assert len(moves_in_force(model)[0]) == 1
    for space, (digest, points) in zip(spaces, before, strict=True):
        np.testing.assert_array_equal(space.encode(["the cat"]), points)
        assert space.fingerprint.digest == digest
    assert not [name for name in vars(model.model.layers) if "lexframe" in name]


@pytest.mark.parametrize("change", ["in place", "data", "replaced"])
def test_weights_that_change_change_the_fingerprint_of_every_space(model, change):
    import torch

    spaces = [LanguageModelSpace(model, tokenizer=tiny_tokenizer()), SentenceEncoderSpace(model.model, tokenizer=tiny_tokenizer())]
    before = [space.fingerprint.digest for space in spaces]
    assert [space.fingerprint.digest for space in spaces] == before
    projection = model.model.layers[1].mlp.down_proj
    added = 0.1 * torch.randn_like(projection.weight)
    if change == "in place":
        with torch.no_grad():
            projection.weight[3, 4] += 1
    elif change == "data":
        projection.weight.data += added
    else:
        projection.weight = torch.nn.Parameter(projection.weight + added)
    assert all(space.fingerprint.digest != digest for space, digest in zip(spaces, before, strict=True))


def test_an_unchanged_model_is_hashed_once(model, monkeypatch):
    known = KnownHash(model)
    first = known()
    monkeypatch.setattr("lexframe.spaces.weights.weights_hash", lambda *_, **__: pytest.fail("hashed again"))
    assert known() == first


def test_a_space_with_a_chat_template_is_opened_again(tmp_path, model):
    tokenizer = chatting("begins")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    space = open_space(str(tmp_path), template="chat")
    np.testing.assert_array_equal(reopen_space(space.fingerprint).encode(["the cat"]), space.encode(["the cat"]))
