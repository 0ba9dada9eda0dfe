"""Sentence encoders by hub id: from a cache laid out as the hub's client lays it out."""

import shutil

import numpy as np
import pytest
from huggingface_hub import constants

from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import hub, loading, open_space, recognized_kind, reopen_space, sentence_encoder
from lexframe.spaces.hub import hub_file, hub_folder, is_hub_name
from tests.sentence_folders import TEXTS, write_encoder
from tests.tiny_models import save_tiny_encoder

pytest.importorskip("sentence_transformers", reason="comes with the test extra")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def in_cache(cache, name, source):
    """Put a folder into a cache as the model of that name."""
    place = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(source, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"), "bert", pooling=("cls", "mean"), dense=True, default="query")


@pytest.fixture
def cache(tmp_path, monkeypatch, folder):
    """A cache with one encoder and one plain transformer, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for module in (hub, loading, sentence_encoder):
        monkeypatch.setattr(module, "without_network", lambda name: True)
    in_cache(tmp_path, "people/encoder", folder)
    plain = tmp_path / "plain"
    plain.mkdir()
    save_tiny_encoder(plain)
    (plain / "modules.json").unlink()
    in_cache(tmp_path, "people/transformer", plain)
    return tmp_path


def test_an_encoder_on_the_hub_is_recognized_and_equal_to_its_folder(cache, folder):
    assert recognized_kind("people/encoder") == "sentence-encoder"
    space, local = open_space("people/encoder"), open_space(folder)
    np.testing.assert_array_equal(space.encode(TEXTS), local.encode(TEXTS))
    assert space.model_name == "people/encoder"
    assert space.fingerprint.digest == local.fingerprint.digest
    np.testing.assert_array_equal(reopen_space(space.fingerprint).encode(TEXTS), local.encode(TEXTS))
    with pytest.raises(InputError, match="no option 'layer'"):
        open_space("people/encoder", layer=3)


def test_another_model_on_the_hub_is_a_language_model(cache):
    assert recognized_kind("people/transformer") == "language-model"
    assert recognized_kind("gpt2") == "language-model"
    assert hub_file("people/transformer", "modules.json") is None
    assert open_space("people/transformer", kind="sentence-encoder").pooling == "mean"


def test_names_that_are_not_of_the_hub(tmp_path):
    here = tmp_path / "a"
    here.mkdir()
    names = ["embedded", "embedded-vae", str(here), "./x", "~/x", "a/b/c", "no such name", "a//b", ""]
    assert not [name for name in names if is_hub_name(name)]
    assert is_hub_name("gpt2")
    assert is_hub_name("sentence-transformers/all-MiniLM-L6-v2")


def test_a_model_that_is_nowhere_is_one_line(cache):
    with pytest.raises(ModelError, match="'people/nobody' could not be fetched"):
        hub_folder("people/nobody")
    with pytest.raises(ModelError, match="people/nobody"):
        open_space("people/nobody")
