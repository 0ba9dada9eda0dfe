"""Texts in one row have the states that the model gives for each alone; what is not known, hooked or too long goes the model's own way."""

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from torch import nn

from lexframe.spaces import LanguageModelSpace, SentenceEncoderSpace
from lexframe.spaces.language_model import packed
from lexframe.spaces.language_model.packed import PackedReader, Row, attend, packed_reader
from lexframe.spaces.tokenization import TokenizedText
from tests.tiny_models import tiny_model, tiny_tokenizer

_SIZE = {
    "vocab_size": 320, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 128, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1,
}  # fmt: skip
_GROUPED = {**_SIZE, "num_key_value_heads": 2}
BUILT = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_SIZE)),
    "llama, grouped heads, biases": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**_GROUPED, attention_bias=True, mlp_bias=True)),
    "llama, wide heads, stretched positions": lambda: tf.LlamaForCausalLM(
        tf.LlamaConfig(**_GROUPED, head_dim=16, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4})
    ),
    "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**_GROUPED, sliding_window=None)),
    "mistral, a window that all fit into": lambda: tf.MistralForCausalLM(tf.MistralConfig(**_GROUPED, sliding_window=40)),
    "qwen2": lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**_GROUPED)),
    "qwen3": lambda: tf.Qwen3ForCausalLM(tf.Qwen3Config(**_GROUPED, head_dim=16)),
    "bert": lambda: tf.BertModel(tf.BertConfig(**_SIZE)),
}
LENGTHS = (21, 21, 13, 13, 13, 4, 1)


def built(name):
    torch.manual_seed(0)
    model = BUILT[name]().eval()
    with torch.no_grad():  # all that begins at zero or one is made to count
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def texts_of(lengths, *, types=False):
    rng = np.random.default_rng(0)
    rows = [rng.integers(2, 300, length) for length in lengths]
    return [TokenizedText(ids, np.ones(len(ids), dtype=bool), False, (np.arange(len(ids)) % 2) if types else None) for ids in rows]


def own_states(model, text, *, types=False):
    """Every state of a text, read alone by the model itself."""
    body = getattr(model, "model", model)
    ids = torch.from_numpy(text.ids)[None]
    more = {"token_type_ids": torch.from_numpy(text.types)[None]} if types else {}
    with torch.no_grad():
        return torch.stack(body(input_ids=ids, output_hidden_states=True, **more).hidden_states)[:, 0]


@pytest.mark.parametrize("name", BUILT)
def test_states_are_those_of_each_text_alone_at_every_layer(name):
    model, texts = built(name), texts_of(LENGTHS)
    reader, row = packed_reader(model, texts), Row.of(texts)
    assert reader is not None
    with torch.no_grad():
        found = reader.states(row, range(4))
        ends = {layer: reader.states(row, [0, layer], only=row.last())[layer] for layer in range(4)}
    expected = torch.cat([own_states(model, text) for text in texts], dim=1)
    for layer in range(4):
        torch.testing.assert_close(found[layer], expected[layer], atol=1e-5, rtol=0)
        torch.testing.assert_close(ends[layer], expected[layer][row.last()], atol=1e-5, rtol=0)


def test_numbers_of_segments_are_read_where_they_are_asked_for():
    model, texts = built("bert"), texts_of((9, 9, 5), types=True)
    reader = packed_reader(model, texts)
    with torch.no_grad():
        for types in (False, True):
            found = reader.last_states(texts, types=types)
            for place, text in enumerate(texts):
                expected = own_states(model, text, types=types)[-1]
                torch.testing.assert_close(found[place, : len(text.ids)], expected, atol=1e-5, rtol=0)


def test_attention_is_that_of_the_definition():
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 12, 4, 8)
    keys, values = keys[:, :2], values[:, :2]  # two heads of the queries for each
    runs = ((2, 4), (1, 3), (1, 1))
    for causal in (False, True):
        found = attend(queries, keys, values, runs, causal=causal, scale=0.3)
        start = 0
        for length in (4, 4, 3, 1):
            for head in range(4):
                own = slice(start, start + length)
                products = 0.3 * queries[own, head] @ keys[own, head // 2].T
                if causal:
                    products = products.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -torch.inf)
                torch.testing.assert_close(found[own, head], products.softmax(-1) @ values[own, head // 2])
            start += length


def test_places_and_padding_of_a_row():
    row = Row.of(texts_of((3, 3, 1)))
    assert row.runs == ((2, 3), (1, 1))
    assert row.last().tolist() == [2, 5, 6]
    assert row.positions[0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    padded = row.padded(torch.arange(1.0, 8)[:, None])
    assert padded[..., 0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 0, 0]]


TEXTS = ["the cat sat on the mat", "a dog", "", "the cat sat on a dog and ran", "a cat", "dogs and cats and mats and rats"]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("pooling", ["last", "mean", "first", "span"])
def test_points_are_the_same_either_way(monkeypatch, pooling, n_threads):
    model = built("qwen2")
    asked = {"layers": [0, 1, 2, 3, 3]}
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer(), pooling=pooling)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        found = [space.encode_layers(TEXTS * 3, batch_size=size, **asked) for size in (None, 1, 4)]
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    monkeypatch.setattr("lexframe.spaces.language_model.reading.packed_reader", lambda *given: None)
    for points in found:
        np.testing.assert_allclose(points, space.encode_layers(TEXTS * 3, **asked), atol=1e-5)


def test_sentence_encoders_give_the_same_points_either_way(monkeypatch):
    model, tokenizer = built("bert"), tiny_tokenizer(masked=True)
    space = SentenceEncoderSpace(model, tokenizer=tokenizer, pooling="first+mean", normalize=True)
    found = space.encode(TEXTS)
    read = []
    monkeypatch.setattr(PackedReader, "last_states", lambda *given, **how: read.append(given))
    space.encode(TEXTS[:1])
    assert read
    monkeypatch.setattr("lexframe.spaces.sentence_encoder.packed_reader", lambda *given: None)
    np.testing.assert_allclose(found, space.encode(TEXTS), atol=1e-5)


def test_weights_that_change_are_read_as_they_are():
    model, texts = built("llama"), texts_of((6, 2))
    reader = packed_reader(model, texts)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.mul_(2)
        found = reader.states(Row.of(texts), [3])[3]
    torch.testing.assert_close(found[:6], own_states(model, texts[0])[-1], atol=1e-5, rtol=0)


def test_a_hook_or_another_forward_or_a_long_text_goes_the_model_s_own_way():
    model, texts = built("mistral, a window that all fit into"), texts_of((40, 7))
    assert packed_reader(model, texts) is not None
    assert packed_reader(model, texts_of((41,))) is None
    hook = model.model.layers[1].mlp.register_forward_hook(lambda module, args, output: output * 0)
    assert packed_reader(model, texts) is None
    hook.remove()
    assert packed_reader(model, texts) is not None
    model.model.layers[0].self_attn.forward = model.model.layers[0].self_attn.forward
    assert packed_reader(model, texts) is None
    every = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    try:
        assert packed_reader(built("llama"), texts) is None
    finally:
        every.remove()


def test_a_model_that_was_asked_for_its_states_before_is_packed_as_well():
    """transformers leaves hooks on it that do nothing."""
    model, texts = built("llama"), texts_of((6, 3))
    before = packed_reader(model, texts).states(Row.of(texts), [3])[3]
    model(torch.tensor([[3, 4]]), output_hidden_states=True)
    assert any(module._forward_hooks for module in model.modules())
    torch.testing.assert_close(packed_reader(model, texts).states(Row.of(texts), [3])[3], before, atol=0, rtol=0)


class Llama2Model(tf.LlamaModel):
    """Somebody's own."""


@pytest.mark.parametrize("family", ["gemma2", "gpt2", "mixtral", "roberta", "modernbert"])
def test_other_families_go_their_own_way(family):
    assert packed_reader(tiny_model(family), texts_of((5,))) is None


def test_what_is_built_another_way_goes_its_own_way():
    config = tf.LlamaConfig(**_SIZE)
    assert packed_reader(Llama2Model(config).eval(), texts_of((5,))) is None
    config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    assert packed_reader(tf.LlamaForCausalLM(config).eval(), texts_of((5,))) is None
    assert packed_reader(tf.BertLMHeadModel(tf.BertConfig(**_SIZE, is_decoder=True)).eval(), texts_of((5,))) is None


def test_a_model_whose_own_states_differ_goes_its_own_way(monkeypatch):
    broken = copy.deepcopy(built("llama"))
    monkeypatch.setattr(packed._Decoder, "end", lambda self, states: states)  # the final norm is left out
    assert packed_reader(broken, texts_of((5,))) is None
