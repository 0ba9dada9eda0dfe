"""A GGUF file gives the model that it was made from."""

import sys

import numpy as np
import pytest
import torch

from lexframe.exceptions import MissingExtraError, ModelError
from lexframe.spaces.gguf import conversion
from lexframe.spaces.gguf.conversion import convert, quantization, read_model
from lexframe.spaces.gguf.header import read_header
from lexframe.spaces.gguf.origin import Origin, source_of
from lexframe.spaces.language_model.opening import open_language_model
from tests import gguf_files
from tests.gguf_files import STRINGS, write

IDS = torch.tensor([[5, 9, 300, 17, 44, 8, 120, 3, 77, 260, 31, 6]])


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits[0].float().numpy()


@pytest.mark.parametrize("family", sorted(gguf_files.MODELS))
def test_the_logits_are_those_of_the_model_it_was_made_from(tmp_path, family):
    header = read_header(write(tmp_path / "a.gguf", family))
    expected, found = logits(gguf_files.model(family)), logits(read_model(header))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1"])
def test_a_stored_type_changes_logits_by_no_more_than_its_rounding(tmp_path, kind):
    """The same rounding, done here on the matrices of the model, gives the same logits."""
    import copy

    import gguf

    header = read_header(write(tmp_path / "a.gguf", "llama-tied", kind=kind))
    rounded = copy.deepcopy(gguf_files.model("llama-tied"))
    with torch.no_grad():
        for parameter in rounded.parameters():
            if parameter.ndim < 2:
                continue
            if kind in ("F16", "BF16"):
                parameter.copy_(parameter.to(torch.float16 if kind == "F16" else torch.bfloat16).float())
            else:
                number = gguf.GGMLQuantizationType[kind]
                values = gguf.dequantize(gguf.quants.quantize(parameter.numpy(), number), number)
                parameter.copy_(torch.from_numpy(values).to(torch.bfloat16).float())
        if kind != "F16":  # what is kept in bfloat16 has its norms in it too
            for parameter in rounded.parameters():
                parameter.copy_(parameter.to(torch.bfloat16).float())
    found = read_model(header)
    assert next(found.parameters()).dtype == (torch.float32 if kind == "F16" else torch.bfloat16)
    expected = logits(rounded)
    np.testing.assert_allclose(logits(found.float()), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected - logits(gguf_files.model("llama-tied"))).max() > 1e-4  # rounding is seen at all
    assert quantization(header) == kind


def test_a_folder_of_transformers_says_where_it_came_from(tmp_path):
    header = read_header(write(tmp_path / "a.gguf", "llama-tied", kind="Q8_0", change={"general.license": "mit"}))
    folder = tmp_path / "folder"
    folder.mkdir()
    origin = convert(header, "ab" * 32, folder)
    n_parameters = sum(each.numel() for each in gguf_files.model("llama-tied").parameters())
    assert origin == Origin("a.gguf", "ab" * 32, "Q8_0", "llama", "mit", n_parameters)
    assert Origin.of_folder(folder) == origin
    assert Origin.of_folder(tmp_path) is None
    model, tokenizer = open_language_model(str(folder), dtype="bfloat16", device="cpu")
    assert source_of(model) == f"GGUF Q8_0, sha256 {'ab' * 32}"
    np.testing.assert_array_equal(logits(model), logits(read_model(header)))
    assert model.config.rms_norm_eps == gguf_files.model("llama-tied").config.rms_norm_eps
    assert model.get_output_embeddings().weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (0, 2, 1)
    for text in STRINGS:
        assert tokenizer(text).input_ids == gguf_files.tokenizer("smollm")(text).input_ids


def test_nothing_is_printed(tmp_path, capfd):
    folder = tmp_path / "folder"
    folder.mkdir()
    convert(read_header(write(tmp_path / "a.gguf")), "ab" * 32, folder)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"general.architecture": "plamo9"}, "of the architecture 'plamo9', which transformers does not read from GGUF"),
        ({"llama.rope.scaling.type": "longrope", "llama.rope.scaling.factor": 4.0}, "stretches its positions"),
        ({"llama.block_count": 3}, "lacks 9 weights that LlamaForCausalLM needs"),
        ({"llama.block_count": 1}, "part of the file would be passed over"),
        ({"llama.vocab_size": 600}, "cannot be read by transformers"),
    ],
)
def test_what_would_be_another_model_is_refused_in_one_line(tmp_path, change, message):
    header = read_header(write(tmp_path / "a.gguf", change=change))
    with pytest.raises(ModelError, match=message) as raised:
        read_model(header)
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "a.gguf") in str(raised.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}, {"rope_type": "linear", "factor": 4.0}),
        (
            {"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 2.0, "llama.rope.scaling.original_context_length": 64},
            {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64},
        ),
        ({"llama.rope.freq_base": None}, {"rope_type": "default", "rope_theta": 10_000.0}),
    ],
)
def test_stretched_positions_are_those_of_the_file(tmp_path, change, expected):
    found = read_model(read_header(write(tmp_path / "a.gguf", change=change))).config.rope_parameters
    assert {name: found[name] for name in expected} == expected


def test_divisors_of_another_kind_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_files, "_divisors", lambda config: np.linspace(1, 5, 8, dtype=np.float32))
    with pytest.raises(ModelError, match="rope_freqs"):
        read_model(read_header(write(tmp_path / "a.gguf", "llama-stretched")))


def test_a_file_that_says_nothing_of_its_type_is_named_by_its_tensors(tmp_path):
    assert quantization(read_header(write(tmp_path / "a.gguf", kind="Q8_0", change={"general.file_type": None}))) == "Q8_0"
    assert quantization(read_header(write(tmp_path / "b.gguf", kind="Q8_0", change={"general.file_type": 0}))) == "Q8_0"


@pytest.mark.parametrize("package", ["gguf", "accelerate"])  # transformers asks for the second when it reads such a file
def test_without_the_package_the_install_line_is_named(package, tmp_path, monkeypatch):
    header = read_header(write(tmp_path / "a.gguf"))
    monkeypatch.setitem(sys.modules, package, None)
    found = conversion.find_spec
    monkeypatch.setattr(conversion, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'lexframe\[gguf\]'"):
        convert(header, "ab" * 32, tmp_path)
