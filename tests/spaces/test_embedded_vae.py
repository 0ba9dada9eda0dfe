"""The text VAE that ships with the package: found by its name, small, and used."""

import json

import numpy as np
import pytest

from lexframe.exceptions import ModelError
from lexframe.generative import kl_per_dimension, sample_texts
from lexframe.generative.texts.reconstruction import word_accuracy
from lexframe.spaces import Decoding, TextVAESpace, open_space
from lexframe.spaces.loading import EMBEDDED_VAE, embedded_vae_folder
from lexframe.spaces.registry import recognized_kind
from lexframe.spaces.resolving import resolve_model

SENTENCES = [
    "The old man sat down.",
    "She did not come home last night.",
    "What do you want from me?",
    "The water in the lake was very cold.",
    "It is a small town near the sea.",
    "He gave the book to his sister.",
]


@pytest.fixture(scope="module")
def space():
    return TextVAESpace()


def test_it_is_found_by_its_name(space):
    assert recognized_kind(EMBEDDED_VAE) == "text-vae"
    opened = open_space(EMBEDDED_VAE)
    assert isinstance(opened, TextVAESpace)
    assert opened.fingerprint == space.fingerprint
    with pytest.raises(ModelError, match="a text VAE and no language model"):
        resolve_model(EMBEDDED_VAE)


def test_its_folder_is_small_and_names_no_machine():
    folder = embedded_vae_folder()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 17_500_000
    assert (folder / "model.safetensors").stat().st_size <= 16_000_000
    for name in ("vae.json", "training.json"):
        text = (folder / name).read_text(encoding="utf-8")
        assert '"/' not in text, name
        json.loads(text)


def test_its_latent_holds_the_sentence(space):
    posterior = space.posterior(SENTENCES)
    assert kl_per_dimension(posterior).sum(axis=1).min() > 5
    own = word_accuracy(SENTENCES, space.decode(posterior.means)).mean()
    others = word_accuracy(SENTENCES, space.decode(np.roll(posterior.means, 1, axis=0))).mean()
    assert own > others + 0.3


def test_it_writes_sentences(space):
    texts = sample_texts(space, 20, decoding=Decoding(seed=0)).texts
    assert len(set(texts)) > 15
    assert np.mean([text[0].isupper() and text[-1] in ".!?" for text in texts]) > 0.9
