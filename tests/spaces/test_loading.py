"""Models that should not be opened are refused in one line that says what to do."""

import json

import numpy as np
import pytest
import torch

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import LanguageModelSpace, open_space
from tests.tiny_models import TEXTS, tiny_model, tiny_space, tiny_tokenizer


@pytest.fixture
def folder(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path / "model")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_local_folder_gives_the_same_points_as_the_loaded_object(folder):
    space = open_space(str(folder))
    assert np.array_equal(space.encode(TEXTS), tiny_space("llama").encode(TEXTS))
    assert space.fingerprint.digest == tiny_space("llama").fingerprint.digest


def test_bfloat16_is_close_and_has_its_own_fingerprint(folder):
    space = open_space(str(folder), dtype="bfloat16", layer=1)
    exact = tiny_space("llama", layer=1)
    points = space.encode(TEXTS)
    assert points.dtype == np.float32
    cosines = (points * exact.encode(TEXTS)).sum(1) / np.linalg.norm(points, axis=1) / np.linalg.norm(exact.encode(TEXTS), axis=1)
    assert cosines.min() > 0.99
    assert space.fingerprint.digest != exact.fingerprint.digest


def test_changed_weights_change_the_fingerprint(folder):
    model = LanguageModelSpace(str(folder)).model
    before = LanguageModelSpace(model, tokenizer=tiny_tokenizer()).fingerprint.digest
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
    assert LanguageModelSpace(model, tokenizer=tiny_tokenizer()).fingerprint.digest != before


def test_no_such_folder():
    with pytest.raises(ModelError, match="no such folder"):
        open_space("./nowhere")


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "model").write_text("x")
    with pytest.raises(ModelError, match="is a file"):
        open_space(str(tmp_path / "model"))


def test_a_folder_without_configuration(tmp_path):
    with pytest.raises(ModelError, match=r"without config\.json"):
        open_space(str(tmp_path))


def test_a_folder_without_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights"):
        open_space(str(folder))


def test_pickled_weights_are_refused_and_never_opened(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(ModelError, match="pickle"):
        open_space(str(folder))


def test_remote_code_is_refused_unless_asked_for(folder):
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match="trust_remote_code"):
        open_space(str(folder))


def test_weights_cut_off(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be opened"):
        open_space(str(folder))


def test_missing_weights_are_not_filled_with_random_numbers(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 weights.*layers\.1\.mlp\.up_proj"):
        open_space(str(folder))


def test_broken_configuration(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be opened"):
        open_space(str(folder))


def test_no_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match="tokenizer"):
        open_space(str(folder))


def test_a_hub_id_with_the_network_off(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"neither a local folder nor a model that could be fetched.*embedded"):
        open_space("somebody/some-model-that-is-not-here")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "max"}, "expected one of last, mean, first, span, typical"),
        ({"template": "no placeholder"}, "exactly once"),
        ({"template": "{text}{text}"}, "exactly once"),
        ({"max_length": 0}, "takes 1 to"),
        ({"max_length": 10_000}, "takes 1 to"),
        ({"truncation": "middle"}, "right"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        tiny_space("llama", **options)


def test_unknown_precision(folder):
    with pytest.raises(InputError, match="float32, bfloat16, float16"):
        open_space(str(folder), dtype="int3")


def test_unknown_option_and_kind(folder):
    with pytest.raises(InputError, match="no option 'color'"):
        open_space(str(folder), color="red")
    with pytest.raises(InputError, match="language-model, sentence-encoder"):
        open_space(str(folder), kind="picture")


def test_a_template_longer_than_the_context():
    with pytest.raises(InputError, match="Shorten the template"):
        tiny_space("llama", template="many words before {text}", max_length=3).encode(["x"])


def test_texts_that_are_not_strings(without_type_checks):
    with pytest.raises(InputError, match=r"texts\[1\] is missing"):
        tiny_space("llama").encode(["a", float("nan")])


def test_a_loaded_model_needs_its_tokenizer():
    with pytest.raises(InputError, match="tokenizer="):
        LanguageModelSpace(tiny_model("llama"))


def test_a_hub_that_cannot_be_reached_is_tried_once_and_briefly(monkeypatch):
    from lexframe.spaces.loading import without_network

    attempts = []

    def refuse(address, timeout):
        attempts.append((address, timeout))
        raise OSError("no route")

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("socket.create_connection", refuse)
    without_network.cache_clear()
    try:
        with pytest.raises(ModelError, match=r"no connection.*embedded"):
            open_space("somebody/some-model-that-is-not-here")
        assert len(attempts) == 1
        assert attempts[0][1] <= 5
    finally:
        without_network.cache_clear()


@pytest.mark.parametrize("name", ["int8", "int3", "float8_e4m3fn", "auto", "fp16", "double", ""])
def test_a_precision_that_is_none_is_said_as_such(name, tmp_path):
    from tests.tiny_models import save_tiny_encoder

    for model in ("embedded", save_tiny_encoder(tmp_path)):
        with pytest.raises(InputError, match=f"dtype is '{name}'; expected one of float32, bfloat16, float16") as caught:
            open_space(model, dtype=name)
        assert caught.value.parameters == ("dtype",)
