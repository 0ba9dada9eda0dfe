"""Chat templates, and two spaces over one model."""

import copy

import numpy as np
import pytest

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import Intervention, LanguageModelSpace, SentenceEncoderSpace, open_space, reopen_space
from lexframe.spaces.language_model.interventions import moves_in_force
from lexframe.spaces.templates import Template, chat_template, turn_end
from lexframe.spaces.token_texts import written_after
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


@pytest.mark.parametrize("kind", CHATS)
def test_a_template_within_a_chat_is_what_the_user_says(kind):
    tokenizer = chatting(kind)
    space = LanguageModelSpace(tiny_model("llama"), tokenizer=tokenizer, template="About: {text}?", chat=True)
    expected = tokenizer.apply_chat_template([{"role": "user", "content": "About: the cat?"}], add_generation_prompt=True, tokenize=False)
    assert space.template.fill("the cat") == expected
    for template in ("chat", "{text}"):
        same = LanguageModelSpace(tiny_model("llama"), tokenizer=tokenizer, template=template, chat=True)
        assert same.fingerprint == LanguageModelSpace(tiny_model("llama"), tokenizer=tokenizer, template="chat").fingerprint


TURNS = "{% for m in messages %}<s>{{ m.role }} {{ m.content }}<pad>{% endfor %}{% if add_generation_prompt %}<s>assistant {% endif %}"


def test_what_is_written_in_a_chat_is_the_answer_up_to_the_end_of_the_turn(model):
    import torch

    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.chat_template = TURNS
    with torch.no_grad():
        model.get_output_embeddings().weight[300:] = 0  # rows that only pad are not written
    plain, chat = (LanguageModelSpace(model, tokenizer=tokenizer, chat=each) for each in (False, True))
    prompts = ["the cat", "a longer dog on the mat"]
    whole = plain.generate([chat.template.fill(prompt) for prompt in prompts], max_new_tokens=12)
    assert chat.generate(prompts, max_new_tokens=12) == whole
    assert plain.generate(prompts, max_new_tokens=12) != whole
    ids = tokenizer(chat.template.fill(prompts[0])).input_ids
    with torch.no_grad():
        written = model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids) :].tolist()
    place = next(each for each, token in enumerate(written) if token < 300)  # where it is written first
    name = tokenizer.convert_ids_to_tokens(written[place])
    tokenizer.add_tokens([name], special_tokens=True)  # it ends a turn now
    tokenizer.chat_template = TURNS.replace("<pad>", "{{ '" + name + "' if m.role == 'assistant' else '<pad>' }}")
    assert turn_end(tokenizer, chat.template) == written[place]
    chat = LanguageModelSpace(model, tokenizer=tokenizer, chat=True)
    short = model.generation_config.eos_token_id
    answer = chat.generate(prompts[:1], max_new_tokens=12)[0]
    assert answer == written_after(tokenizer, ids, written[:place])
    assert model.generation_config.eos_token_id == short


def test_what_ends_a_turn_is_known_from_the_chat_template_alone():
    tokenizer = copy.deepcopy(tiny_tokenizer())
    assert turn_end(tokenizer, Template("x", "y")) is None
    tokenizer.chat_template = TURNS
    inside = Template.parse(chat_template(tokenizer, "", "Say {text}!"))
    assert turn_end(tokenizer, inside) == tokenizer.pad_token_id
    assert turn_end(tokenizer, Template("", "")) is None
    assert turn_end(tokenizer, Template("Review: ", " It was")) is None
    for nothing in (CHATS["plain"], CHATS["begins"], "{{ raise_exception('no') }}"):
        tokenizer.chat_template = nothing
        assert turn_end(tokenizer, inside) is None


def test_a_model_that_does_not_chat_says_so():
    with pytest.raises(ModelError, match="embedded has no chat template: it was not made"):
        open_space("embedded", template="chat")
    with pytest.raises(ModelError, match="embedded has no chat template"):
        open_space("embedded", chat=True)
    with pytest.raises(InputError, match="exactly once"):
        LanguageModelSpace(tiny_model("llama"), tokenizer=chatting("plain"), template="no place", chat=True)
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
