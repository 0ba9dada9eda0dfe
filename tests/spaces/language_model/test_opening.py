"""Folders of every kind: with a head, without, with a head for classes, with an adapter; what cannot be opened is one line."""

import copy
import json

import numpy as np
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import LanguageModelSpace, open_space
from tests.tiny_models import TEXTS, tiny_model, tiny_space, tiny_tokenizer


def written(model, folder, *, masked=False):
    model.save_pretrained(folder)
    tiny_tokenizer(masked=masked).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("family", ["llama", "bert", "gpt2"])
def test_a_body_without_head_gives_the_points_and_no_logits(family, tmp_path):
    masked = family == "bert"
    space = open_space(written(tiny_model(family).base_model, tmp_path, masked=masked), layer=2, device="cpu")
    np.testing.assert_allclose(space.encode(TEXTS), tiny_space(family, layer=2).encode(TEXTS), atol=1e-6)
    if family != "gpt2":  # whose head is its embedding
        assert not space.predicts_next_token
        with pytest.raises(ModelError, match="no language-model head"):
            space.logits(space.encode(TEXTS))


def test_a_head_for_classes_is_left_out(tmp_path):
    model = tf.LlamaForSequenceClassification(copy.deepcopy(tiny_model("llama").config)).eval()
    model.model.load_state_dict(tiny_model("llama").model.state_dict())
    space = open_space(written(model, tmp_path), device="cpu")
    np.testing.assert_allclose(space.encode(TEXTS), tiny_space("llama").encode(TEXTS), atol=1e-6)
    with pytest.raises(ModelError, match="no language-model head"):
        space.logits(space.encode(TEXTS))


def test_a_body_with_pooler_and_one_whose_pooler_is_missing(tmp_path):
    torch.manual_seed(0)
    model = tf.BertModel(tiny_model("bert").config).eval()
    folder = written(model, tmp_path, masked=True)
    expected = open_space(folder, device="cpu").encode(TEXTS)
    weights = {name: tensor for name, tensor in load_file(tmp_path / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    np.testing.assert_array_equal(open_space(folder, device="cpu").encode(TEXTS), expected)


def test_a_body_that_lacks_a_weight_is_refused(tmp_path):
    folder = written(tiny_model("llama").base_model, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights.*layers\.1\.mlp\.up_proj"):
        open_space(folder)


def test_an_encoder_decoder_is_one_line(tmp_path):
    config = tf.BartConfig(vocab_size=320, d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=32, decoder_ffn_dim=32,
                           encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=64, pad_token_id=1)  # fmt: skip
    with pytest.raises(ModelError, match="encoder-decoder"):
        open_space(written(tf.BartForConditionalGeneration(config), tmp_path))


@pytest.fixture
def adapter(tmp_path):
    peft = pytest.importorskip("peft")
    base = written(tiny_model("llama"), tmp_path / "base")
    torch.manual_seed(0)
    wrapped = peft.get_peft_model(
        copy.deepcopy(tiny_model("llama")), peft.LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    ).eval()
    wrapped.peft_config["default"].base_model_name_or_path = base
    wrapped.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter", wrapped


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft calls what transformers is about to rename
def test_an_adapter_is_joined_with_the_model_it_was_trained_on(adapter):
    folder, wrapped = adapter
    space = open_space(str(folder), device="cpu")
    expected = LanguageModelSpace(wrapped, tokenizer=tiny_tokenizer()).encode(TEXTS)
    np.testing.assert_allclose(space.encode(TEXTS), expected, atol=1e-4)
    assert np.abs(expected - tiny_space("llama").encode(TEXTS)).max() > 1e-2
    assert space.fingerprint.weights != tiny_space("llama").fingerprint.weights


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_model_name_or_path": "somebody/far-away"}, "merge_and_unload"),
        ({"peft_type": "PROMPT_TUNING"}, "learned tokens"),
        ({"peft_type": None}, "no folder here|does not fit"),
    ],
)
def test_adapters_that_cannot_be_joined(adapter, change, message):
    folder, _ = adapter
    facts = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(facts | change))
    with pytest.raises(ModelError, match=message):
        open_space(str(folder))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_adapter_as_a_pickle_is_refused(adapter):
    folder, _ = adapter
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        open_space(str(folder))


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "gpu", "meta", "tpu:0"])
def test_a_device_that_is_not_here_is_one_line_and_comes_before_the_model(device, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.empty", _without_cuda(torch.empty))
    monkeypatch.setattr("lexframe.spaces.language_model.opening.resolve_model", lambda name: pytest.fail("the model was looked for"))
    with pytest.raises(InputError, match=device) as caught:
        open_space("embedded", device=device)
    assert caught.value.parameters == ("device",)


def _without_cuda(empty):
    def fail_on_cuda(*sizes, device=None, **more):
        if device is not None and torch.device(device).type == "cuda":
            raise AssertionError("Torch not compiled with CUDA enabled")
        return empty(*sizes, device=device, **more)

    return fail_on_cuda


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_weights_packed_into_integers_are_one_line():
    packed = torch.ao.quantization.quantize_dynamic(copy.deepcopy(tiny_model("llama")), {torch.nn.Linear}, dtype=torch.qint8)
    with pytest.raises(ModelError, match="int8"):
        LanguageModelSpace(packed, tokenizer=tiny_tokenizer())
