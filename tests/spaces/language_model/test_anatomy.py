"""Parts of a model are found by what runs, not by what they are called."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers as tf

from lexframe.exceptions import ModelError
from lexframe.spaces import Intervention, LanguageModelSpace
from lexframe.spaces.language_model.anatomy import anatomy
from lexframe.spaces.language_model.layers import find_blocks
from tests.spaces.language_model.made_up import MadeUpModel
from tests.tiny_models import OTHERS, OTHERS_MASKED, TEXTS, tiny_model, tiny_space, tiny_tokenizer

WORDS = [text for text in TEXTS if text.strip()]


def own_states(family, text):
    tokenizer = tiny_tokenizer(masked=family in OTHERS_MASKED)
    with torch.no_grad():
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        return tiny_model(family)(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states


@pytest.mark.parametrize("family", [*OTHERS, *OTHERS_MASKED])
def test_every_layer_is_that_of_transformers(family):
    space = tiny_space(family)
    points = space.encode_layers(WORDS, layers=range(4))
    for row, text in enumerate(WORDS):
        states = own_states(family, text)
        first = 1 if family in ("mamba", "rwkv") else 0  # layer k is what block k gives; their own lists begin with layer 1
        for layer in range(first, 4):
            expected = states[layer - first if layer < 3 else -1][0, -1].numpy()
            np.testing.assert_allclose(points[row, layer], expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_layer_0_of_mamba_is_the_embedding():
    space = tiny_space("mamba", layer=0)
    ids = tiny_tokenizer()(WORDS[0])["input_ids"]
    np.testing.assert_array_equal(space.encode(WORDS[:1])[0], space.embedding()[ids[-1]])


def test_blocks_are_the_list_that_hands_the_state_on():
    model = MadeUpModel()
    assert find_blocks(model) is model.inner.stack
    assert anatomy(model).body is model.inner
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    ids = torch.tensor([tiny_tokenizer()("a dog")["input_ids"]])
    with torch.no_grad():
        words = model.inner.words(ids)
        entered = words + sum(adapter(words) for adapter in model.inner.adapters)
        expected = model.inner.stack[0](entered)[0, -1].numpy()
    np.testing.assert_allclose(space.encode_layers(["a dog"], layers=[1])[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("tells", [True, False])
def test_of_several_stacks_the_one_that_the_model_calls_its_layers(tells):
    """Byte models cut a text with one stack and read it with another, and what cuts comes first."""
    model = MadeUpModel()
    cuts = torch.nn.ModuleList([torch.nn.Linear(16, 16) for _ in range(3)])
    model.inner._modules = {"cuts": cuts, **model.inner._modules}  # the first by order
    read, cut = model.inner.forward, []

    def cut_and_read(input_ids, attention_mask=None, output_hidden_states=False):
        states = model.inner.words(input_ids)
        kept = [states]
        for block in model.inner.cuts:
            states = block(states)
        cut.append(states)
        hooks = [block.register_forward_hook(lambda module, args, output: kept.append(output)) for block in model.inner.stack]
        found = read(input_ids)
        for hook in hooks:
            hook.remove()
        return SimpleNamespace(last_hidden_state=found.last_hidden_state, hidden_states=tuple(kept) if tells else None)

    model.inner.forward = cut_and_read
    assert find_blocks(model) is model.inner.stack
    assert cut


NOT_MOVED = {
    "xlnet": lambda: tf.XLNetLMHeadModel(tf.XLNetConfig(vocab_size=320, d_model=32, n_layer=3, n_head=4, d_inner=48)),
    "xlm": lambda: tf.XLMWithLMHeadModel(tf.XLMConfig(vocab_size=320, emb_dim=32, n_layers=3, n_heads=4, max_position_embeddings=64)),
    "flaubert": lambda: tf.FlaubertWithLMHeadModel(
        tf.FlaubertConfig(vocab_size=320, emb_dim=32, n_layers=3, n_heads=4, max_position_embeddings=64)
    ),
    "longformer": lambda: tf.LongformerForMaskedLM(
        tf.LongformerConfig(
            vocab_size=320, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48, attention_window=8,
            max_position_embeddings=64, pad_token_id=1,
        )
    ),
    "squeezebert": lambda: tf.SqueezeBertForMaskedLM(
        tf.SqueezeBertConfig(
            vocab_size=320, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=32, embedding_size=32,
            max_position_embeddings=64,
        )
    ),
    "albert": lambda: tiny_model("albert"),
}  # fmt: skip


@pytest.mark.parametrize("family", NOT_MOVED)
def test_what_is_read_and_not_moved_says_so_in_one_line(family):
    space = LanguageModelSpace(NOT_MOVED[family]().eval(), tokenizer=tiny_tokenizer(masked=True))
    points = space.encode_layers(WORDS[:2], layers=[1, -1])
    assert np.isfinite(points).all()
    with pytest.raises(ModelError, match="cannot be moved") as caught, space.intervened([Intervention(1, np.ones(32, dtype=np.float32))]):
        pass
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(space.encode_layers(WORDS[:2], layers=[1, -1]), points)


def test_a_copy_has_parts_of_its_own():
    model = tiny_model("llama")
    copied = copy.deepcopy(model)
    assert find_blocks(model) is model.model.layers
    assert find_blocks(copied) is copied.model.layers


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft calls what transformers is about to rename
def test_what_peft_wraps_is_read_with_its_additions():
    peft = pytest.importorskip("peft")
    plain = copy.deepcopy(tiny_model("llama"))
    wrapped = peft.get_peft_model(plain, peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)).eval()
    space = LanguageModelSpace(wrapped, tokenizer=tiny_tokenizer())
    points = space.encode_layers(WORDS[:2], layers=[0, 2, -1])
    ids = torch.tensor([tiny_tokenizer()(WORDS[0])["input_ids"]])
    with torch.no_grad():
        states = wrapped(input_ids=ids, output_hidden_states=True)
    np.testing.assert_allclose(points[0], np.stack([states.hidden_states[layer][0, -1].numpy() for layer in (0, 2, -1)]), atol=1e-4)
    np.testing.assert_allclose(space.logits(points[:, -1])[0], states.logits[0, -1, :300].numpy(), atol=1e-4)
    assert np.abs(points[:, 1] - tiny_space("llama").encode_layers(WORDS[:2], layers=[2])[:, 0]).max() > 1e-3


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_learned_tokens_before_every_text_are_refused():
    peft = pytest.importorskip("peft")
    wrapped = peft.get_peft_model(copy.deepcopy(tiny_model("llama")), peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    with pytest.raises(ModelError, match="prompt tuning"):
        LanguageModelSpace(wrapped, tokenizer=tiny_tokenizer())


def test_encoder_decoders_are_one_line_and_their_encoders_open():
    config = tf.T5Config(vocab_size=320, d_model=32, num_layers=2, num_heads=4, d_ff=48, d_kv=8, decoder_start_token_id=0)
    model = tf.T5ForConditionalGeneration(config).eval()
    with pytest.raises(ModelError, match=r"encoder-decoder.*get_encoder"):
        LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    space = LanguageModelSpace(model.get_encoder(), tokenizer=tiny_tokenizer())
    ids = torch.tensor([tiny_tokenizer()("a dog")["input_ids"]])
    with torch.no_grad():
        states = model.get_encoder()(input_ids=ids, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(space.encode_layers(["a dog"], layers=[0, 1, 2])[0], torch.stack(states)[:, 0, -1].numpy(), atol=1e-5)


def test_several_streams_have_a_state_at_the_end_only():
    class Streams(torch.nn.Module):
        def forward(self, states):
            return states * 1.5

    model = MadeUpModel()
    model.inner.stack = torch.nn.ModuleList([Streams() for _ in range(3)])

    def split(input_ids, attention_mask=None):
        states = model.inner.words(input_ids).unsqueeze(2).expand(-1, -1, 4, -1)
        for block in model.inner.stack:
            states = block(states)
        return SimpleNamespace(last_hidden_state=model.inner.the_end(states.mean(2)))

    model.inner.forward = split
    space = LanguageModelSpace(model, tokenizer=tiny_tokenizer())
    assert space.encode(["a dog"]).shape == (1, 16)
    with pytest.raises(ModelError, match=r"layer 1 of MadeUpModel is not one vector a token.*4, 16\)"):
        space.encode_layers(["a dog"], layers=[1])
