"""Heads: they sum to the attention's output, and replacing one is what taking its columns out of the weights is."""

import copy

import numpy as np
import pytest
import torch
import transformers as tf
from torch import nn

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import HeadIntervention, LanguageModelSpace
from lexframe.spaces.language_model.heads import find_heads
from lexframe.spaces.language_model.layers import find_blocks
from tests.tiny_models import FAMILIES, FEW_CAUSAL, TEXTS, tiny_model, tiny_space, tiny_tokenizer

WORDS = [text for text in TEXTS if text.strip()]
PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense", "Wo")


def attention(block):
    """The attention module and its output projection, by the names the families give them."""
    (module,) = [child for name, child in block.named_children() if name in ("attn", "self_attn", "attention")]
    if hasattr(module, "output"):  # BERT and RoBERTa: the residual and the norm follow within the same module
        return module.output.dense, module.output.dense
    (projection,) = [getattr(module, name) for name in PROJECTIONS if isinstance(getattr(module, name, None), nn.Module)]
    return module, projection


def attention_outputs(space, text):
    """What every attention gives at the last token, written down by hooks of the test itself."""
    outputs = []
    hooks = [
        attention(block)[0].register_forward_hook(lambda module, args, output: outputs.append(output)) for block in find_blocks(space.model)
    ]
    ids = torch.tensor([space.token_states(text, layers=[0]).ids])
    outputs.clear()
    with torch.no_grad():
        space.model(input_ids=ids, attention_mask=torch.ones_like(ids))
    for hook in hooks:
        hook.remove()
    return np.stack([(output[0] if isinstance(output, tuple) else output)[0, -1].numpy() for output in outputs])


@pytest.mark.parametrize("family", FAMILIES)
def test_projected_heads_sum_to_the_attention_less_its_bias(family):
    space = tiny_space(family)
    biases = [getattr(attention(block)[1], "bias", None) for block in find_blocks(space.model)]
    biases = np.stack([np.zeros(32) if bias is None else bias.detach().numpy() for bias in biases])
    for text, outputs in zip(WORDS, space.heads.outputs(WORDS), strict=True):
        summed = space.heads.project(outputs).sum(axis=1)
        np.testing.assert_allclose(summed, attention_outputs(space, text) - biases, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FEW_CAUSAL)
def test_a_head_put_to_zero_is_a_head_without_weights(family):
    """One token, so that the last is all there is."""
    space = tiny_space(family)
    without = copy.deepcopy(space.model)
    projection = attention(find_blocks(without)[1])[1]
    width = find_heads(without).n_head_dims
    columns = slice(2 * width, 3 * width)
    with torch.no_grad():
        (projection.weight[columns] if family == "gpt2" else projection.weight[:, columns]).zero_()
        expected = without(input_ids=torch.tensor([[7]])).logits
        with space.heads.replaced([HeadIntervention(layer=2, head=2, output=np.zeros(width, dtype=np.float32))]):
            found = space.model(input_ids=torch.tensor([[7]])).logits
        plain = space.model(input_ids=torch.tensor([[7]])).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found, plain, atol=1e-3)


def test_heads_given_their_own_output_change_nothing_and_another_changes_the_last_token_alone(rng):
    space = tiny_space("llama")
    for text in WORDS:
        (own,) = space.heads.outputs([text])
        with space.heads.replaced([HeadIntervention(layer=2, head=head, output=own[1, head]) for head in range(4)]):
            np.testing.assert_allclose(space.encode([text]), tiny_space("llama").encode([text]), atol=1e-5)
        with space.heads.replaced([HeadIntervention(layer=2, head=1, output=own[1, 1] + 1)]):
            moved = space.token_states(text).states
            batched = space.encode_layers(WORDS, layers=[2])[WORDS.index(text), 0]
        plain = space.token_states(text).states
        np.testing.assert_allclose(moved[:, :-1], plain[:, :-1], atol=1e-5)
        assert np.abs(moved[2, -1] - plain[2, -1]).max() > 1e-3
        np.testing.assert_allclose(batched, moved[2, -1], atol=1e-5)


def test_batches_do_not_change_what_a_head_hands_on():
    space = tiny_space("gpt2")
    together = space.heads.outputs(TEXTS)
    assert together.shape == (len(TEXTS), 3, 4, 8)
    alone = np.concatenate([space.heads.outputs([text], batch_size=1) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert space.heads.outputs([]).shape == (0, 3, 4, 8)
    assert space.heads.n_heads == 4


def test_a_beginning_that_texts_share_has_no_last_token():
    """Read once for all texts, its last token would get the output that belongs to the last of each text."""
    space = tiny_space("llama")
    texts = [f"one two three four five six seven {word}" for word in ("cat", "dog")]
    with space.heads.replaced([HeadIntervention(layer=1, head=0, output=np.full(8, 5, dtype=np.float32))]):
        np.testing.assert_allclose(space.encode(texts), np.concatenate([space.encode([text]) for text in texts]), atol=1e-5)


def test_nothing_stays_and_the_space_is_another_within():
    space = tiny_space("gpt2")
    move = HeadIntervention(layer=1, head=0, output=np.ones(8, dtype=np.float32))
    before, fingerprint = space.encode(WORDS), space.fingerprint
    with space.heads.replaced([move]):
        assert space.fingerprint.digest != fingerprint.digest
        assert np.abs(space.encode(WORDS) - before).max() > 1e-3
    with pytest.raises(InputError), space.heads.replaced([move]):
        space.generate(["cat"], max_new_tokens=0)
    assert space.fingerprint == fingerprint
    np.testing.assert_array_equal(space.encode(WORDS), before)


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (4, 0), (1, 4), (1, -1)])
def test_heads_that_do_not_exist_are_refused(layer, head):
    move = HeadIntervention(layer=layer, head=head, output=np.ones(8, dtype=np.float32))
    with pytest.raises(InputError, match="There is no head"), tiny_space("gpt2").heads.replaced([move]):
        pass


def test_outputs_that_do_not_fit_are_refused():
    space = tiny_space("gpt2")
    with pytest.raises(InputError, match="5 dimensions"), space.heads.replaced([HeadIntervention(1, 0, np.ones(5, dtype=np.float32))]):
        pass
    with pytest.raises(InputError, match="averaged over texts"):
        space.heads.project(np.ones((2, 4, 8), dtype=np.float32))
    with pytest.raises(InputError, match="not finite"):
        HeadIntervention(1, 0, np.array([np.nan, 1.0]))


def test_attention_that_is_not_understood_is_refused():
    model = tf.MambaForCausalLM(tf.MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=2, state_size=4))
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    with pytest.raises(ModelError, match="num_attention_heads"):
        space.heads.n_heads  # noqa: B018


def test_widths_that_do_not_fit_the_heads_are_refused():
    model = copy.deepcopy(tiny_model("gpt2"))
    model.config.n_head = 5
    with pytest.raises(ModelError, match="for 5 heads"):
        find_heads(model)


def test_blocks_without_attention_are_refused():
    model = copy.deepcopy(tiny_model("gpt2"))
    for block in find_blocks(model):
        block.mixer = block._modules.pop("attn")
        type(block).attn = property(lambda self: self.mixer)
    try:
        with pytest.raises(ModelError, match="block 1 has no attention"):
            find_heads(model)
    finally:
        del type(find_blocks(model)[0]).attn


def test_heads_are_projected_by_their_weights_even_while_they_are_replaced(rng):
    space = tiny_space("gpt2")
    outputs = space.heads.outputs(["the cat"])[0]
    expected = space.heads.project(outputs)
    with space.heads.replaced([HeadIntervention(layer=1, head=0, output=outputs[0, 0])]):
        np.testing.assert_allclose(space.heads.project(outputs), expected, atol=1e-6)
