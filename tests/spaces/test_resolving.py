"""What people call a model is found, or the reason is one line."""

import numpy as np
import pytest
from huggingface_hub import constants

from lexframe.exceptions import FingerprintMismatch, ModelError
from lexframe.spaces import SentenceEncoderSpace, hub, open_space, reopen_space
from lexframe.spaces.resolving import resolve_model
from tests import gguf_files
from tests.gguf_files import write
from tests.spaces.test_hub import in_cache

TEXTS = ["the cat sat", "In 1987, 250 people", ""]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEXFRAME_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "small.gguf")


def test_a_file_is_a_space_like_any_other(path, tmp_path):
    space = open_space(str(path))
    gguf_files.model("llama").save_pretrained(tmp_path / "folder")
    gguf_files.tokenizer("smollm").save_pretrained(tmp_path / "folder")
    other = open_space(str(tmp_path / "folder"))
    for layer in (0, 1, -1):
        mine, theirs = (open_space(str(each), layer=layer) for each in (path, tmp_path / "folder"))
        np.testing.assert_allclose(mine.encode(TEXTS), theirs.encode(TEXTS), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(space.unembedding(), other.unembedding())
    assert (space.n_vocab, space.model_name) == (400, str(path))
    assert space.generate(["the cat"], max_new_tokens=4) == other.generate(["the cat"], max_new_tokens=4)


def test_the_fingerprint_names_the_file_and_how_it_is_stored(path):
    import hashlib

    space = open_space(str(path))
    assert space.fingerprint.source == f"GGUF F32, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert "GGUF F32" in str(space.fingerprint)
    again = reopen_space(space.fingerprint)
    assert again.fingerprint == space.fingerprint
    assert space.prompt_reader().fingerprint.source == space.fingerprint.source
    assert open_space("embedded").fingerprint.source == ""


def test_a_model_that_has_changed_is_told_apart(path):
    fingerprint = open_space(str(path)).fingerprint
    write(path, kind="Q8_0")
    with pytest.raises(FingerprintMismatch, match="GGUF Q8_0"):
        reopen_space(fingerprint)


def test_a_folder_that_holds_one_file_is_that_model(path, tmp_path):
    (tmp_path / "mmproj-model.gguf").write_bytes(b"reads pictures")
    assert resolve_model(str(tmp_path)) == resolve_model(str(path))
    assert open_space(str(tmp_path)).n_layers == 2


def test_a_folder_that_holds_two_is_one_line(path, tmp_path):
    write(tmp_path / "other.Q8_0.GGUF", kind="Q8_0")
    with pytest.raises(ModelError, match=r"holds 2 GGUF files \(other.Q8_0.GGUF, small.gguf\). Name one"):
        resolve_model(str(tmp_path))


def test_other_names_that_are_none_say_so(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    for name, message in [
        (tmp_path / "empty", "without config.json and without a GGUF file"),
        (tmp_path / "notes.txt", "is a file. Name a GGUF file"),
        (tmp_path / "none.gguf", "no such file"),
        ("none.gguf", "no such file"),
        (tmp_path / "none", "no such folder"),
        ("~/none", "no such folder"),
        ("no such hub:a.gguf", "no such file"),
    ]:
        with pytest.raises(ModelError, match=message):
            resolve_model(str(name))
    assert resolve_model("gpt2") == "gpt2"


def test_a_file_of_a_model_on_the_hub(path, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "without_network", lambda name: True)
    source = tmp_path / "source"
    source.mkdir()
    path.rename(source / "small.Q4.gguf")
    in_cache(tmp_path / "hub", "people/model", source)
    space = open_space("people/model:small.Q4.gguf")
    assert space.model_name == "people/model:small.Q4.gguf"
    assert reopen_space(space.fingerprint).fingerprint == space.fingerprint
    with pytest.raises(ModelError, match=r"'people/model' has no file other.gguf"):
        open_space("people/model:other.gguf")


def test_a_file_can_be_read_as_a_sentence_encoder(path):
    space = open_space(str(path), kind="sentence-encoder")
    assert isinstance(space, SentenceEncoderSpace)
    assert space.fingerprint.source.startswith("GGUF F32")
    assert reopen_space(space.fingerprint).fingerprint == space.fingerprint
