"""Heads are found by what they compute: their logits, and those of inner layers, are the model's."""

import numpy as np
import pytest
import torch
from torch import nn

from lexframe.exceptions import ModelError
from lexframe.spaces.language_model.head_tracing import InTurn, Trace
from lexframe.spaces.language_model.layers import find_blocks
from lexframe.spaces.language_model.output_head import output_head
from tests.spaces.language_model.made_up import MadeUpModel
from tests.tiny_models import CAUSAL, OTHERS, OTHERS_MASKED, TEXTS, tiny_model, tiny_space, tiny_tokenizer

WORDS = [text for text in TEXTS if text.strip()]
HEADS = [*OTHERS, *OTHERS_MASKED]


def batch(family, text):
    ids = torch.tensor([tiny_tokenizer(masked=family in OTHERS_MASKED)(text)["input_ids"]])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize("family", HEADS)
def test_logits_are_the_models(family):
    space = tiny_space(family)
    found = space.logits(space.encode(WORDS))
    for row, text in enumerate(WORDS):
        with torch.no_grad():
            expected = tiny_model(family)(**batch(family, text)).logits[0, -1, :300].numpy()
        np.testing.assert_allclose(found[row], expected, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("family", [family for family in HEADS if family != "albert"])
def test_an_inner_state_passes_what_stands_behind_the_last_block(family):
    """Held against the model itself, whose last block is made to give that state."""
    space, model = tiny_space(family), tiny_model(family)
    state = space.encode_layers(WORDS[:1], layers=[1])[:, 0]

    def put_in(module, args, output):
        inner = output[0] if isinstance(output, tuple | list) else output
        put = torch.from_numpy(state)[0].expand_as(inner)
        return (put, *output[1:]) if isinstance(output, tuple | list) else put

    hook = find_blocks(model)[-1].register_forward_hook(put_in)
    try:
        with torch.no_grad():
            expected = model(**batch(family, WORDS[0])).logits[0, -1, :300].numpy()
    finally:
        hook.remove()
    found = space.lens.logits(space.lens.input(state, layer=1))[0]
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1, np.abs(expected).max()))


def test_factors_and_soft_caps_are_those_of_the_configuration():
    assert output_head(tiny_model("granite")).scale == 0.25
    assert output_head(tiny_model("cohere")).scale == 0.3
    assert output_head(tiny_model("falcon_h1")).scale == 0.25
    assert output_head(tiny_model("gemma2")).soft_cap == 0.5
    for family in ("llama", "gpt2", "mixtral"):
        head = output_head(tiny_model(family))
        assert (head.scale, head.soft_cap) == (1.0, None)


def test_a_head_that_nobody_knows():
    model = MadeUpModel()
    head = output_head(model)
    states = torch.randn(5, 16)
    with torch.no_grad():
        expected = model.unembedding(model.inner.the_end(states))
        torch.testing.assert_close(head.logits(head.head_input(states, inner=True)), expected)


def test_an_end_that_is_no_chain_of_modules_leaves_the_last_state(monkeypatch):
    model = MadeUpModel()
    plain = model.inner.forward

    def forward(input_ids, attention_mask=None):
        output = plain(input_ids)
        output.last_hidden_state = output.last_hidden_state + output.last_hidden_state.flip(-1) ** 2
        return output

    monkeypatch.setattr(model.inner, "forward", forward)
    head = output_head(model)
    head.head_input(torch.randn(2, 16), inner=False)
    with pytest.raises(ModelError, match="inner layers cannot be read"):
        head.head_input(torch.randn(2, 16), inner=True)


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_what_has_no_head_says_so(family):
    model = tiny_model(family)
    from lexframe.spaces import LanguageModelSpace

    space = LanguageModelSpace(model.base_model, tokenizer=tiny_tokenizer(masked=family not in CAUSAL))
    np.testing.assert_allclose(space.encode(WORDS), tiny_space(family).encode(WORDS), atol=1e-6)
    assert not space.predicts_next_token
    with pytest.raises(ModelError, match="no language-model head"):
        space.logits(space.encode(WORDS))


def test_a_chain_has_modules_activations_and_factors():
    torch.manual_seed(0)
    first, second = nn.Linear(6, 4), nn.LayerNorm(4)
    trace, start = Trace(), torch.randn(1, 3, 6)
    with trace.of(nn.ModuleList([first, second])), torch.no_grad():
        end = second(nn.functional.gelu(first(start))) * 0.3
        steps = trace.chain(start, end)
        other = torch.randn(2, 5, 6)
        torch.testing.assert_close(InTurn(tuple(steps))(other), second(nn.functional.gelu(first(other))) * 0.3)
        assert trace.chain(torch.randn(1, 3, 6), end) is None
