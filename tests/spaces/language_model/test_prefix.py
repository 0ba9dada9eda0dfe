"""What all texts begin with is read once, and every state comes out as if it had been read for each."""

import numpy as np
import pytest
import torch
import transformers as tf
from transformers.cache_utils import DynamicLayer

from lexframe.spaces.base import Representation
from lexframe.spaces.language_model import prefix as module
from lexframe.spaces.language_model.prefix import Prefix, shared_length
from tests.tiny_models import CAUSAL, MASKED, tiny_model, tiny_space, tiny_tokenizer

BEGINNING = "a dog sat cat\n\nthe cat sat on the mat dog\n\n"
ENDS = ("x", "the dog", "a cat sat on the mat", "three", "mat and one two three", "x")
ASKED = [Representation(layer, pooling) for layer in (0, 1, -1) for pooling in ("last", "mean", "first", "span")]


def without_prefix(monkeypatch):
    monkeypatch.setattr(module, "LEAST_SHARED", 10**9)


@pytest.mark.parametrize("family", sorted(CAUSAL))
def test_every_layer_and_pooling_is_as_if_each_text_were_read_whole(family, monkeypatch):
    space = tiny_space(family)
    texts = [BEGINNING + end for end in ENDS]
    found = [space.encode_representations(texts, ASKED, batch_size=size) for size in (1, 2, None)]
    without_prefix(monkeypatch)
    plain = space.encode_representations(texts, ASKED)
    for points in found:
        np.testing.assert_allclose(points, plain, atol=1e-4 * np.abs(plain).max())
    assert (np.abs(plain[:, -4] - space.encode_representations(ENDS, ASKED)[:, -4]).max(1) > 1e-2).all()


def test_it_is_really_read_once(monkeypatch):
    space = tiny_space("llama")
    widths = []
    read = module.read_states
    monkeypatch.setattr(
        module, "read_states", lambda model, ids, *rest, **more: widths.append(ids.shape) or read(model, ids, *rest, **more)
    )
    texts = [BEGINNING + end for end in ENDS]
    space.encode(texts)
    longest, n_shared = space.token_counts(texts).max(), widths[0][1]
    assert n_shared >= 8
    assert widths[0][0] == 1
    assert max(width for _, width in widths[1:]) == longest - n_shared
    assert sum(n for n, _ in widths[1:]) == len(set(ENDS))  # equal texts once


def test_a_template_that_begins_with_an_instruction_is_shared():
    space = tiny_space("gpt2", template=BEGINNING + "{text} is")
    ids = [text.ids for text in space.tokenization(list(ENDS))]
    assert shared_length(ids) >= 8
    alone = np.concatenate([space.encode([text]) for text in ENDS])
    np.testing.assert_allclose(space.encode(ENDS), alone, atol=1e-4 * np.abs(alone).max())


@pytest.mark.parametrize(
    "texts", [[], ["the cat sat on the mat"], ["the cat sat on the mat"] * 3, ["the cat sat on the mat", "x", ""], ["a", "b"]]
)
def test_little_or_everything_in_common(texts):
    space = tiny_space("gpt2")
    alone = np.concatenate([np.zeros((0, space.n_dims)), *(space.encode([text]) for text in texts)])
    np.testing.assert_allclose(space.encode(texts), alone, atol=1e-4)


def test_shared_length_leaves_a_token_to_read():
    rows = [np.array(row) for row in ([1, 2, 3], [1, 2, 4, 5], [1, 2, 3, 3])]
    assert shared_length(rows) == 2
    assert shared_length(rows[:1]) == 0
    assert shared_length([rows[0], rows[0]]) == 2
    assert shared_length([np.array([7]), np.array([7])]) == 0


@pytest.mark.parametrize("family", sorted(MASKED))
def test_a_model_that_looks_ahead_shares_nothing(family):
    ids = [np.arange(2, 12), np.arange(2, 14)]
    assert Prefix.of(tiny_model(family), ids, [1], torch.device("cpu")) is None


def test_a_model_that_could_generate_but_looks_ahead():
    torch.manual_seed(0)
    config = tf.BertConfig(vocab_size=320, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
    ids = [np.arange(2, 14), np.arange(2, 12)]
    assert Prefix.of(tf.BertLMHeadModel(config).eval(), ids, [1], torch.device("cpu")) is None


def test_a_memory_of_another_kind_is_not_copied(monkeypatch):
    config = tf.MambaConfig(vocab_size=320, hidden_size=32, state_size=4, num_hidden_layers=2, intermediate_size=48, pad_token_id=1)
    torch.manual_seed(0)
    ids = [np.arange(2, 14), np.arange(2, 12)]
    assert Prefix.of(tf.MambaForCausalLM(config).eval(), ids, [1], torch.device("cpu")) is None

    class Quantized(DynamicLayer):
        """Keys and values kept in a way of its own."""

    model = tiny_model("gpt2")
    monkeypatch.setattr(module, "DynamicCache", lambda config: tf.DynamicCache())
    assert Prefix.of(model, ids, [1], torch.device("cpu")) is not None
    cache = tf.DynamicCache()
    cache.layers = [Quantized(), DynamicLayer()]
    monkeypatch.setattr(module, "DynamicCache", lambda config: cache)
    assert Prefix.of(model, ids, [1], torch.device("cpu")) is None


def test_the_tokenizer_and_the_model_stay_as_they_were():
    model, tokenizer = tiny_model("llama"), tiny_tokenizer()
    before = (tokenizer.padding_side, model.config.use_cache, model.training)
    tiny_space("llama").encode([BEGINNING + end for end in ENDS])
    assert (tokenizer.padding_side, model.config.use_cache, model.training) == before
