"""Spaces say themselves what they are; a plug-in's space is found, opened and opened again as ours are."""

import subprocess
import sys
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest

from lexframe.exceptions import FingerprintMismatch, InputError, ModelError
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces import (
    LanguageModelSpace,
    LexicalSpace,
    OpenableSpace,
    SentenceEncoderSpace,
    TextVAESpace,
    open_space,
    recognized_kind,
    reopen_space,
    space_class,
    space_kinds,
)
from lexframe.spaces.registry import OWN
from tests.tiny_models import save_tiny_encoder


class LetterSpace(OpenableSpace):
    """How often each letter stands in a text; its models are files that end in ``.letters``."""

    kind = "letters"

    def __init__(self, model, *, letters="abc", scale=1.0):
        self.model_name, self.letters, self.scale = model, letters, scale

    @classmethod
    def recognizes(cls, model):
        return model.endswith(".letters")

    @classmethod
    def reopening(cls, fingerprint):
        return {"letters": fingerprint.weights}

    n_dims = property(lambda self: len(self.letters))
    fingerprint = property(lambda self: SpaceFingerprint(kind="LetterSpace", model=self.model_name, weights=self.letters))

    def encode(self, texts, *, batch_size=None, progress=iter):
        return np.array([[self.scale * text.count(letter) for letter in self.letters] for text in texts], dtype=np.float32)


NOT_A_SPACE = "a string"


@pytest.fixture
def plug_in(monkeypatch):
    """Another package that adds kinds of spaces: ``add(kind, object)``."""
    points = []
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [point for point in points if point.group == group])

    def add(kind, name, module=__name__):
        points.append(metadata.EntryPoint(kind, f"{module}:{name}", "lexframe.spaces"))

    return add


@pytest.fixture
def encoder_folder(tmp_path):
    return save_tiny_encoder(tmp_path / "encoder")


def test_a_plug_in_is_found_by_what_it_recognizes(plug_in):
    plug_in("letters", "LetterSpace")
    assert list(space_kinds()) == ["letters", *OWN]
    assert recognized_kind("english.letters") == "letters"
    space = open_space("english.letters", letters="xy", scale=2)
    np.testing.assert_array_equal(space.encode(["xxy"]), [[4, 2]])
    assert recognized_kind("english.words") == "language-model"


def test_a_plug_in_is_found_by_its_kind(plug_in):
    with pytest.raises(InputError, match=r"no space of kind 'letters'; there are language-model, sentence-encoder, text-vae, tfidf\."):
        open_space("any name", kind="letters")
    plug_in("letters", "LetterSpace")
    assert open_space("any name", kind="letters").letters == "abc"
    with pytest.raises(InputError, match=r"there are language-model, letters, sentence-encoder"):
        open_space("any name", kind="numbers")


def test_the_space_of_a_plug_in_is_opened_again_from_its_fingerprint(plug_in):
    fingerprint = LetterSpace("english.letters", letters="qz").fingerprint
    with pytest.raises(InputError, match="not a model that can be opened"):
        reopen_space(fingerprint)
    plug_in("letters", "LetterSpace")
    assert reopen_space(fingerprint).letters == "qz"
    assert reopen_space(fingerprint, model="moved.letters").model_name == "moved.letters"
    with pytest.raises(FingerprintMismatch):
        reopen_space(replace(fingerprint, max_length=7))
    with pytest.raises(InputError, match=r"a letters space, which has no option 'device'\. Its options are letters, scale"):
        reopen_space(fingerprint, device="cpu")


def test_a_plug_in_does_not_take_the_place_of_ours(plug_in):
    plug_in("language-model", "LetterSpace")
    assert space_class("language-model") is LanguageModelSpace


def test_a_plug_in_that_cannot_be_loaded_is_named(plug_in):
    plug_in("letters", "LetterSpace", module="a_package_that_is_not_there")
    with pytest.raises(InputError, match=r"'letters' cannot be loaded .*a_package_that_is_not_there.*uninstall"):
        open_space("embedded")


@pytest.mark.parametrize("name", ["NOT_A_SPACE", "plug_in"])
def test_a_plug_in_that_is_no_space_is_refused(plug_in, name):
    plug_in("letters", name)
    with pytest.raises(InputError, match="which is no OpenableSpace"):
        open_space("english.letters")


def test_a_plug_in_without_torch_loads_none(tmp_path):
    (tmp_path / "light.py").write_text(
        "from lexframe.spaces.base import OpenableSpace\n"
        "from lexframe.provenance import SpaceFingerprint\n"
        "class Light(OpenableSpace):\n"
        "    kind = 'light'\n"
        "    n_dims, fingerprint = 1, SpaceFingerprint('Light', 'light', '')\n"
        "    def __init__(self, model): pass\n"
        "    def encode(self, texts, **options): return texts\n"
        "    recognizes = classmethod(lambda cls, model: model == 'light')\n"
        "    reopening = classmethod(lambda cls, fingerprint: {})\n"
    )
    facts = tmp_path / "light-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: light\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[lexframe.spaces]\nlight = light:Light\n")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}]\n"
        "from lexframe.spaces import open_space\n"
        "print(type(open_space('light')).__name__, 'torch' in sys.modules)"
    )
    paths = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=paths, check=False)
    assert result.stdout.split() == ["Light", "False"], result.stderr


def test_our_kinds_are_those_of_their_classes():
    classes = {kind: space_class(kind) for kind in OWN}
    assert classes == {
        "tfidf": LexicalSpace,
        "text-vae": TextVAESpace,
        "sentence-encoder": SentenceEncoderSpace,
        "language-model": LanguageModelSpace,
    }
    assert all(opened.kind == kind for kind, opened in classes.items())
    assert [*OWN][-1] == "language-model"  # it recognizes everything


def test_options_are_those_of_the_constructor():
    assert TextVAESpace.options() == {"device": None}
    options = LanguageModelSpace.options()
    assert {"layer": -1, "pooling": "last", "dtype": "float32", "trust_remote_code": False}.items() <= options.items()
    assert "normalize" in SentenceEncoderSpace.options()
    assert not {"layer", "model"} & SentenceEncoderSpace.options().keys()


def test_ours_are_recognized_by_name_and_files(encoder_folder, tmp_path, monkeypatch):
    assert recognized_kind(encoder_folder) == "sentence-encoder"
    assert (recognized_kind("embedded"), recognized_kind("gpt2"), recognized_kind("embedded-vae")) == (
        "language-model", "language-model", "text-vae",
    )  # fmt: skip
    (tmp_path / "embedded").symlink_to(encoder_folder)
    monkeypatch.chdir(tmp_path)
    assert recognized_kind("embedded") == "language-model"  # the one that comes along, whatever stands in a folder of its name


def test_an_encoder_takes_its_own_options_and_refuses_others_by_name(encoder_folder):
    assert open_space(encoder_folder).pooling == "first"
    space = open_space(encoder_folder, pooling="mean", template="query: {text}", normalize=True, max_length=12)
    assert (space.pooling, str(space.tokenization.template), space.max_length) == ("mean", "query: {text}", 12)
    with pytest.raises(InputError, match=r"a sentence-encoder space, which has no option 'layer'\. Its options are device, "):
        open_space(encoder_folder, layer=2)
    with pytest.raises(InputError, match=r"a text-vae space, which has no option 'template'\. Its options are device;"):
        open_space("embedded-vae", template="{text}")


def test_an_encoder_is_opened_again_as_it_was(encoder_folder):
    space = open_space(encoder_folder, pooling="mean", template="query: {text}", normalize=True, max_length=12)
    again = reopen_space(space.fingerprint, device="cpu")
    assert again.fingerprint == space.fingerprint
    np.testing.assert_array_equal(again.encode(["the cat"]), space.encode(["the cat"]))
    assert not reopen_space(open_space(encoder_folder).fingerprint).normalize


def test_the_wrong_kind_is_said_by_the_model(encoder_folder):
    with pytest.raises(ModelError, match="text VAE"):
        open_space(encoder_folder, kind="text-vae")
